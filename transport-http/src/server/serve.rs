//! Serving without a framework.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::guard::{GuardedStream, Phase, Timeouts};
use crate::BoxError;
use crate::pace::Pace;

/// What [`serve`] allows.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    timeouts: Timeouts,
    slow_replies: usize,
    max_connections: usize,
    shutdown_timeout: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        let half_a_minute = Duration::from_secs(30);
        Self {
            timeouts: Timeouts {
                head: Duration::from_secs(10),
                idle: Duration::from_secs(60),
                reply: Pace { stall: half_a_minute, least_rate: 4 << 10, grace: half_a_minute },
            },
            slow_replies: 128,
            max_connections: 1024,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl ServeConfig {
    /// The longest time for a request's head to arrive, and for the first one to begin. 10 s unless set.
    #[must_use]
    pub fn with_head_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.head = timeout;
        self
    }

    /// How long a connection may wait for its next request. 60 s unless set.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = timeout;
        self
    }

    /// The longest pause of a client that takes a reply. 30 s unless set.
    #[must_use]
    pub fn with_reply_stall_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.reply.stall = timeout;
        self
    }

    /// The least rate at which a client takes a reply, in bytes a second, which counts once it has taken longer than `grace`.
    /// 4 KiB/s after 30 s unless set; a rate of 0 allows any.
    #[must_use]
    pub fn with_least_reply_rate(mut self, bytes_per_second: usize, grace: Duration) -> Self {
        self.timeouts.reply.least_rate = bytes_per_second;
        self.timeouts.reply.grace = grace;
        self
    }

    /// How many replies at once may take longer than the grace of [`Self::with_least_reply_rate`]; further ones are cut off
    /// then. 128 unless set.
    #[must_use]
    pub fn with_slow_replies(mut self, replies: usize) -> Self {
        self.slow_replies = replies.min(Semaphore::MAX_PERMITS);
        self
    }

    /// How many connections are served at once; others wait to be accepted. 1,024 unless set.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How long requests that are being answered may go on after the shutdown signal. 30 s unless set.
    #[must_use]
    pub fn with_shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }
}

/// Where [`serve`] takes its connections from: a [`TcpListener`], or for example a Unix socket.
///
/// # Contract
///
/// - `accept` waits for nothing that the peer of a connection has to do (a TLS handshake): all others would wait too.
/// - After an error it is called again, a moment later.
pub trait Listener: Send {
    /// A connection.
    type Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Waits for the next connection.
    ///
    /// # Errors
    /// What went wrong with this one connection; the listener goes on.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

impl Listener for TcpListener {
    type Connection = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = Self::accept(self).await?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// The most bytes of a request's head, and of what is read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves HTTP/1 until `shutdown` is ready, then lets the requests under way finish.
///
/// `service` is a [`SyncService`](super::SyncService), or a whole axum `Router` that has one nested: unlike
/// `axum::serve`, which has no timeout of any kind, this ends connections whose peer is too slow.
///
/// # Errors
/// None while it runs: what goes wrong with a connection, or with accepting one, ends nothing else. The result
/// is there for errors of a later version.
pub async fn serve<S, B>(
    mut listener: impl Listener,
    service: S,
    config: ServeConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()>
where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let places = Arc::new(Semaphore::new(config.max_connections));
    let slow = Arc::new(Semaphore::new(config.slow_replies));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            next = next => next,
        };
        match accepted {
            Ok(stream) => {
                let served = connection(
                    stream,
                    service.clone(),
                    (config.timeouts, Arc::clone(&slow)),
                    stopping.clone(),
                );
                connections.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            // The peer gave up, or file descriptors ran out: the next attempt may succeed.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    drop(listener);
    drop(stop);
    let finished = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(config.shutdown_timeout, finished).await;
    Ok(())
}

async fn connection<S, B>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    service: S,
    (timeouts, slow): (Timeouts, Arc<Semaphore>),
    mut stopping: watch::Receiver<()>,
) where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let phase = Phase::new();
    let io = TokioIo::new(GuardedStream::new(stream, phase.clone(), timeouts, slow));
    // The stream keeps the time: hyper's own limit of the head would also cut idle connections.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None::<Duration>)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(io, Requests { service, phase });
    let mut stop = pin!(async move { while stopping.changed().await.is_ok() {} });
    let mut asked = false;
    let result = loop {
        tokio::select! {
            result = poll_fn(|context| connection.poll_without_shutdown(context)) => break result,
            () = &mut stop, if !asked => {
                asked = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    // Closing with unread bytes resets the connection, and on some systems (Windows is one) the reset takes away
    // an answer that was not read yet: a client still sending a refused body would never see why.
    if result.as_ref().map_or_else(hyper::Error::is_parse, |()| true) {
        linger(connection.into_parts().io.into_inner().into_inner()).await;
    }
}

/// Says that no more will come, then reads and forgets what still arrives: for a moment, and not without end.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    const MOMENT: Duration = Duration::from_secs(1);
    const MAX_READS: usize = 512;
    let discard = async {
        let mut scratch = vec![0; 16 * 1024];
        let _ = stream.shutdown().await;
        for _ in 0..MAX_READS {
            if !stream.read(&mut scratch).await.is_ok_and(|read| read > 0) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(MOMENT, discard).await;
}

/// A tower service as hyper wants it, which tells the connection when requests begin and end.
struct Requests<S> {
    service: S,
    phase: Phase,
}

/// Nothing in it is ever pinned.
impl<S> Unpin for Requests<S> {}

impl<S, B> hyper::service::Service<Request<Incoming>> for Requests<S>
where
    S: tower_service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let phase = self.phase.clone();
        let mut service = self.service.clone();
        phase.begin_request();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await?;
            let response = service.call(request).await;
            phase.end_request();
            response
        })
    }
}
