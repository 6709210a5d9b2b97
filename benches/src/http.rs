//! What both sorts of server do alike: listen, say where, and end when their input is closed.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Listens on a free port of this machine and prints the port for the process that started this one.
///
/// # Errors
/// There is no port.
pub async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", listener.local_addr()?.port())?;
    output.flush()?;
    drop(output);
    Ok(listener)
}

/// Waits until the process that started this one closes its input or is gone.
pub async fn input_closed() {
    let (closed, waiting) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        // However it ends, there is no input any more.
        let _ = std::io::stdin().read_to_end(&mut rest);
        drop(closed);
    });
    // It is never sent: that it is dropped is the message.
    let _ = waiting.await;
}

/// A runtime as `#[tokio::main]` makes it, with this many threads; with 0, the current thread only.
///
/// # Errors
/// It cannot be made.
pub fn runtime(workers: usize) -> Result<tokio::runtime::Runtime> {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    Ok(builder.worker_threads(workers.max(1)).enable_all().build()?)
}
