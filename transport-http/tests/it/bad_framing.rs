//! Bodies too large, endless, cut off or announced twice, and heads too large.

use crate::support::*;
use fastsync_core::{ErrorKind, Transport};
use fastsync_transport_http::{Limits, ServeConfig};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn sizes() {
    let limits = || Limits::default().with_body_bytes(10_000);
    let announced =
        |length: &str| raw("POST /push", &[&bearer(), JSON, &format!("content-length: {length}")], b"");
    // Only the head is sent: the answer comes without a byte of the body.
    let cases = vec![
        case("one over", announced("10001"), 413, "too_large"),
        case("far over", announced("9223372036854775807"), 413, "too_large"),
        case("one over, sent", post("/push", &vec![b' '; 10_001]), 413, "too_large"),
    ];
    run(cases, limits(), false).await;
    // Decompressed size: the connection is still in step.
    let packed = gzip(&[json(&push_request(1)), vec![b' '; 10_000]].concat());
    assert!(packed.len() < 1000);
    let cases = vec![case(
        "over once unpacked",
        post_with("/push", &["content-encoding: gzip"], &packed),
        413,
        "too_large",
    )];
    run(cases, limits(), true).await;
    // Exactly the limit is allowed.
    let server = Server::start(limits(), ServeConfig::default()).await;
    let mut body = json(&push_request(1));
    body.resize(10_000, b' ');
    assert_eq!(Connection::open(server.address).await.ask(&post("/push", &body)).await.unwrap().status, 200);
    let packed = post_with("/push", &["content-encoding: gzip"], &gzip(&body));
    assert_eq!(Connection::open(server.address).await.ask(&packed).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_endless_chunked_body_ends_at_the_limit() {
    let server = Server::start(Limits::default().with_body_bytes(100_000), patient()).await;
    let connection = Connection::open(server.address).await;
    let (read, mut write) = connection.0.into_split();
    let head = raw("POST /push", &[&bearer(), JSON, "transfer-encoding: chunked"], b"");
    let sender = tokio::spawn(async move {
        write.write_all(&head).await.unwrap();
        let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
        let mut sent = 0usize;
        while sent < 1 << 30 && write.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        sent
    });
    let mut reader = tokio::io::BufReader::new(read);
    let mut status = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut reader, &mut status).await.unwrap();
    assert!(status.starts_with("HTTP/1.1 413"), "{status}");
    let sent = in_time(sender).await.unwrap();
    assert!(sent < 1 << 30, "the connection was never closed");
    assert_eq!(server.fake.calls(), 0);
    server.client_still_works().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_reaches_no_handler() {
    let server = Server::start(Limits::default(), patient()).await;
    let body = json(&push_request(1));
    let length = format!("content-length: {}", body.len() + 10);
    let heads: [(&[&str], Vec<u8>); 3] = [
        (&[&length], body.clone()),
        (
            &["transfer-encoding: chunked"],
            [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat(),
        ),
        (&["transfer-encoding: chunked"], [b"zz\r\n", &*body].concat()),
    ];
    for (headers, body) in heads {
        let bearer = bearer();
        let headers: Vec<&str> = [&*bearer, JSON].into_iter().chain(headers.iter().copied()).collect();
        let mut connection = Connection::open(server.address).await;
        connection.send(&raw("POST /push", &headers, &body)).await;
        connection.0.shutdown().await.unwrap();
        let rest = connection.closed().await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
        assert_eq!(server.fake.calls(), 0);
    }
    server.client_still_works().await;
}

#[tokio::test]
async fn framing_that_could_smuggle_ends_the_connection() {
    let server = Server::start(Limits::default(), patient()).await;
    let body = json(&push_request(1));
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let smuggled = post("/pull", &json(&pull_request()));
    let (bearer, length) = (bearer(), format!("content-length: {}", body.len()));
    let with = |headers: &[&str], body: &[u8]| {
        let headers: Vec<&str> = [&*bearer, JSON].into_iter().chain(headers.iter().copied()).collect();
        [raw("POST /push", &headers, body), smuggled.clone()].concat()
    };
    // RFC 9112, 6.1 lets a server take the chunked coding if it closes afterwards: hyper does that.
    let both = [
        with(&["content-length: 4", "transfer-encoding: chunked"], &chunked),
        with(&["transfer-encoding: chunked", "content-length: 4"], &chunked),
    ];
    let refused = [
        with(&[&length, "content-length: 4"], &body),
        with(&["content-length: 4, 5"], &body),
        with(&["content-length: -1"], &body),
        with(&["content-length: +4"], &body),
        with(&["content-length: 99999999999999999999999"], &body),
        with(&["transfer-encoding: identity, gzip"], &body),
        with(&["transfer-encoding: chunked, gzip"], &chunked),
    ];
    for (request, allowed) in
        both.iter().map(|request| (request, true)).chain(refused.iter().map(|request| (request, false)))
    {
        for second in [false, true] {
            let mut connection = Connection::open(server.address).await;
            if second {
                assert_eq!(connection.ask(&post("/push", &body)).await.unwrap().status, 200);
            }
            let pulls = server.fake.pulls().len();
            connection.send(request).await;
            let rest = String::from_utf8(connection.closed().await).unwrap();
            assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{rest}");
            assert!(
                rest.starts_with("HTTP/1.1 400") || allowed && rest.starts_with("HTTP/1.1 200"),
                "{rest}"
            );
            assert_eq!(server.fake.pulls().len(), pulls, "the smuggled request was answered");
        }
    }
    server.client_still_works().await;
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let server = Server::start(Limits::default(), patient()).await;
    let long = format!("x-long: {}", "x".repeat(1 << 20));
    let many: Vec<String> = (0..10_000).map(|n| format!("x-{n}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let uri = format!("POST /push?{}", "x".repeat(1 << 20));
    for request in [raw("POST /push", &[&long], b""), raw("POST /push", &many, b""), raw(&uri, &[], b"")] {
        let mut connection = Connection::open(server.address).await;
        connection.send(&request).await;
        let rest = connection.closed().await;
        let text = String::from_utf8_lossy(&rest);
        assert!(text.is_empty() || ["431", "414", "400"].contains(&&text[9..12]), "{text}");
    }
    assert_eq!(server.fake.calls(), 0);
    server.client_still_works().await;
}

#[tokio::test]
async fn who_is_still_sending_a_refused_body_sees_why_it_is_refused() {
    let server = Server::start(Limits::default().with_body_bytes(100_000), patient()).await;
    for _ in 0..5 {
        // Everything is sent before anything is read: a reset would take the answer away.
        let answer = Connection::open(server.address).await.ask(&post("/push", &vec![b' '; 4 << 20])).await;
        assert_eq!(answer.expect("the answer was lost").status, 413);
        let error = server.client().push(&push_request(20_000).into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    }
    server.client_still_works().await;
}
