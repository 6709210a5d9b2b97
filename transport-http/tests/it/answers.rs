//! What answers carry beside their message, who gets which, and the documented limits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use fastsync_core::{Error, ErrorKind, SyncContext};
use fastsync_transport_http::{Limits, ServeConfig, SyncService};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

type Asked = Request<Full<Bytes>>;

fn pull() -> Asked {
    Request::post("/pull")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Full::new(json(&pull_request()).into()))
        .unwrap()
}

fn with(mut request: Asked, name: &'static str, value: &str) -> Asked {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn code(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn header<'a, B>(response: &'a Response<B>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Fails if a header of the binding is left out, or is there where it says something wrong.
#[tokio::test]
async fn every_answer_says_what_to_do_with_it() {
    let fake = Fake::default();
    let service = service(&fake, Limits::default().with_body_bytes(1_000));
    let mut get = pull();
    *get.method_mut() = Method::GET;
    let refused = [
        (get, 405),
        (with(pull(), "authorization", "Bearer wrong"), 401),
        (with(pull(), "content-type", "text/plain"), 415),
        (with(pull(), "content-length", "1001"), 413),
    ];
    let mut answers = vec![(service.handle(pull()).await, 200, None)];
    for (request, status) in refused {
        // The rest of this body is not read.
        answers.push((service.handle(request).await, status, (status == 413).then_some("close")));
    }
    for kind in ErrorKind::ALL.iter().copied() {
        fake.fail_with(Some((kind, "why")));
        let response = service.handle(pull()).await;
        let status = response.status().as_u16();
        let later = matches!(kind, ErrorKind::Contention | ErrorKind::Unavailable);
        assert_eq!(header(&response, "retry-after").is_some(), later, "{kind}");
        answers.push((response, status, None));
    }
    for (answer, status, closes) in answers {
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{status}");
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"), "{status}");
        assert_eq!(header(&answer, "content-type"), Some("application/json"), "{status}");
        assert_eq!(header(&answer, "vary").is_some(), status == 200, "{status}");
        assert_eq!(header(&answer, "allow"), (status == 405).then_some("POST"), "{status}");
        assert_eq!(header(&answer, "www-authenticate"), (status == 401).then_some("Bearer"), "{status}");
        assert_eq!(header(&answer, "connection"), closes, "{status}");
    }
}

/// Each request is refused by the first of the checks that it fails.
#[tokio::test]
async fn the_order_of_checks() {
    let fake = Fake::default();
    let service = service(&fake, Limits::default());
    let mut request = Request::get("/elsewhere")
        .header("content-length", "99999999999")
        .header("content-encoding", "br")
        .body(Full::new(Bytes::from_static(b"{")))
        .unwrap();
    let mend: [fn(&mut Asked); 7] = [
        |request| *request.uri_mut() = "/pull?query=1".parse().unwrap(),
        |request| *request.method_mut() = Method::POST,
        |request| *request = with(request.clone(), "authorization", &format!("Bearer {TOKEN}")),
        |request| *request = with(request.clone(), "content-type", "application/json"),
        |request| *request = with(request.clone(), "content-encoding", "identity"),
        |request| drop(request.headers_mut().remove("content-length")),
        |request| *request.body_mut() = Full::new(json(&pull_request()).into()),
    ];
    let mut seen = vec![service.handle(request.clone()).await.status().as_u16()];
    for mend in mend {
        mend(&mut request);
        seen.push(service.handle(request.clone()).await.status().as_u16());
    }
    assert_eq!(seen, [404, 405, 401, 415, 415, 413, 400, 200]);
    assert_eq!(fake.calls(), 1);
}

/// Fails if a failure to find out passes for a refusal, after which a client signs out, or the other way round; or if
/// the server's log is not told.
#[tokio::test]
async fn an_identity_that_cannot_be_found_out_is_no_wrong_one() {
    for kind in ErrorKind::ALL.iter().copied() {
        let expected = match kind {
            ErrorKind::Unavailable => 503,
            ErrorKind::Timeout => 504,
            ErrorKind::Contention => 409,
            ErrorKind::Config | ErrorKind::Corrupt | ErrorKind::Backend => 500,
            ErrorKind::StorageFull => 507,
            ErrorKind::Protocol => 502,
            _ => 401,
        };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let service = SyncService::builder(Fake::default())
            .authenticate(move |_: &http::request::Parts| -> fastsync_core::Result<SyncContext> {
                Err(Error::new(kind, "authenticate", "canary"))
            })
            .on_error(move |error| hears.lock().unwrap().push(error.message().to_owned()))
            .build();
        let response = service.handle(pull()).await;
        assert_eq!(response.status(), expected, "{kind}");
        let body = response.into_body().into_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("canary"));
        assert_eq!(code(&body), if expected == 401 { "unauthorized" } else { kind.code() });
        assert_eq!(*heard.lock().unwrap(), ["canary"]);
    }
}

/// Fails if the path in front is optional, is cut off twice, or need not end where the route begins.
#[tokio::test]
async fn a_mounted_service_answers_below_its_path_only() {
    for mount in ["/a/b", "a/b", "/a/b/"] {
        let service =
            SyncService::builder(Fake::default()).authenticate(authenticate).mounted_at(mount).build();
        for (path, status) in [
            ("/a/b/pull", 200),
            ("/pull", 404),
            ("/a/b", 404),
            ("/a/bpull", 404),
            ("/a/b//pull", 404),
            ("/a/b/a/b/pull", 404),
            ("/A/b/pull", 404),
        ] {
            let mut request = pull();
            *request.uri_mut() = path.parse().unwrap();
            assert_eq!(service.handle(request).await.status(), status, "{mount} {path}");
        }
    }
}

#[tokio::test]
async fn messages_of_any_length_are_told_in_512_characters() {
    let fake = Fake::default();
    let service = service(&fake, Limits::default());
    for (length, told) in [(512, 512), (513, 512), (100_000, 512)] {
        fake.fail_with(Some((ErrorKind::Constraint, Box::leak("é".repeat(length).into_boxed_str()))));
        let response = service.handle(pull()).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let body = String::from_utf8(response.into_body().into_bytes().to_vec()).unwrap();
        assert_eq!(body.matches('é').count(), told);
    }
}

/// Fails if the limit is another, or is asked of the compressed reply.
#[tokio::test]
async fn replies_over_the_limit_are_compressed() {
    let fake = Fake::default();
    let ask = async |limits: Limits, coding: &str| {
        let response = service(&fake, limits).handle(with(pull(), "accept-encoding", coding)).await;
        let coding = header(&response, "content-encoding").map(str::to_owned);
        (coding, response.into_body().into_bytes().len())
    };
    fake.answer_rows(3);
    let (none, bytes) = ask(Limits::default(), "identity").await;
    assert_eq!(none, None);
    for (over, coding) in
        [(Some(bytes), None), (Some(bytes - 1), Some("gzip")), (Some(0), Some("gzip")), (None, None)]
    {
        let limits = Limits::default().with_compression_over(over);
        assert_eq!(ask(limits, "gzip").await.0.as_deref(), coding, "{over:?} of {bytes}");
    }
    let mut sizes = Vec::new();
    for rows in 20..60 {
        fake.answer_rows(rows);
        let (_, bytes) = ask(Limits::default(), "identity").await;
        let (coding, _) = ask(Limits::default(), "gzip").await;
        assert_eq!(coding.is_some(), bytes > 8 << 10, "{bytes}");
        sizes.push(bytes);
    }
    assert!(sizes[0] < 8 << 10 && sizes[39] > 8 << 10, "{sizes:?}");
}

#[tokio::test]
async fn a_body_may_have_eight_mebibytes() {
    let fake = Fake::default();
    let service = service(&fake, Limits::default());
    for (announced, status) in [(8 << 20, 200), ((8 << 20) + 1, 413)] {
        let response = service.handle(with(pull(), "content-length", &format!("{announced}"))).await;
        assert_eq!(response.status(), status, "{announced}");
    }
    // As much decompressed.
    for (bytes, status) in [(8 << 20, 200), ((8 << 20) + 1, 413)] {
        let mut text = json(&pull_request());
        text.resize(bytes, b' ');
        let mut request = with(pull(), "content-encoding", "gzip");
        *request.body_mut() = Full::new(gzip(&text).into());
        assert_eq!(service.handle(request).await.status(), status, "{bytes}");
    }
}

/// Fails if the limits of a head are others. The clock is paused: nothing but its size ends a head.
#[tokio::test(start_paused = true)]
async fn a_head_may_have_64_kibibytes_and_100_headers() {
    let server = Server::in_memory(Limits::default(), ServeConfig::default());
    let body = json(&pull_request());
    let honest = post("/pull", &body).len() - body.len();
    // A head that is not whole yet when it has too many bytes.
    for (bytes, whole, status) in [(60 << 10, true, 200), (64 << 10, false, 431)] {
        let mut request = post_with("/pull", &[&format!("x: {}", "y".repeat(bytes - honest))], &body);
        if !whole {
            request.truncate(bytes);
        }
        let mut connection = server.address.connect();
        assert_eq!(connection.ask(&request).await.expect("no answer").status, status, "{bytes}");
        if !whole {
            let begin = Instant::now();
            connection.closed().await;
            assert_eq!(begin.elapsed(), Duration::ZERO);
        }
    }
    // Host, authorization, content type and length are there already.
    for (headers, status) in [(96, 200), (97, 431)] {
        let headers: Vec<_> = (0..headers).map(|n| format!("x-{n}: y")).collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = server.address.connect().ask(&post_with("/pull", &headers, &body)).await;
        assert_eq!(answer.expect("no answer").status, status, "{}", headers.len());
    }
}
