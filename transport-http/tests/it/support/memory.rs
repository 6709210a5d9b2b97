//! Connections in memory. With the clock paused time passes only while everybody waits, which real sockets do not go
//! with: what is under way in the kernel counts as waiting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastsync_transport_http::Listener;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use super::Connection;

/// What a connection holds that nobody reads yet, in each direction.
const BUFFER: usize = 64 << 10;

/// Gives `serve` the connections that an [`Address`] opens.
pub struct MemoryListener {
    opened: mpsc::UnboundedReceiver<io::Result<DuplexStream>>,
    accepted: Arc<AtomicUsize>,
}

/// Where a [`MemoryListener`] listens.
#[derive(Clone)]
pub struct Address {
    open: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    accepted: Arc<AtomicUsize>,
}

pub fn listen_in_memory() -> (MemoryListener, Address) {
    let (open, opened) = mpsc::unbounded_channel();
    let accepted = Arc::<AtomicUsize>::default();
    (MemoryListener { opened, accepted: Arc::clone(&accepted) }, Address { open, accepted })
}

impl Listener for MemoryListener {
    type Connection = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        match self.opened.recv().await {
            Some(stream) => {
                self.accepted.fetch_add(1, Ordering::SeqCst);
                stream
            }
            None => std::future::pending().await,
        }
    }
}

impl Address {
    pub fn connect(&self) -> Connection<DuplexStream> {
        self.connect_with_buffer(BUFFER)
    }

    pub fn connect_with_buffer(&self, bytes: usize) -> Connection<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(bytes);
        self.open.send(Ok(theirs)).unwrap();
        Connection(ours)
    }

    /// The next connection fails while it is accepted.
    pub fn fail_to_accept(&self) {
        self.open.send(Err(io::ErrorKind::ConnectionAborted.into())).unwrap();
    }

    /// How many connections were accepted, failed ones included.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Lets everybody go on until they all wait. With the clock paused only.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
