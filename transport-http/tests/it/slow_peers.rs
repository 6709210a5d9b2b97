//! Peers that take their time are cut off, and the others do not notice.

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use async_trait::async_trait;
use fastsync_core::protocol::{PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::{Result, SyncContext, SyncHandler, Transport};
use fastsync_transport_http::{HttpTransport, Limits, ServeConfig, SyncService, serve};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::{Instant, interval, timeout};

const SHORT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(8);

fn limits() -> Limits {
    Limits::default().with_stall_timeout(SHORT).with_body_timeout(SHORT * 3)
}

fn config() -> ServeConfig {
    ServeConfig::default().with_head_timeout(SHORT).with_idle_timeout(SHORT).with_reply_timeout(SHORT)
}

/// Sends a byte every 20 ms until the peer closes, and gives what it said.
async fn drip(address: std::net::SocketAddr, start: &[u8], byte: u8) -> String {
    let mut connection = Connection::open(address).await;
    connection.send(start).await;
    let (mut read, mut write) = connection.0.split();
    let mut said = Vec::new();
    let dripping = async {
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut said);
    within(PATIENCE, async {
        tokio::select! { _ = reading => {}, () = dripping => {} }
    })
    .await;
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn silent_and_dripping_peers_are_closed_while_others_are_served() {
    let server = Server::start(limits(), config()).await;
    let address = server.address;
    let body_head = raw("POST /push", &[&bearer(), JSON, "content-length: 100000"], b"{");
    let continue_head =
        raw("POST /push", &[&bearer(), JSON, "content-length: 100", "expect: 100-continue"], b"");

    let silent = tokio::spawn(async move { Connection::open(address).await.closed(PATIENCE).await });
    let partial_head = tokio::spawn(async move {
        let mut connection = Connection::open(address).await;
        connection.send(b"POST /push HTTP/1.1\r\nhost: x\r\n").await;
        connection.closed(PATIENCE).await
    });
    let dripped_head = tokio::spawn(async move { drip(address, b"POST /push HTTP/1.1\r\nx: ", b'x').await });
    let blank_lines = tokio::spawn(async move { drip(address, b"\r\n", b'\n').await });
    let idle = tokio::spawn(async move {
        let mut connection = Connection::open(address).await;
        let answer = connection.ask(&post("/push", &json(&push_request(1)))).await.unwrap();
        assert_eq!(answer.status, 200);
        connection.closed(PATIENCE).await
    });
    let second_head = tokio::spawn(async move {
        let good = post("/push", &json(&push_request(1)));
        drip(address, &[&*good, b"POST /pu"].concat(), b'x').await
    });
    let silent_body = tokio::spawn({
        let head = body_head.clone();
        async move {
            let mut connection = Connection::open(address).await;
            let answer = connection.ask(&head).await.unwrap();
            connection.closed(PATIENCE).await;
            answer
        }
    });
    let dripped_body = tokio::spawn(async move { drip(address, &body_head, b' ').await });
    let expecting =
        tokio::spawn(async move { Connection::open(address).await.ask(&continue_head).await.unwrap() });

    let client = server.client();
    for _ in 0..10 {
        timeout(Duration::from_secs(2), client.pull(&pull_request())).await.expect("delayed").unwrap();
    }
    for closed in [silent, partial_head, idle] {
        assert_eq!(String::from_utf8(closed.await.unwrap()).unwrap(), "");
    }
    assert_eq!(dripped_head.await.unwrap(), "");
    let blank_lines = blank_lines.await.unwrap();
    assert!(!blank_lines.contains(" 200 "), "{blank_lines}");
    assert!(second_head.await.unwrap().starts_with("HTTP/1.1 200"));
    let answer = silent_body.await.unwrap();
    assert_eq!((answer.status, &*answer.code()), (408, "timeout"));
    assert!(dripped_body.await.unwrap().starts_with("HTTP/1.1 408"));
    assert_eq!(expecting.await.unwrap().status, 408);
    assert_eq!(server.fake.pushes().len(), 2, "only the honest ones");
    client.push(&push_request(1)).await.unwrap();
}

#[tokio::test]
async fn a_body_that_stops_is_given_up_long_before_its_time() {
    let limits = Limits::default().with_stall_timeout(SHORT).with_body_timeout(PATIENCE * 10);
    let server = Server::start(limits, ServeConfig::default()).await;
    let head = raw("POST /push", &[&bearer(), JSON, "content-length: 1000"], b"{");
    let answer = within(PATIENCE, async { Connection::open(server.address).await.ask(&head).await }).await;
    assert_eq!(answer.unwrap().status, 408);
}

#[tokio::test]
async fn the_wait_for_a_next_request_is_not_the_time_for_a_head() {
    let config = ServeConfig::default().with_head_timeout(SHORT / 3).with_idle_timeout(SHORT * 3);
    let server = Server::start(limits(), config).await;
    let mut connection = Connection::open(server.address).await;
    assert_eq!(connection.ask(&post("/push", &json(&push_request(1)))).await.unwrap().status, 200);
    let begin = Instant::now();
    connection.closed(PATIENCE).await;
    assert!(begin.elapsed() >= SHORT * 2, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed() {
    let minute = Duration::from_secs(60);
    let config = config().with_idle_timeout(minute).with_shutdown_timeout(minute);
    let server = Server::start(limits(), config).await;
    server.fake.answer_rows(60_000);
    let mut connection = Connection::open(server.address).await;
    connection.send(&post("/pull", &json(&pull_request()))).await;
    assert_eq!(connection.0.peek(&mut [0]).await.unwrap(), 1);
    // The server ends once all its connections have; this one reads nothing, and is not the one that closes.
    server.stop().await;
    let received = connection.closed(PATIENCE).await.len();
    assert!(received > 0 && received < 12_000_000, "everything fitted into the buffers: {received}");
}

#[tokio::test]
async fn a_reader_may_take_longer_than_the_wait_for_a_next_request() {
    let server = Server::start(limits(), config().with_reply_timeout(Duration::from_secs(60))).await;
    server.fake.answer_rows(60_000);
    let mut connection = Connection::open(server.address).await;
    connection.send(&post("/pull", &json(&pull_request()))).await;
    assert_eq!(connection.0.peek(&mut [0]).await.unwrap(), 1);
    // Others come and go for some time, and are cut off as idle.
    for _ in 0..3 {
        Connection::open(server.address).await.closed(PATIENCE).await;
    }
    assert_eq!(connection.answer().await.expect("cut off").status, 200);
    connection.closed(PATIENCE).await;
}

#[tokio::test]
async fn hundreds_of_idle_peers_delay_nobody() {
    let server = Server::start(Limits::default(), ServeConfig::default()).await;
    let mut peers = Vec::new();
    for _ in 0..500 {
        peers.push(Connection::open(server.address).await);
    }
    timeout(Duration::from_secs(2), server.client().pull(&pull_request())).await.expect("delayed").unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let server = Server::start(limits(), config().with_max_connections(4)).await;
    let mut peers = Vec::new();
    for _ in 0..8 {
        peers.push(Connection::open(server.address).await);
    }
    // Served once the silent ones before it are closed.
    within(PATIENCE, server.client().pull(&pull_request())).await.unwrap();
}

/// Answers when told to.
struct Waiting {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl SyncHandler for Waiting {
    async fn process_push(&self, _: &SyncContext, request: PushRequest) -> Result<PushReply> {
        self.begun.notify_one();
        self.go_on.notified().await;
        Ok(receipt(&request, 0))
    }
    async fn process_pull(&self, _: &SyncContext, _: PullRequest) -> Result<PullReply> {
        Ok(page(0))
    }
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish_and_closes_the_rest() {
    let (begun, go_on, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = Waiting { begun: Arc::clone(&begun), go_on: Arc::clone(&go_on) };
    let sync = SyncService::builder(handler).authenticate(authenticate).build();
    let (listener, address) = listen().await;
    let stopped = Arc::clone(&stop);
    let serving =
        tokio::spawn(serve(listener, sync, ServeConfig::default(), async move { stopped.notified().await }));

    let mut idle = Connection::open(address).await;
    assert_eq!(idle.ask(&post("/pull", &json(&pull_request()))).await.unwrap().status, 200);
    let client = HttpTransport::builder(format!("http://{address}")).bearer_token(TOKEN).build().unwrap();
    let push = tokio::spawn(async move { client.push(&push_request(1)).await });
    begun.notified().await;

    stop.notify_one();
    idle.closed(PATIENCE).await;
    assert!(!serving.is_finished());
    go_on.notify_one();
    push.await.unwrap().unwrap();
    within(PATIENCE, serving).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
