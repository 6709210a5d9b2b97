//! What all servers and clients do alike: a server listens, says where, and ends when its input is closed; a hand-written
//! client has one connection.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
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

/// A connection to a port of this machine.
///
/// # Errors
/// Nobody listens there.
pub async fn connect(port: u16) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong is told to the sender.
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a request and gives the body of the answer.
///
/// # Errors
/// The connection breaks; the answer is another one than 200.
pub async fn exchange(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Bytes> {
    // A moment may pass between the end of an answer and the connection being free again.
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status != StatusCode::OK {
        bail!("the server answers {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(body)
}
