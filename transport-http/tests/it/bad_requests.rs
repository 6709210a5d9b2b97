//! Requests that are refused by their head: path, method, identity, type, encoding.

use crate::support::*;
use fastsync_transport_http::Limits;

#[tokio::test]
async fn paths_and_methods() {
    let body = json(&push_request(1));
    let paths = [
        "/",
        "/push/",
        "//push",
        "/%70ush",
        "/pus%68",
        "/PUSH",
        "/Push",
        "/push/../push",
        "/push/../admin",
        "/./push",
        "/push/pull",
        "/push;x=1",
        "/pushx",
        "/push%00",
        "/push%20",
        "/sync/push",
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
    for (path, status) in
        [("/push", 401), ("/push?x", 401), ("//push", 404), ("/%70ush", 404), ("/push/", 404)]
    {
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
    let zstd = (!cfg!(feature = "zstd")).then_some("zstd");
    for encoding in ["br", "deflate", "gzip, gzip", "gzip, zstd", "x"].into_iter().chain(zstd) {
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
    cases.push(case(
        "gzip of no JSON",
        post_with("/push", &["content-encoding: gzip"], &gzip(b"x")),
        400,
        "invalid_input",
    ));
    run(cases, Limits::default(), true).await;
}
