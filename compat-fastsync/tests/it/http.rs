//! The ready handlers: what does not come through to the engine, and how it is told.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use fastsync_compat::http::{CompatService, HttpLimits};
use fastsync_core::*;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value as Json;

fn request(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/json").header("x-user", "ada@home")
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
    let limits = HttpLimits::default().with_body_bytes(64).with_body_timeout(Duration::from_secs(5));
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

/// Of F29 what a server can prevent: a client that has no limits is held to some.
#[tokio::test]
async fn f29_a_request_is_bounded_in_time() {
    let world = world().await;
    let limits = HttpLimits::default().with_body_timeout(Duration::from_millis(50));
    let service = CompatService::builder(world.compat.clone(), |_| ready(Ok(SyncContext::new("ada@home"))))
        .limits(limits)
        .build();
    let response = service.handle(request("/push").body(Never).unwrap()).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
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
