//! The ready handlers: requests that never reach the engine, and how they are answered.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use fastsync_compat::CompatLimits;
use fastsync_compat::http::{CompatService, CompatServiceBuilder, Limits, default_limits};
use fastsync_core::*;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

fn request(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/json").header("x-user", "ada@home")
}

/// A service whose every request is Ada's.
fn ada(world: &World) -> CompatServiceBuilder {
    CompatService::builder(world.compat.clone(), |_| ready(Ok(SyncContext::new("ada@home"))))
}

async fn status(service: &CompatService, request: Request<Full<Bytes>>) -> StatusCode {
    let response = service.handle(request).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let envelope: Json = serde_json::from_slice(&body).unwrap();
    assert_eq!(envelope["success"], status == StatusCode::OK);
    assert_eq!(envelope["status"], status.as_u16());
    assert_eq!(envelope.get("error").is_some(), status != StatusCode::OK);
    status
}

fn body(text: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn what_is_no_request_of_the_protocol_is_refused_with_its_status() {
    let world = world().await;
    let limits = default_limits().with_body_bytes(64);
    let service = CompatService::builder(world.compat.clone(), |parts| {
        let user = parts.headers.get("x-user").map(|user| SyncContext::new(user.to_str().unwrap()));
        ready(user.ok_or_else(|| Error::new(ErrorKind::Unauthorized, "authenticate", "secret")))
    })
    .mounted_at("/express/")
    .limits(limits)
    .build();
    let send = |request: Request<Full<Bytes>>| status(&service, request);
    let good = || request("/express/pull").body(body(r#"{"metadata":{}}"#)).unwrap();
    assert_eq!(send(good()).await, 200);
    assert_eq!(send(request("/pull").body(body("{}")).unwrap()).await, 404);
    assert_eq!(send(request("/express/pull/").body(body("{}")).unwrap()).await, 404);
    let get = Request::get("/express/pull").body(body("")).unwrap();
    assert_eq!(send(get).await, 405);
    let anonymous =
        Request::post("/express/pull").header("content-type", "application/json").body(body("{}")).unwrap();
    assert_eq!(send(anonymous).await, 401);
    let mut form = good();
    form.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(send(form).await, 415);
    let large = request("/express/push").body(Full::new(Bytes::from(vec![b' '; 65]))).unwrap();
    assert_eq!(send(large).await, 413);
    let announced = request("/express/push").header("content-length", "9999999").body(body("{}")).unwrap();
    assert_eq!(send(announced).await, 413);
    for bad in ["", "[]", "{", "7", r#"{"data":[]}"#, r#"{"data":{"Item":{"id":"1"}}}"#] {
        assert_eq!(send(request("/express/push").body(body(bad)).unwrap()).await, 400, "{bad}");
    }
}

/// A body that never comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<http_body::Frame<Bytes>, std::io::Error>>> {
        Poll::Pending
    }
}

/// Of F29 what a server can prevent: a client that has no limits is held to some. The clock is paused, so that the times
/// are exact.
#[tokio::test(start_paused = true)]
async fn f29_a_request_is_bounded_in_time() {
    let world = world().await;
    for (limits, seconds) in
        [(default_limits(), 30), (Limits::default().with_stall_timeout(Duration::from_secs(5)), 5)]
    {
        let service = ada(&world).limits(limits).build();
        let begin = Instant::now();
        let response = service.handle(request("/push").body(Never).unwrap()).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(begin.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn f29_a_request_is_bounded_in_bytes() {
    let world = world().await;
    let service = ada(&world).limits(default_limits().with_body_bytes(64)).build();
    for (bytes, expected) in [(64, 200), (65, 413)] {
        let mut text = br#"{"metadata":{}}"#.to_vec();
        text.resize(bytes, b' ');
        let pull = request("/pull").body(Full::new(Bytes::from(text))).unwrap();
        assert_eq!(status(&service, pull).await, expected, "{bytes}");
    }
    let service = ada(&world).build();
    for (announced, expected) in [(64 << 20, 200), ((64 << 20) + 1, 413)] {
        let pull = request("/pull").header("content-length", announced);
        assert_eq!(status(&service, pull.body(body(r#"{"metadata":{}}"#)).unwrap()).await, expected);
    }
}

/// Each request is refused by the first of the checks that it fails.
#[tokio::test]
async fn the_order_of_checks() {
    let world = world().await;
    let service = CompatService::builder(world.compat.clone(), |parts| {
        let user = parts.headers.get("x-user").map(|user| SyncContext::new(user.to_str().unwrap()));
        ready(user.ok_or_else(|| Error::new(ErrorKind::Unauthorized, "authenticate", "secret")))
    })
    .build();
    let mut request =
        Request::get("/elsewhere").header("content-length", "99999999999").body(body("{")).unwrap();
    let mend: [fn(&mut Request<Full<Bytes>>); 6] = [
        |request| *request.uri_mut() = "/pull".parse().unwrap(),
        |request| *request.method_mut() = http::Method::POST,
        |request| drop(request.headers_mut().insert("x-user", "ada@home".parse().unwrap())),
        |request| drop(request.headers_mut().insert("content-type", "application/json".parse().unwrap())),
        |request| drop(request.headers_mut().remove("content-length")),
        |request| *request.body_mut() = body(r#"{"metadata":{}}"#),
    ];
    let mut seen = vec![status(&service, request.clone()).await.as_u16()];
    for mend in mend {
        mend(&mut request);
        seen.push(status(&service, request.clone()).await.as_u16());
    }
    assert_eq!(seen, [404, 405, 401, 415, 413, 400, 200]);
}

#[tokio::test]
async fn answers_are_json_that_is_kept_nowhere() {
    let world = world().await;
    let service = ada(&world).build();
    for path in ["/pull", "/elsewhere"] {
        let response = service.handle(request(path).body(body(r#"{"metadata":{}}"#)).unwrap()).await;
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
    }
}

/// A policy that fails.
struct Failing(ErrorKind);

#[async_trait::async_trait]
impl ZonePolicy for Failing {
    async fn zones(&self, _: &SyncContext) -> Result<ZoneAccess> {
        Err(Error::new(self.0, "zones", "secret host"))
    }
}

/// Fails if an engine error changes the status, leaks internals to the client, or is not logged.
#[tokio::test]
async fn errors_of_the_engine_are_told_in_the_envelope_by_their_kind() {
    for kind in ErrorKind::ALL.iter().copied() {
        let (told, with_message) = match kind {
            ErrorKind::InvalidInput => (400, true),
            ErrorKind::TooLarge => (413, true),
            ErrorKind::Unauthorized => (401, false),
            ErrorKind::Contention => (409, false),
            ErrorKind::Unavailable | ErrorKind::Timeout => (503, false),
            _ => (500, false),
        };
        let store = Store::server(MemoryDataSource::new());
        let zone_of = |context: &SyncContext, _: &TypeName| Some(zone(&context.user));
        let handlers = (LastWriterWins, LastWriterWins);
        let world = world_by(store, handlers, Failing(kind), zone_of, CompatLimits::default()).await;
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = log.clone();
        let service = ada(&world).on_error(move |error| seen.lock().unwrap().push(error.kind())).build();
        let push = r#"{"data":{"Notice":[{"id":"1","text":"x"}]}}"#;
        for (path, text) in [("/pull", r#"{"metadata":{}}"#), ("/push", push)] {
            let response = service.handle(request(path).body(body(text)).unwrap()).await;
            assert_eq!(response.status(), 200, "some clients take any other for a broken connection");
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let envelope: Json = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((&envelope["success"], &envelope["status"]), (&json!(false), &json!(told)), "{kind}");
            assert_eq!(envelope["error"].as_str().unwrap().contains("secret"), with_message, "{envelope}");
        }
        assert_eq!(*log.lock().unwrap(), [kind, kind]);
    }
}

/// Fails if an answer grows with what was refused.
#[tokio::test]
async fn at_most_a_hundred_refusals_are_named_and_names_are_cut() {
    let world = world().await;
    let long = "x".repeat(1_000);
    let items: Vec<_> = (0..150).map(|n| pushed(&format!("{n}{long}"), "x", 1_000, 0, "home")).collect();
    let answer = world.push("ada@home", &push_of("home", &items)).await;
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!((errors.len(), errors[0]["code"].as_str().unwrap()), (100, "invalid"));
    assert!(errors.iter().all(|error| error["id"].as_str().unwrap().len() == 128));
    assert!(answer["error"].as_str().unwrap().contains("150"), "{}", answer["error"]);
    let types: serde_json::Map<_, _> = (0..150).map(|n| (format!("{n}{long}"), json!([]))).collect();
    let answer = world.push("ada@home", &json!({ "data": types })).await;
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 100);
    assert!(errors.iter().all(|error| error["type"].as_str().unwrap().len() == 128));
    let types: serde_json::Map<_, _> = (0..150).map(|n| (format!("{n}{long}"), json!({}))).collect();
    let answer = world.post("/pull", "ada@home", &json!({ "metadata": types })).await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), 100);
}

/// A body that breaks off.
struct Broken;

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<http_body::Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let service = ada(&world().await).build();
    let response = service.handle(request("/push").body(Broken).unwrap()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

/// Fails if a failure to find out passes for a refusal, after which a client signs out, or the other way round.
#[tokio::test]
async fn who_cannot_be_told_now_is_told_to_come_again() {
    let world = world().await;
    for kind in ErrorKind::ALL.iter().copied() {
        let authenticate =
            move |_: &http::request::Parts| ready(Err(Error::new(kind, "authenticate", "secret")));
        let service = CompatService::builder(world.compat.clone(), authenticate).build();
        let later = matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Contention);
        let expected = if later { 503 } else { 401 };
        assert_eq!(status(&service, request("/pull").body(body("{}")).unwrap()).await, expected, "{kind}");
    }
}

#[tokio::test]
async fn an_internal_error_is_logged_and_told_by_its_kind_alone() {
    let world = world().await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = log.clone();
    let service = CompatService::builder(world.compat.clone(), |_| {
        ready(Err(Error::new(ErrorKind::Unavailable, "authenticate", "secret host")))
    })
    .on_error(move |error| seen.lock().unwrap().push(error.to_string()))
    .build();
    let response = service.handle(request("/pull").body(body("{}")).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let told = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&told).contains("secret"));
    assert!(log.lock().unwrap()[0].contains("secret host"));
}
