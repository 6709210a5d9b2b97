//! A server that is asked to stop.

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use async_trait::async_trait;
use fastsync_core::protocol::{PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::{Result, SyncContext, SyncHandler, Transport};
use fastsync_transport_http::{HttpTransport, ServeConfig, SyncService, serve};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Answers pushes when told to.
#[derive(Default)]
struct Waiting {
    begun: Notify,
    go_on: Notify,
}

#[derive(Clone, Default)]
struct Handler(Arc<Waiting>);

#[async_trait]
impl SyncHandler for Handler {
    async fn process_push(&self, _: &SyncContext, request: PushRequest) -> Result<PushReply> {
        self.0.begun.notify_one();
        self.0.go_on.notified().await;
        Ok(receipt(&request, 0))
    }
    async fn process_pull(&self, _: &SyncContext, _: PullRequest) -> Result<PullReply> {
        Ok(page(0))
    }
}

fn sync(handler: &Handler) -> SyncService {
    SyncService::builder(handler.clone()).authenticate(authenticate).build()
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish_and_closes_the_rest() {
    let (handler, stop) = (Handler::default(), Arc::new(Notify::new()));
    let (listener, address) = listen().await;
    let (stopped, service) = (Arc::clone(&stop), sync(&handler));
    let serving = tokio::spawn(serve(listener, service, patient(), async move { stopped.notified().await }));

    let mut idle = Connection::open(address).await;
    assert_eq!(idle.ask(&post("/pull", &json(&pull_request()))).await.unwrap().status, 200);
    let client = HttpTransport::builder(format!("http://{address}")).bearer_token(TOKEN).build().unwrap();
    let push = tokio::spawn(async move { client.push(&push_request(1).into()).await });
    handler.0.begun.notified().await;

    stop.notify_one();
    idle.closed().await;
    assert!(!serving.is_finished());
    handler.0.go_on.notify_one();
    push.await.unwrap().unwrap();
    in_time(serving).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Fails if requests may go on for ever, or for another time than is documented or set.
#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_a_request_no_longer_than_its_time() {
    for (config, seconds) in [
        (ServeConfig::default(), 30),
        (ServeConfig::default().with_shutdown_timeout(Duration::from_secs(7)), 7),
    ] {
        let handler = Handler::default();
        let server = Server::in_memory_with(sync(&handler), Fake::default(), config);
        let mut connection = server.address.connect();
        connection.send(&post("/push", &json(&push_request(1)))).await;
        handler.0.begun.notified().await;
        let begin = Instant::now();
        server.stop().await;
        assert_eq!(begin.elapsed().as_secs(), seconds);
        assert_eq!(connection.closed().await, b"");
    }
}

/// None of the limits is one of the handler's.
#[tokio::test(start_paused = true)]
async fn a_handler_may_take_its_time() {
    let handler = Handler::default();
    let server = Server::in_memory_with(sync(&handler), Fake::default(), ServeConfig::default());
    let mut connection = server.address.connect();
    connection.send(&post("/push", &json(&push_request(1)))).await;
    handler.0.begun.notified().await;
    sleep(Duration::from_secs(3_600)).await;
    handler.0.go_on.notify_one();
    assert_eq!(connection.answer().await.expect("cut off").status, 200);
}
