//! The one address that clients of the database know, whichever server is behind it: what a proxy or a moving address is in
//! production.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::text;

/// An address, until it is dropped.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) port: u16,
    behind: watch::Sender<u16>,
    task: tokio::task::JoinHandle<()>,
}

impl Address {
    pub(super) async fn of(server: u16) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        let (behind, server) = watch::channel(server);
        Ok(Self { port, behind, task: tokio::spawn(forward(listener, server)) })
    }

    /// Another server is behind it from now on; connections to the one before end.
    pub(super) fn moves_to(&self, server: u16) {
        let _ = self.behind.send(server);
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(listener: TcpListener, behind: watch::Receiver<u16>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut behind = behind.clone();
        tokio::spawn(async move {
            let port = *behind.borrow_and_update();
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                _ = behind.changed() => {}
            }
        });
    }
}
