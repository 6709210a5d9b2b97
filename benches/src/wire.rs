//! Counting the bytes on the wire.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Result;

/// Stands between a client and a server and counts what passes: heads and bodies, without the headers of TCP and IP.
///
/// It slows both down, so no time is taken while it is there. Its threads end with the connections, and the one that
/// accepts with the process.
#[derive(Debug)]
pub struct Counter {
    port: u16,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Counter {
    /// Starts one in front of the server at `server` (a port of this machine).
    ///
    /// # Errors
    /// There is no port.
    pub fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let counter = Self { port, sent: Arc::default(), received: Arc::default() };
        let (sent, received) = (Arc::clone(&counter.sent), Arc::clone(&counter.received));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
                let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                let (sent, received) = (Arc::clone(&sent), Arc::clone(&received));
                thread::spawn(move || pass_on(client, server, &sent));
                thread::spawn(move || pass_on(server_too, client_too, &received));
            }
        });
        Ok(counter)
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The bytes that clients have sent and received so far.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::SeqCst), self.received.load(Ordering::SeqCst))
    }
}

// The streams end here.
#[allow(clippy::needless_pass_by_value)]
fn pass_on(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        count.fetch_add(length as u64, Ordering::SeqCst);
        let part = buffer.get(..length).unwrap_or_default();
        if to.write_all(part).is_err() {
            break;
        }
    }
    // The other end learns that no more comes; it may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}
