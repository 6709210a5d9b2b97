//! What the client does unless told otherwise, and what it sends along.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;
use fastsync_core::{ErrorKind, Transport};
use fastsync_transport_http::{Format, HttpTransport, HttpTransportBuilder};
use http::{HeaderMap, HeaderValue};
use tokio::io::AsyncWriteExt;

/// The head and the body of the request that this client sends with a push of some rows.
async fn sent(
    set: impl FnOnce(HttpTransportBuilder) -> HttpTransportBuilder,
    host: &str,
) -> (String, Vec<u8>) {
    let (listener, address) = listen().await;
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let seen = read_request(&mut stream).await.unwrap();
        let body = json(&receipt(&push_request(20), 0));
        let head = format!("HTTP/1.1 200 OK\r\n{JSON}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        seen
    });
    let builder = HttpTransport::builder(format!("http://{host}:{}", address.port())).allow_plain_http();
    let client = set(builder).build().unwrap();
    in_time(client.push(&push_request(20).into())).await.unwrap();
    let (head, body) = in_time(seen).await.unwrap();
    (head.to_lowercase(), body)
}

#[test]
fn limits_are_as_documented() {
    let shown = format!("{:?}", HttpTransport::builder("https://example.com"));
    for limit in ["connect_timeout: 10s", "request_timeout: 60s", "response_bytes: 67108864"] {
        assert!(shown.contains(limit), "{limit}: {shown}");
    }
}

/// Fails if answers from this machine are asked for compressed, or those from others are not.
#[tokio::test]
async fn answers_are_asked_for_compressed_unless_they_come_from_this_machine() {
    let any = if cfg!(feature = "zstd") { "accept-encoding: zstd, gzip" } else { "accept-encoding: gzip" };
    let asks = |head: &str| head.lines().any(|line| line == any);
    for (set, asked) in [(None, false), (Some(true), true), (Some(false), false)] {
        let set = |builder: HttpTransportBuilder| match set {
            Some(accept) => builder.accept_compressed(accept),
            None => builder,
        };
        assert_eq!(asks(&sent(set, "127.0.0.1").await.0), asked);
    }
    if cfg!(windows) {
        println!("SKIPPED: this system has no second name of its own that is not called loopback");
        return;
    }
    // Another host for the client, and this one for the system.
    assert!(asks(&sent(|builder| builder, "0.0.0.0").await.0));
    assert!(!asks(&sent(|builder| builder.accept_compressed(false), "0.0.0.0").await.0));
}

/// Fails if requests are compressed unasked, or from another size on.
#[tokio::test]
async fn requests_over_the_limit_are_compressed() {
    let compressed = |head: &str| head.contains("content-encoding:");
    let (head, body) = sent(|builder| builder, "127.0.0.1").await;
    assert!(!compressed(&head), "off unless set");
    for (over, expected) in [(body.len(), false), (body.len() - 1, true), (0, true)] {
        let (head, sent) = sent(|builder| builder.compress_requests_over(over), "127.0.0.1").await;
        assert_eq!((compressed(&head), sent.len() < body.len()), (expected, expected), "{over}");
    }
}

#[tokio::test]
async fn requests_name_this_library_and_its_format() {
    let (head, _) = sent(|builder| builder, "127.0.0.1").await;
    let name = concat!("user-agent: fastsync-transport-http/", env!("CARGO_PKG_VERSION"));
    for line in [name, "accept: application/msgpack", "content-type: application/msgpack"] {
        assert!(head.lines().any(|have| have == line), "{line} is not in {head}");
    }
    assert!(!head.contains("authorization"), "{head}");
    // What is sent along never changes what the message is.
    let lie = || HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
    let (head, body) = sent(|builder| builder.format(Format::Json).headers(lie), "127.0.0.1").await;
    assert_eq!(body, json(&push_request(20)));
    assert_eq!(head.matches("content-type: application/json").count(), 1, "{head}");
    assert!(!head.contains("text/plain"), "{head}");
}

/// Fails if the token of the first attempt is used for the second, or one is asked for once and for all.
#[tokio::test]
async fn headers_are_asked_for_before_every_attempt() {
    let (listener, address) = listen().await;
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        for last in [false, true] {
            let (mut stream, _) = listener.accept().await.unwrap();
            seen.push(read_request(&mut stream).await.unwrap().0);
            let body = json(&page(0));
            let head = format!("HTTP/1.1 200 OK\r\n{JSON}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            if !last {
                // Takes the next request, and closes without a word.
                seen.push(read_request(&mut stream).await.unwrap().0);
            }
        }
        seen
    });
    let asked = Arc::new(AtomicUsize::new(0));
    let client = HttpTransport::builder(format!("http://{address}"))
        .headers(move || {
            let token = format!("Bearer {}", asked.fetch_add(1, Ordering::SeqCst));
            HeaderMap::from_iter([(http::header::AUTHORIZATION, token.parse().unwrap())])
        })
        .build()
        .unwrap();
    for _ in 0..2 {
        client.pull(&pull_request()).await.unwrap();
    }
    let seen = in_time(seen).await.unwrap();
    for (n, head) in seen.iter().enumerate() {
        assert!(head.contains(&format!("Bearer {n}\r\n")), "{n}: {head}");
    }
    assert_eq!(seen.len(), 3);
}

/// Fails if a server's words are taken at any length.
#[tokio::test]
async fn messages_of_any_length_are_told_in_512_characters() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        let message = "é".repeat(5_000);
        let body = format!(
            "{{\"error\":{{\"code\":\"constraint\",\"message\":\"{message}\",\"retryable\":false}}}}"
        );
        let head = format!("HTTP/1.1 422 No\r\n{JSON}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head, body].concat().into_bytes()).await.unwrap();
    });
    let client = HttpTransport::builder(format!("http://{address}")).build().unwrap();
    let error = pulled(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.message().chars().count()), (ErrorKind::Constraint, 512));
}
