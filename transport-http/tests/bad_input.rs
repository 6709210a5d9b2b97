//! The catalogue of bad requests: each gets its status, reaches no handler, and spoils nothing, also as the second
//! request of a connection.

mod support;

use std::time::Duration;

use fastsync_transport_http::{Limits, ServeConfig};
use support::*;
use tokio::io::AsyncWriteExt;

struct Case {
    name: String,
    request: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn case(name: impl Into<String>, request: Vec<u8>, status: u16, code: &'static str) -> Case {
    Case { name: name.into(), request, status, code }
}

/// Each case alone and after a good request; with `stays_open` a good request follows on the same connection.
async fn run(cases: Vec<Case>, limits: Limits, stays_open: bool) {
    let server = Server::start(limits, ServeConfig::default()).await;
    let good = post("/push", &json(&push_request(1)));
    let mut calls = 0;
    for Case { name, request, status, code } in cases {
        for second in [false, true] {
            let mut connection = Connection::open(server.address).await;
            if second {
                assert_eq!(connection.ask(&good).await.unwrap().status, 200, "{name}");
                calls += 1;
            }
            let answer = connection.ask(&request).await.unwrap_or_else(|| panic!("{name}: no answer"));
            assert_eq!((answer.status, &*answer.code()), (status, code), "{name}: {}", answer.text());
            assert!(!answer.text().contains("canary"), "{name}: {}", answer.text());
            assert_eq!(server.fake.calls(), calls, "{name} reached the handler");
            if stays_open {
                assert_eq!(connection.ask(&good).await.unwrap().status, 200, "after {name}");
                calls += 1;
            } else {
                connection.closed(Duration::from_secs(5)).await;
            }
        }
    }
    server.client_still_works().await;
}

impl Server {
    async fn client_still_works(&self) {
        use fastsync_core::Transport;
        self.client().push(&push_request(2)).await.unwrap();
        self.client().pull(&pull_request()).await.unwrap();
    }
}

#[tokio::test]
async fn paths_and_methods() {
    let body = json(&push_request(1));
    let paths = [
        "/", "/push/", "//push", "/%70ush", "/pus%68", "/PUSH", "/Push", "/push/../push", "/push/../admin",
        "/./push", "/push/pull", "/push;x=1", "/pushx", "/push%00", "/push%20", "/sync/push",
    ];
    let mut cases: Vec<_> =
        paths.iter().map(|path| case(*path, post(path, &body), 404, "unsupported")).collect();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "post"] {
        let request = raw(&format!("{method} /push"), &[&bearer()], b"");
        cases.push(case(method, request, 405, "unsupported"));
    }
    run(cases, Limits::default(), true).await;
}

#[tokio::test]
async fn no_path_leads_around_authentication() {
    let server = Server::plain().await;
    let body = json(&push_request(1));
    let length = format!("content-length: {}", body.len());
    for (path, status) in [("/push", 401), ("/push?x", 401), ("//push", 404), ("/%70ush", 404), ("/push/", 404)] {
        let request = raw(&format!("POST {path}"), &[JSON, &length], &body);
        let answer = Connection::open(server.address).await.ask(&request).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(server.fake.calls(), 0);
}

#[tokio::test]
async fn all_refused_identities_get_one_answer() {
    let server = Server::plain().await;
    let body = json(&push_request(1));
    let length = format!("content-length: {}", body.len());
    let identities = [
        "x-none: 1",
        "authorization: canary",
        "authorization: Bearer",
        "authorization: Bearer wrong",
        "authorization: Basic Y2FuYXJ5",
        "authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.",
        "authorization: Bearer eyJraWQiOiIuLi8uLi8uLi9kZXYvbnVsbCJ9.e30.x",
        "authorization: Bearer \u{e9}",
    ];
    let mut answers = Vec::new();
    let mut ask = async |head: &str, identity: &str, body: &[u8], length: &str| {
        let request = raw(head, &[JSON, length, identity], body);
        let mut answer = Connection::open(server.address).await.ask(&request).await.unwrap();
        answer.head = answer.head.lines().filter(|line| !line.starts_with("date")).collect();
        answers.push(answer);
    };
    for identity in identities {
        ask("POST /push", identity, &body, &length).await;
    }
    // A token where it does not belong, and bodies that would be refused for other reasons later.
    ask(&format!("POST /push?access_token={TOKEN}&token={TOKEN}"), "x-none: 1", &body, &length).await;
    ask("POST /pull", "x-none: 1", b"not json", "content-length: 8").await;
    ask("POST /push", "content-encoding: zstd", b"x", "content-length: 1").await;
    ask("POST /push", "x-none: 1", b"", "content-length: 999999999").await;
    for answer in &answers {
        assert_eq!(answer.status, 401);
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(answers[0].code(), "unauthorized");
    assert_eq!(server.fake.calls(), 0);
    server.client_still_works().await;
}

#[tokio::test]
async fn content_types_and_encodings() {
    let body = json(&push_request(1));
    let length = format!("content-length: {}", body.len());
    let plain = |kind: &[&str]| {
        let bearer = bearer();
        let headers: Vec<&str> = [&*bearer, &*length].into_iter().chain(kind.iter().copied()).collect();
        raw("POST /push", &headers, &body)
    };
    let mut cases = vec![
        case("no type", plain(&[]), 415, "unsupported"),
        case("text", plain(&["content-type: text/plain"]), 415, "unsupported"),
        case("utf-16", plain(&["content-type: application/json; charset=utf-16"]), 415, "unsupported"),
        case("form", plain(&["content-type: application/x-www-form-urlencoded"]), 415, "unsupported"),
        case("two types", plain(&[JSON, "content-type: text/plain"]), 415, "unsupported"),
    ];
    for encoding in ["zstd", "br", "deflate", "gzip, gzip", "x"] {
        let request = post_with("/push", &[&format!("content-encoding: {encoding}")], &body);
        cases.push(case(encoding, request, 415, "unsupported"));
    }
    let packed = gzip(&body);
    let mut bad_checksum = packed.clone();
    let at = bad_checksum.len() - 6;
    bad_checksum[at] ^= 0xff;
    let malformed = [
        ("gzip on plain JSON", body.clone()),
        ("truncated gzip", packed[..packed.len() - 3].to_vec()),
        ("truncated deeper", packed[..packed.len() / 2].to_vec()),
        ("bad checksum", bad_checksum),
        ("trailing garbage", [&*packed, b"garbage"].concat()),
        ("two members", [&*packed, &*packed].concat()),
        ("10,000 empty members", gzip(b"").repeat(10_000)),
        ("nothing at all", Vec::new()),
    ];
    for (name, body) in malformed {
        let request = post_with("/push", &["content-encoding: gzip"], &body);
        cases.push(case(name, request, 400, "invalid_input"));
    }
    cases.push(case("gzip of no JSON", post_with("/push", &["content-encoding: gzip"], &gzip(b"x")), 400, "invalid_input"));
    run(cases, Limits::default(), true).await;
}

#[tokio::test]
async fn sizes() {
    let limits = || Limits::default().with_body_bytes(10_000);
    let announced = |length: &str| raw("POST /push", &[&bearer(), JSON, &format!("content-length: {length}")], b"");
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
    let cases = vec![case("over once unpacked", post_with("/push", &["content-encoding: gzip"], &packed), 413, "too_large")];
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
    let server = Server::start(Limits::default().with_body_bytes(100_000), ServeConfig::default()).await;
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
    let sent = within(Duration::from_secs(20), sender).await.unwrap();
    assert!(sent < 1 << 30, "the connection was never closed");
    assert_eq!(server.fake.calls(), 0);
    server.client_still_works().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_reaches_no_handler() {
    let server = Server::plain().await;
    let body = json(&push_request(1));
    let length = format!("content-length: {}", body.len() + 10);
    let heads: [(&[&str], Vec<u8>); 3] = [
        (&[&length], body.clone()),
        (&["transfer-encoding: chunked"], [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat()),
        (&["transfer-encoding: chunked"], [b"zz\r\n", &*body].concat()),
    ];
    for (headers, body) in heads {
        let bearer = bearer();
        let headers: Vec<&str> = [&*bearer, JSON].into_iter().chain(headers.iter().copied()).collect();
        let mut connection = Connection::open(server.address).await;
        connection.send(&raw("POST /push", &headers, &body)).await;
        connection.0.shutdown().await.unwrap();
        let rest = connection.closed(Duration::from_secs(5)).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
        assert_eq!(server.fake.calls(), 0);
    }
    server.client_still_works().await;
}

#[tokio::test]
async fn framing_that_could_smuggle_ends_the_connection() {
    let server = Server::plain().await;
    let body = json(&push_request(1));
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let smuggled = post("/pull", &json(&pull_request()));
    let (bearer, length) = (bearer(), format!("content-length: {}", body.len()));
    let with = |headers: &[&str], body: &[u8]| {
        let headers: Vec<&str> = [&*bearer, JSON].into_iter().chain(headers.iter().copied()).collect();
        [raw("POST /push", &headers, body), smuggled.clone()].concat()
    };
    // RFC 9112, 6.1 lets a server take the chunked coding if it closes afterwards: hyper does that.
    let both = [with(&["content-length: 4", "transfer-encoding: chunked"], &chunked),
        with(&["transfer-encoding: chunked", "content-length: 4"], &chunked)];
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
            let rest = String::from_utf8(connection.closed(Duration::from_secs(5)).await).unwrap();
            assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{rest}");
            assert!(rest.starts_with("HTTP/1.1 400") || allowed && rest.starts_with("HTTP/1.1 200"), "{rest}");
            assert_eq!(server.fake.pulls().len(), pulls, "the smuggled request was answered");
        }
    }
    server.client_still_works().await;
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let server = Server::plain().await;
    let long = format!("x-long: {}", "x".repeat(1 << 20));
    let many: Vec<String> = (0..10_000).map(|n| format!("x-{n}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let uri = format!("POST /push?{}", "x".repeat(1 << 20));
    for request in [raw("POST /push", &[&long], b""), raw("POST /push", &many, b""), raw(&uri, &[], b"")] {
        let mut connection = Connection::open(server.address).await;
        connection.send(&request).await;
        let rest = connection.closed(Duration::from_secs(10)).await;
        let text = String::from_utf8_lossy(&rest);
        assert!(text.is_empty() || ["431", "414", "400"].contains(&&text[9..12]), "{text}");
    }
    assert_eq!(server.fake.calls(), 0);
    server.client_still_works().await;
}

#[tokio::test]
async fn json_that_is_none() {
    let good = String::from_utf8(json(&push_request(1))).unwrap();
    let mut texts: Vec<(String, Vec<u8>)> = vec![
        ("nothing".into(), Vec::new()),
        ("blanks".into(), b"   ".to_vec()),
        ("BOM".into(), [b"\xef\xbb\xbf", good.as_bytes()].concat()),
        ("invalid UTF-8".into(), good.replace("quoted", "\u{1}").into_bytes().iter().map(|b| if *b == 1 { 0xff } else { *b }).collect()),
        ("UTF-16".into(), good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("trailing characters".into(), format!("{good}canary").into_bytes()),
        ("two objects".into(), format!("{good}{good}").into_bytes()),
        ("truncated".into(), good[..good.len() / 2].into()),
        ("single quotes".into(), good.replace('"', "'").into_bytes()),
        ("trailing comma".into(), good.replace("\"number\":1,", "\"number\":1,,").into_bytes()),
        ("unknown field".into(), good.replace("\"number\":1,", "\"number\":1,\"canary\":1,").into_bytes()),
        ("duplicate field".into(), good.replace("\"number\":1,", "\"number\":1,\"number\":2,").into_bytes()),
        ("missing field".into(), good.replace("\"number\":1,", "").into_bytes()),
        ("lone surrogate".into(), good.replace("quoted", "\\ud800").into_bytes()),
        ("pull instead of push".into(), json(&pull_request())),
    ];
    for number in [
        "\"1\"", "1.5", "-1", "18446744073709551616", "NaN", "Infinity", "-Infinity", "1e400", "null", "true", "[]", "{}",
        "01", "0x1", "+1", "\"canary\"",
    ] {
        texts.push((format!("number {number}"), good.replace("\"number\":1", &format!("\"number\":{number}")).into_bytes()));
    }
    for id in ["1", "null", "true", "[]", "{}", "\"\"", "\"a\\u0000b\"", "{\"$ne\":null}"] {
        texts.push((format!("id {id}"), good.replace("\"object-0\"", id).into_bytes()));
    }
    for top in ["null", "true", "1", "\"canary\"", "[]", "[1,2]", "{}", &format!("[{good}]")] {
        texts.push((format!("top {top}"), top.into()));
    }
    // serde alone would take the fields in order.
    let request = push_request(1);
    texts.push(("fields in an array".into(), json(&(request.metadata, request.session, 1, request.mode, request.payload))));
    for depth in [128, 1000, 500_000] {
        texts.push((format!("depth {depth}"), vec![b'['; depth]));
        let nested = format!("{}{}", "{\"a\":".repeat(depth), "1");
        texts.push((format!("objects of depth {depth}"), nested.into_bytes()));
        let inside = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        texts.push((format!("value of depth {depth}"), good.replace("\"object-0\"", &inside).into_bytes()));
    }
    let many = "0,".repeat(1_500_000);
    texts.push(("many devices".into(), good.replace("\"devices\":[", &format!("\"devices\":[{many}")).into_bytes()));
    texts.push(("many rows".into(), good.replace("\"rows\":[", &format!("\"rows\":[{many}")).into_bytes()));
    texts.push(("many empty objects".into(), format!("[{}{{}}]", "{},".repeat(1_000_000)).into_bytes()));
    for (name, text) in &texts {
        assert_ne!(text, good.as_bytes(), "{name} changes nothing");
    }
    let cases = texts.into_iter().map(|(name, text)| case(name, post("/push", &text), 400, "invalid_input")).collect();
    run(cases, Limits::default(), true).await;
}

#[tokio::test]
async fn a_request_of_another_protocol_is_told_so_whatever_its_form() {
    let good = String::from_utf8(json(&push_request(1))).unwrap();
    let later = good.replace("\"protocol\":1", "\"protocol\":2").replace("\"number\":1", "\"number\":1,\"more\":true");
    run(vec![case("later protocol", post("/push", later.as_bytes()), 426, "upgrade_required")], Limits::default(), true).await;
}
