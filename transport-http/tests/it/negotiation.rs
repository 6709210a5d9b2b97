//! Formats and codings: each pair through real sockets, and with servers that know fewer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::support::*;
use fastsync_core::protocol::{Compact, PullReply, PushReply};
use fastsync_core::{ErrorKind, Outgoing, Transport};
use fastsync_transport_http::{Format, HttpTransport, Limits};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

fn client(address: SocketAddr, format: Format, compressed: bool) -> HttpTransport {
    let builder = HttpTransport::builder(format!("http://{address}"))
        .bearer_token(TOKEN)
        .format(format)
        .accept_compressed(compressed);
    if compressed { builder.compress_requests_over(100) } else { builder }.build().unwrap()
}

#[tokio::test]
async fn every_format_and_coding_says_the_same() {
    for format in [Format::Json, Format::MessagePack] {
        for compressed in [false, true] {
            let server = Server::plain().await;
            server.fake.answer_rows(100);
            let client = client(server.address, format, compressed);
            let push = push_request(120);
            assert_eq!(
                client.push(&push.clone().into()).await.unwrap(),
                receipt(&push, 100),
                "{format:?} {compressed}"
            );
            assert_eq!(pulled(&client).await.unwrap(), page(100), "{format:?} {compressed}");
            assert_eq!(server.fake.pushes(), [push]);
            assert_eq!(server.fake.pulls(), [pull_request()]);
        }
    }
}

#[tokio::test]
async fn the_answer_is_what_accept_asks_for_whatever_was_sent() {
    let server = Server::plain().await;
    server.fake.answer_rows(3);
    let plain = json(&push_request(2));
    let binary = message_pack(&push_request(2));
    let accept = "accept: application/msgpack";
    let expected = receipt(&push_request(2), 3);
    let mut connection = Connection::open(server.address).await;
    for request in [post("/push", &plain), post_binary("/push", &[], &binary)] {
        let answer = connection.ask(&request).await.unwrap();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("vary"), Some("accept, accept-encoding"));
        assert_eq!(serde_json::from_slice::<PushReply>(&answer.body).unwrap(), expected);
    }
    for request in [post_with("/push", &[accept], &plain), post_binary("/push", &[accept], &binary)] {
        let answer = connection.ask(&request).await.unwrap();
        assert_eq!(answer.header("content-type"), Some("application/msgpack"));
        let Compact(reply) = rmp_serde::from_slice::<Compact<PushReply>>(&answer.body).unwrap();
        assert_eq!(reply, expected);
    }
    // What is refused is told in JSON.
    server.fake.fail_with(Some((ErrorKind::Contention, "")));
    let answer = connection.ask(&post_binary("/push", &[accept], &binary)).await.unwrap();
    assert_eq!((answer.status, &*answer.code()), (409, "contention"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn codings_go_with_both_formats() {
    let server = Server::plain().await;
    server.fake.answer_rows(500);
    let mut connection = Connection::open(server.address).await;
    let plain = connection.ask(&post("/pull", &json(&pull_request()))).await.unwrap();
    let ask = "accept-encoding: zstd;q=0.5, gzip;q=0.1";
    let coding = if cfg!(feature = "zstd") { "zstd" } else { "gzip" };
    for accept in ["accept: application/json", "accept: application/msgpack"] {
        let request = post_with("/pull", &[accept, ask], &json(&pull_request()));
        let packed = connection.ask(&request).await.unwrap();
        assert_eq!(packed.header("content-encoding"), Some(coding), "{accept}");
        assert!(packed.body.len() * 5 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
        let request = post_with("/pull", &[accept, "accept-encoding: gzip"], &json(&pull_request()));
        let packed = connection.ask(&request).await.unwrap();
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{accept}");
    }
}

/// What a server that knows only `formats` and `codings` saw: content type and coding of each request.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

fn full(bytes: impl Into<bytes::Bytes>) -> Full<bytes::Bytes> {
    Full::new(bytes.into())
}

/// A server of another version in front of `fake`: what it does not know, it answers with 415 and does not read.
async fn other_version(
    fake: &Fake,
    types: &'static [&'static str],
    codings: &'static [&'static str],
) -> (SocketAddr, Seen) {
    let sync = service(fake, Limits::default());
    let seen = Seen::default();
    let (listener, address) = listen().await;
    let record = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sync, record) = (sync.clone(), Arc::clone(&record));
            let answer = service_fn(move |mut request: Request<Incoming>| {
                let (sync, record) = (sync.clone(), Arc::clone(&record));
                async move {
                    let header = |name: &str| {
                        request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
                    };
                    let (kind, coding) =
                        (header("content-type").unwrap(), header("content-encoding").unwrap_or_default());
                    record.lock().unwrap().push((kind.clone(), coding.clone()));
                    if !types.contains(&&*kind) || !(coding.is_empty() || codings.contains(&&*coding)) {
                        let text = r#"{"error":{"code":"unsupported","message":"no","retryable":false}}"#;
                        let answer =
                            Response::builder().status(415).header("content-type", "application/json");
                        return Ok::<_, Infallible>(answer.body(full(text)).unwrap());
                    }
                    if !types.contains(&"application/msgpack") {
                        request.headers_mut().remove("accept");
                    }
                    request.headers_mut().remove("accept-encoding");
                    let (parts, body) = sync.handle(request).await.into_parts();
                    Ok(Response::from_parts(parts, full(body.into_bytes())))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    (address, seen)
}

fn seen(of: &Seen) -> Vec<(String, String)> {
    std::mem::take(&mut of.lock().unwrap())
}

fn as_sent(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(kind, coding)| ((*kind).to_owned(), (*coding).to_owned())).collect()
}

const JSON_TYPE: &str = "application/json";
const BINARY_TYPE: &str = "application/msgpack";

#[tokio::test]
async fn a_server_that_knows_only_json_gets_json_and_everything_once() {
    let fake = Fake::default();
    let (address, of) = other_version(&fake, &[JSON_TYPE], &["gzip"]).await;
    let client = client(address, Format::MessagePack, false);
    let push = push_request(20);
    assert_eq!(client.push(&push.clone().into()).await.unwrap(), receipt(&push, 0));
    assert_eq!(seen(&of), as_sent(&[(BINARY_TYPE, ""), (JSON_TYPE, "")]));
    // It is remembered, by clones too.
    assert_eq!(pulled(&client.clone()).await.unwrap(), page(0));
    client.push(&push.clone().into()).await.unwrap();
    assert_eq!(seen(&of), as_sent(&[(JSON_TYPE, ""), (JSON_TYPE, "")]));
    assert_eq!(fake.pushes(), [push.clone(), push]);
    assert_eq!(fake.pulls(), [pull_request()]);
}

#[tokio::test]
async fn a_push_that_was_prepared_in_another_form_is_written_again() {
    let fake = Fake::default();
    let (address, of) = other_version(&fake, &[JSON_TYPE], &["gzip"]).await;
    let client = client(address, Format::MessagePack, false);
    let push = push_request(20);
    let prepare = || {
        let outgoing = Outgoing::from(push.clone());
        client.prepare(&outgoing);
        outgoing
    };
    for prepared in [prepare(), prepare()] {
        // The first is refused; by then it is known that the second would be, too.
        assert_eq!(client.push(&prepared).await.unwrap(), receipt(&push, 0));
    }
    client.push(&prepare()).await.unwrap();
    let expected = [(BINARY_TYPE, ""), (JSON_TYPE, ""), (JSON_TYPE, ""), (JSON_TYPE, "")];
    assert_eq!(seen(&of), as_sent(&expected));
    assert_eq!(fake.pushes(), [push.clone(), push.clone(), push.clone()]);
    // What another transport has prepared is of no use.
    let prepared = Outgoing::from(push.clone());
    prepared.keep(());
    client.push(&prepared).await.unwrap();
    assert_eq!(fake.calls(), 4);
}

#[tokio::test]
async fn an_older_server_gets_compressed_requests_it_knows() {
    let fake = Fake::default();
    let (address, of) = other_version(&fake, &[JSON_TYPE], &["gzip"]).await;
    let client = client(address, Format::MessagePack, true);
    let push = push_request(20);
    for _ in 0..2 {
        assert_eq!(client.push(&push.clone().into()).await.unwrap(), receipt(&push, 0));
    }
    let mut expected = vec![(BINARY_TYPE, "gzip"), (JSON_TYPE, "gzip"), (JSON_TYPE, "gzip")];
    if cfg!(feature = "zstd") {
        expected.insert(0, (BINARY_TYPE, "zstd"));
    }
    assert_eq!(seen(&of), as_sent(&expected));
    assert_eq!(fake.calls(), 2);
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn a_server_without_zstd_still_gets_message_pack() {
    let fake = Fake::default();
    let (address, of) = other_version(&fake, &[JSON_TYPE, BINARY_TYPE], &["gzip"]).await;
    let client = client(address, Format::MessagePack, true);
    client.push(&push_request(20).into()).await.unwrap();
    client.push(&push_request(20).into()).await.unwrap();
    let expected = [(BINARY_TYPE, "zstd"), (BINARY_TYPE, "gzip"), (BINARY_TYPE, "gzip")];
    assert_eq!(seen(&of), as_sent(&expected));
}

#[tokio::test]
async fn a_server_that_knows_nothing_is_asked_once_in_each_form() {
    let fake = Fake::default();
    let (address, of) = other_version(&fake, &[], &[]).await;
    let client = client(address, Format::MessagePack, false);
    for forms in [&[(BINARY_TYPE, ""), (JSON_TYPE, "")] as &[_], &[(JSON_TYPE, "")]] {
        let error = client.push(&push_request(1).into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert_eq!(seen(&of), as_sent(forms));
    }
    assert_eq!(fake.calls(), 0);
}

#[tokio::test]
async fn an_answer_in_another_format_than_asked_for_is_read() {
    let server = Server::plain().await;
    server.fake.answer_rows(2);
    let answer = Connection::open(server.address)
        .await
        .ask(&post_with(
            "/pull",
            &["accept: application/msgpack, application/json;q=0.9"],
            &json(&pull_request()),
        ))
        .await
        .unwrap();
    let Compact(reply) = rmp_serde::from_slice::<Compact<PullReply>>(&answer.body).unwrap();
    assert_eq!(reply, page(2));
}
