//! Slow links: a client that takes its time is served, and a reply that broke off is followed by a smaller one.

use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use fastsync_compat::http::CompatService;
use fastsync_core::*;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use serde_json::Value as Json;
use tokio::time::{Instant, Sleep, sleep};

fn service(world: &World) -> CompatService {
    CompatService::builder(world.compat.clone(), |_| ready(Ok(SyncContext::new("ada@home")))).build()
}

fn request<B>(path: &str, body: B) -> http::Request<B> {
    http::Request::post(path).header("content-type", "application/json").body(body).unwrap()
}

/// A body that comes in parts, one a second.
struct Dripping {
    parts: std::vec::IntoIter<Bytes>,
    wait: Pin<Box<Sleep>>,
}

impl http_body::Body for Dripping {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if self.wait.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.wait = Box::pin(sleep(Duration::from_secs(1)));
        Poll::Ready(self.parts.next().map(|part| Ok(Frame::data(part))))
    }
}

/// 2.1 MB at 25 KB/s: fails if the whole of a body has a time.
#[tokio::test(start_paused = true)]
async fn a_push_over_a_slow_link_arrives() {
    let world = world().await;
    let items: Vec<_> =
        (0..10_000).map(|n| pushed(&n.to_string(), "xxxxxxxxxxx", 1_000, 0, "home")).collect();
    let text = push_of("home", &items).to_string();
    assert!(text.len() > 2_100_000, "{}", text.len());
    let parts: Vec<_> = text.as_bytes().chunks(25_000).map(Bytes::copy_from_slice).collect();
    let begin = Instant::now();
    let body = Dripping { parts: parts.into_iter(), wait: Box::pin(sleep(Duration::from_secs(1))) };
    let answer = service(&world).handle(request("/push", body)).await;
    assert_eq!(answer.status(), 200);
    assert!(begin.elapsed() > Duration::from_secs(65), "{:?}", begin.elapsed());
    assert_eq!(world.items("ada@home").count(Selection::all()).await.unwrap(), 10_000);
}

fn pull_from(version: u64) -> http::Request<http_body_util::Full<Bytes>> {
    let text = format!(r#"{{"metadata":{{"Item":{{"syncZone":"home","version":{version}}}}}}}"#);
    request("/pull", http_body_util::Full::new(Bytes::from(text)))
}

/// 18 MB at 120 KB/s, and a client that waits for a minute and then asks for all of it again. Fails if it does so for ever.
#[tokio::test(start_paused = true)]
async fn a_pull_over_a_slow_link_arrives_in_smaller_replies() {
    const RATE: usize = 120_000;
    let world = world().await;
    let text = "x".repeat(700);
    for session in 0..18 {
        let all: Vec<_> = (0..1_000).map(|n| item(&format!("{session}-{n}"), &text)).collect();
        world.items("ada@home").add_many(&all).await.unwrap();
    }
    let service = service(&world);
    let (mut version, mut received, mut broken, mut replies) = (0, 0, 0, 0);
    while received < 18_000 {
        replies += 1;
        assert!(replies < 40, "without end: {received}");
        let mut body = service.handle(pull_from(version)).await.into_body();
        let begin = Instant::now();
        let mut bytes = Vec::new();
        // What is on its way is held back by the link.
        while begin.elapsed() < Duration::from_secs(60) && !body.is_end_stream() {
            let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
            sleep(Duration::from_secs_f64(data.len() as f64 / RATE as f64)).await;
            bytes.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            let answer: Json = serde_json::from_slice(&bytes).unwrap();
            received += names(&answer).len();
            version = answer["data"]["operationMetadata"]["metadata"]["Item"]["version"].as_u64().unwrap();
        } else {
            broken += 1;
        }
    }
    assert!(broken == 1, "{broken} of {replies} broke off");
}

/// Clients that take compressed replies get them; requests may be compressed as well.
#[tokio::test]
async fn a_reply_is_compressed_for_who_takes_it() {
    let world = world().await;
    let all: Vec<_> = (0..1_000).map(|n| item(&n.to_string(), "x")).collect();
    world.items("ada@home").add_many(&all).await.unwrap();
    let plain = service(&world).handle(pull_from(0)).await;
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain = plain.into_body().into_bytes();
    let mut asking = pull_from(0);
    asking.headers_mut().insert("accept-encoding", "gzip, deflate".parse().unwrap());
    let packed = service(&world).handle(asking).await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.into_body().into_bytes();
    assert!(packed.len() * 4 < plain.len(), "{} {}", packed.len(), plain.len());
}
