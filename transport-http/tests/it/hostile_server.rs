//! Answers that no good server gives, and servers that give none: every one is a typed error within a time limit.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::*;
use fastsync_core::protocol::{Cursor, PullReply};
use fastsync_core::{Error, ErrorKind, Transport};
use fastsync_transport_http::HttpTransport;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, interval};

/// A server that gives these answers, each on a connection of its own, and then closes.
async fn scripted(answers: Vec<Vec<u8>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut answers = VecDeque::from(answers);
        while let Ok((mut stream, _)) = listener.accept().await {
            if read_request(&mut stream).await.is_some() {
                seen.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(&answers.pop_front().unwrap_or_default()).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    (address, requests)
}

fn client(address: SocketAddr) -> HttpTransport {
    HttpTransport::builder(format!("http://{address}"))
        .bearer_token(TOKEN)
        .response_bytes(1 << 20)
        .request_timeout(PATIENCE / 2)
        .build()
        .unwrap()
}

fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", &[JSON], body)
}

fn keeps_the_token(error: &Error) {
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        shown.push_str(&format!("{inner} {inner:?}"));
        cause = inner.source();
    }
    assert!(!shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn answers_that_are_none() {
    let good = json(&page(3));
    let text = String::from_utf8(good.clone()).unwrap();
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    let html = b"<html>Please log in to the hotel</html>";
    let unknown = text.replace("\"caught_up\"", "\"x\":[{\"caught_up\":null}],\"caught_up\"");
    let packed = gzip(&good);
    let gzipped = [JSON, "content-encoding: gzip"];
    let large = vec![b' '; (1 << 20) + 1];
    let announced =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n";
    let endless = [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".as_slice(), // until it closes
        &large,
    ];
    let cut = ok(&good);
    let cases: Vec<(&str, Vec<u8>, ErrorKind)> = vec![
        ("a page with 200", answer("200 OK", &["content-type: text/html"], html), ErrorKind::Unavailable),
        ("a page called JSON", ok(html), ErrorKind::Protocol),
        ("JSON without a type", answer("200 OK", &[], &good), ErrorKind::Unavailable),
        ("nothing", ok(b""), ErrorKind::Protocol),
        ("204", answer("204 No Content", &[], b""), ErrorKind::Unavailable),
        ("201", answer("201 Created", &[JSON], &good), ErrorKind::Unavailable),
        ("half of the JSON", ok(&good[..good.len() / 2]), ErrorKind::Protocol),
        ("null", ok(b"null"), ErrorKind::Protocol),
        ("[]", ok(b"[]"), ErrorKind::Protocol),
        ("{}", ok(b"{}"), ErrorKind::Protocol),
        ("another answer", ok(&json(&receipt(&push_request(1), 0))), ErrorKind::Protocol),
        (
            "unknown member that is too deep",
            ok(text.replace("\"caught_up\"", &format!("\"x\":{deep},\"caught_up\"")).as_bytes()),
            ErrorKind::Protocol,
        ),
        (
            "a member twice",
            ok(text.replace("\"caught_up\"", "\"remaining\":1,\"caught_up\"").as_bytes()),
            ErrorKind::Protocol,
        ),
        ("more after it", ok(format!("{text}x").as_bytes()), ErrorKind::Protocol),
        (
            "invalid UTF-8",
            ok(&text
                .replace("quoted", "\u{1}")
                .bytes()
                .map(|b| if b == 1 { 0xff } else { b })
                .collect::<Vec<_>>()),
            ErrorKind::Protocol,
        ),
        ("too large", ok(&large), ErrorKind::Protocol),
        ("too large by its length", announced.to_vec(), ErrorKind::Protocol),
        ("endless", endless.concat(), ErrorKind::Protocol),
        ("too large unpacked", answer("200 OK", &gzipped, &gzip(&large)), ErrorKind::Protocol),
        ("cut gzip", answer("200 OK", &gzipped, &packed[..packed.len() - 4]), ErrorKind::Protocol),
        ("no gzip", answer("200 OK", &gzipped, &good), ErrorKind::Protocol),
        ("zstd", answer("200 OK", &[JSON, "content-encoding: zstd"], &good), ErrorKind::Protocol),
        ("connection cut", cut[..cut.len() - 10].to_vec(), ErrorKind::Unavailable),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), ErrorKind::Unavailable),
        ("closed", Vec::new(), ErrorKind::Unavailable),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-".to_vec(), ErrorKind::Unavailable),
        (
            "huge head",
            answer("200 OK", &[&format!("x: {}", "x".repeat(1 << 20))], b""),
            ErrorKind::Unavailable,
        ),
    ];
    let (names, rest): (Vec<_>, Vec<_>) =
        cases.into_iter().map(|(name, answer, kind)| (name, (answer, kind))).unzip();
    let (answers, kinds): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
    let (address, requests) = scripted([answers, vec![ok(&good), ok(unknown.as_bytes())]].concat()).await;
    let client = client(address);
    for (at, (name, kind)) in names.iter().zip(kinds).enumerate() {
        let error = in_time(pulled(&client)).await.expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error:?}");
        assert!(
            !error.message().contains("hotel") && !error.message().contains("object-"),
            "{name}: {error}"
        );
        assert_eq!(requests.load(Ordering::SeqCst), at + 1, "{name} was asked for again");
        keeps_the_token(&error);
    }
    assert_eq!(pulled(&client).await.unwrap(), page(3));
    assert_eq!(pulled(&client).await.unwrap(), page(3), "what is unknown is ignored");
}

#[tokio::test]
async fn refusals() {
    let page = b"<html>nginx</html>";
    let html = "content-type: text/html";
    let error =
        |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"why\u0007","retryable":true}}}}"#);
    // The longest refusal that is read, and one byte more.
    const LONGEST: usize = 64 << 10;
    let of_length =
        |bytes: usize| format!("{}{}", error("bad_cursor"), " ".repeat(bytes - error("bad_cursor").len()));
    let cases: Vec<(Vec<u8>, ErrorKind, Option<&str>)> = vec![
        // What a firewall or a sign-in page says is no word of the server's about this user or this request.
        (answer("200 OK", &[html], page), ErrorKind::Unavailable, None),
        (answer("400 Bad", &[html], page), ErrorKind::Unavailable, None),
        (answer("401 Unauthorized", &[html], page), ErrorKind::Unavailable, None),
        (answer("401 Unauthorized", &[JSON], b"{\"reason\":\"portal\"}"), ErrorKind::Unavailable, None),
        (
            answer("401 Unauthorized", &[JSON], error("unauthorized").as_bytes()),
            ErrorKind::Unauthorized,
            None,
        ),
        (answer("403 Forbidden", &[html], page), ErrorKind::Unavailable, None),
        (answer("404 Not Found", &[html], page), ErrorKind::Unavailable, None),
        (answer("426 Upgrade", &[html], page), ErrorKind::Unavailable, None),
        (answer("511 Network Authentication Required", &[html], page), ErrorKind::Unavailable, None),
        (answer("413 Too Large", &[html], page), ErrorKind::TooLarge, None),
        (answer("429 Slow", &[html, "retry-after: 7"], page), ErrorKind::Unavailable, Some("7")),
        (answer("500 Oops", &[html], page), ErrorKind::Unavailable, None),
        (answer("502 Bad Gateway", &[html], page), ErrorKind::Unavailable, None),
        (answer("503 Busy", &[html, "retry-after: 0"], page), ErrorKind::Unavailable, Some("1")),
        (answer("503 Busy", &[html, "retry-after: 1000000000"], page), ErrorKind::Unavailable, Some("900")),
        (
            answer("503 Busy", &[html, "retry-after: Fri, 31 Dec 1999 23:59:59 GMT"], page),
            ErrorKind::Unavailable,
            None,
        ),
        (answer("503 Busy", &[html, "retry-after: soon"], page), ErrorKind::Unavailable, None),
        (answer("504 Late", &[html], page), ErrorKind::Timeout, None),
        (answer("400 Bad", &[JSON], error("bad_cursor").as_bytes()), ErrorKind::BadCursor, None),
        (
            answer("409 Conflict", &[JSON, "retry-after: 1"], error("contention").as_bytes()),
            ErrorKind::Contention,
            Some("1"),
        ),
        (answer("503 Busy", &[JSON], error("of_the_future").as_bytes()), ErrorKind::Unavailable, None),
        (answer("503 Busy", &[JSON], b"{\"error\":"), ErrorKind::Unavailable, None),
        (answer("503 Busy", &[JSON], &vec![b' '; 1 << 20]), ErrorKind::Unavailable, None),
        (answer("503 Busy", &[JSON], of_length(LONGEST).as_bytes()), ErrorKind::BadCursor, None),
        (answer("503 Busy", &[JSON], of_length(LONGEST + 1).as_bytes()), ErrorKind::Unavailable, None),
    ];
    let (address, _) = scripted(cases.iter().map(|(answer, ..)| answer.clone()).collect()).await;
    let client = client(address);
    for (answer, kind, later) in cases {
        let error = client.push(&push_request(1).into()).await.unwrap_err();
        let answer = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
        assert_eq!(error.kind(), kind, "{answer}");
        let told = error.context().find(|(key, _)| *key == "retry_after").map(|(_, value)| value);
        assert_eq!(told, later, "{answer}");
        assert!(error.context().any(|(key, _)| key == "status"));
        assert!(!error.to_string().contains(['<', '\u{7}']), "{error}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, visits) = scripted(Vec::new()).await;
    let targets =
        [format!("http://{elsewhere}/push"), "http://example.invalid/".to_owned(), "/push".to_owned()];
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        for target in &targets {
            let (address, requests) =
                scripted(vec![answer(status, &[&format!("location: {target}")], b"")]).await;
            let error = client(address).push(&push_request(1).into()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.message().contains("redirect"), "{error}");
            assert_eq!(requests.load(Ordering::SeqCst), 1);
        }
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_is_there() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = client(address).push(&push_request(1).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.is_retryable());
    keeps_the_token(&error);
}

/// Nothing but the limit ends these requests: a busy machine makes them longer and no other.
#[tokio::test]
async fn a_server_that_says_nothing_or_says_it_slowly_runs_into_the_time_limit() {
    let limit = Duration::from_millis(200);
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut kept = Vec::new();
        // One that only accepts, one that drips its answer.
        kept.push(listener.accept().await.unwrap().0);
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        let mut ticks = interval(Duration::from_millis(20));
        for byte in ok(&json(&page(1_000))) {
            ticks.tick().await;
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        kept.push(stream);
    });
    let client = HttpTransport::builder(format!("http://{address}"))
        .bearer_token(TOKEN)
        .request_timeout(limit)
        .build()
        .unwrap();
    for _ in 0..2 {
        let begin = Instant::now();
        let error = in_time(pulled(&client)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
        assert!(begin.elapsed() >= limit, "{:?}", begin.elapsed());
        keeps_the_token(&error);
    }
}

/// The server takes the connection, and says nothing: not even that it speaks TLS.
#[tokio::test]
async fn a_tls_server_that_only_accepts_runs_into_the_limit_of_connecting() {
    let (listener, address) = listen().await;
    let silent = tokio::spawn(async move { listener.accept().await });
    let client = HttpTransport::builder(format!("https://{address}"))
        .connect_timeout(Duration::from_millis(200))
        .request_timeout(PATIENCE / 2)
        .build()
        .unwrap();
    let error = in_time(pulled(&client)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "the request's own limit is a `Timeout`: {error:?}");
    drop(silent.await.unwrap());
}

#[tokio::test]
async fn a_pooled_connection_that_died_is_no_error() {
    let (listener, address) = listen().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            opened.fetch_add(1, Ordering::SeqCst);
            read_request(&mut stream).await.unwrap();
            stream.write_all(&ok(&json(&page(1)))).await.unwrap();
            // It takes the next request, and closes without a word.
            let _ = read_request(&mut stream).await;
        }
    });
    let client = client(address);
    for expected in 1..=5 {
        assert_eq!(pulled(&client).await.unwrap(), page(1));
        assert_eq!(connections.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test]
async fn requests_look_as_documented() {
    let (listener, address) = listen().await;
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, body) = read_request(&mut stream).await.unwrap();
        stream.write_all(&ok(&json(&receipt(&push_request(2), 0)))).await.unwrap();
        (head.to_lowercase(), body)
    });
    let client = HttpTransport::builder(format!("http://{address}/a/b/"))
        .bearer_token(TOKEN)
        .accept_compressed(true)
        .user_agent("todo/1")
        .build()
        .unwrap();
    assert!(!format!("{client:?}").contains(TOKEN));
    client.push(&push_request(2).into()).await.unwrap();
    let (head, body) = seen.await.unwrap();
    assert_eq!(body, message_pack(&push_request(2)));
    for line in [
        "post /a/b/push http/1.1",
        "content-type: application/msgpack",
        "accept: application/msgpack",
        if cfg!(feature = "zstd") { "accept-encoding: zstd, gzip" } else { "accept-encoding: gzip" },
        "user-agent: todo/1",
        &format!("host: {address}"),
        &bearer().to_lowercase(),
    ] {
        assert!(head.lines().any(|have| have == line), "{line} is not in {head}");
    }
}

#[tokio::test]
async fn what_breaks_after_the_cursor_is_an_error_of_the_reading() {
    let PullReply::Page(mut page) = page(3) else { unreachable!() };
    page.caught_up = false;
    let page = PullReply::Page(page);
    let (good, mut bad) = (json(&page), json(&page));
    bad.truncate(bad.len() - 5);
    let (address, _) = scripted(vec![ok(&good), ok(&bad), ok(&bad)]).await;
    let client = client(address);
    let next = Cursor::from("next".to_owned());
    let answer = client.pull(&pull_request()).await.unwrap();
    assert_eq!(answer.next(), Some(&next));
    assert_eq!(answer.read().await.unwrap(), page);
    let answer = client.pull(&pull_request()).await.unwrap();
    assert_eq!(answer.next(), Some(&next), "the beginning is as it should be");
    assert_eq!(answer.read().await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(pulled(&client).await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn configuration_errors_come_together_and_hold_no_secret() {
    let builder = HttpTransport::builder("http://example.com")
        .bearer_token(format!("{TOKEN}\n"))
        .user_agent("a\nb")
        .root_certificates_pem("no certificate");
    assert!(!format!("{builder:?}").contains(TOKEN));
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in ["plain http", "token", "user agent", "root certificates"] {
        assert!(error.message().contains(part), "{error}");
    }
    keeps_the_token(&error);
}
