//! Requests and replies through real sockets, in every way the service can be served.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::support::*;
use fastsync_core::{Error, ErrorKind, SyncContext, Transport};
use fastsync_transport_http::{HttpTransport, Limits, ServeConfig, SyncService, serve};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;

fn client(address: SocketAddr, path: &str) -> HttpTransport {
    HttpTransport::builder(format!("http://{address}{path}")).bearer_token(TOKEN).build().unwrap()
}

async fn check(client: &HttpTransport, fake: &Fake) {
    fake.answer_rows(25);
    let push = push_request(50);
    assert_eq!(client.push(&push.clone().into()).await.unwrap(), receipt(&push, 25));
    assert_eq!(pulled(client).await.unwrap(), page(25));
    assert_eq!(fake.pushes(), [push]);
    assert_eq!(fake.pulls(), [pull_request()]);
    assert_eq!(fake.users(), ["ada", "ada"]);
}

#[tokio::test]
async fn through_serve() {
    let server = Server::plain().await;
    check(&server.client(), &server.fake).await;
    server.stop().await;
}

#[tokio::test]
async fn nested_in_axum() {
    let fake = Fake::default();
    let router: axum::Router =
        axum::Router::new().nest_service("/api/sync", service(&fake, Limits::default()));
    let (listener, address) = listen().await;
    tokio::spawn(serve(listener, router, ServeConfig::default(), std::future::pending()));
    check(&client(address, "/api/sync"), &fake).await;
    for path in ["/api/sync/", "/api/sync", "/api/sync/push/", "/api/sync/%70ush", "/push"] {
        let answer = Connection::open(address).await.ask(&post(path, b"{}")).await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
    }
    // axum takes this for `/api/sync/push`; who sends it is asked all the same.
    let body = json(&push_request(1));
    let request = raw("POST /api/sync//push", &[JSON, &format!("content-length: {}", body.len())], &body);
    assert_eq!(Connection::open(address).await.ask(&request).await.unwrap().status, 401);
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn as_axum_routes_served_by_axum() {
    let fake = Fake::default();
    let sync = SyncService::builder(fake.clone()).authenticate(authenticate).mounted_at("/sync/").build();
    let router: axum::Router =
        axum::Router::new().route_service("/sync/push", sync.clone()).route_service("/sync/pull", sync);
    let (listener, address) = listen().await;
    tokio::spawn(async { axum::serve(listener, router).await });
    check(&client(address, "/sync/"), &fake).await;
}

#[tokio::test]
async fn through_plain_hyper() {
    let fake = Fake::default();
    let sync = service(&fake, Limits::default());
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(sync.clone());
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    check(&client(address, ""), &fake).await;
}

#[tokio::test]
async fn by_calling_handle() {
    let fake = Fake::default();
    let request = http::Request::post("/push?ignored=1")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json;charset=UTF-8")
        .body(http_body_util::Full::new(bytes::Bytes::from(json(&push_request(3)))))
        .unwrap();
    let response = service(&fake, Limits::default()).handle(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.into_body().into_bytes(), json(&receipt(&push_request(3), 0)));
}

#[tokio::test]
async fn every_kind_of_error_reaches_the_client() {
    let server = Server::plain().await;
    let client = server.client();
    for kind in ErrorKind::ALL.iter().copied() {
        server.fake.fail_with(Some((kind, "canary of the inside")));
        for error in
            [client.push(&push_request(1).into()).await.unwrap_err(), pulled(&client).await.unwrap_err()]
        {
            assert_eq!(error.kind(), kind);
            assert_eq!(error.backend(), Some("http"));
            let told = error.message().contains("canary");
            let internal =
                [ErrorKind::Config, ErrorKind::Corrupt, ErrorKind::Backend, ErrorKind::UnknownZone];
            assert!(!(told && internal.contains(&kind)), "{error}");
            let later = error.context().any(|(key, value)| key == "retry_after" && value == "1");
            assert_eq!(later, [ErrorKind::Unavailable, ErrorKind::Contention].contains(&kind), "{error}");
        }
    }
    server.fake.fail_with(None);
    client.push(&push_request(1).into()).await.unwrap();
}

#[tokio::test]
async fn the_server_learns_what_clients_are_not_told() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let fake = Fake::default();
    fake.fail_with(Some((ErrorKind::Backend, "disk 7 is on fire")));
    let sync = SyncService::builder_shared(Arc::new(fake))
        .authenticate(|_: &http::request::Parts| Ok(SyncContext::new("ada")))
        .on_error({
            let heard = Arc::clone(&heard);
            move |error: &Error| heard.lock().unwrap().push(error.message().to_owned())
        })
        .build();
    let request = http::Request::post("/pull")
        .header("content-type", "application/json")
        .body(http_body_util::Full::new(bytes::Bytes::from(json(&pull_request()))))
        .unwrap();
    let response = sync.handle(request).await;
    assert_eq!(response.status(), 500);
    assert!(!String::from_utf8_lossy(&response.into_body().into_bytes()).contains("fire"));
    assert_eq!(*heard.lock().unwrap(), ["disk 7 is on fire"]);
}

#[tokio::test]
async fn both_directions_are_compressed_on_request() {
    let server = Server::plain().await;
    let client = HttpTransport::builder(server.base())
        .bearer_token(TOKEN)
        .accept_compressed(true)
        .compress_requests_over(1000)
        .build()
        .unwrap();
    check(&client, &server.fake).await;

    server.fake.answer_rows(500);
    let plain =
        Connection::open(server.address).await.ask(&post("/pull", &json(&pull_request()))).await.unwrap();
    assert_eq!(plain.header("content-encoding"), None);
    let asked = post_with("/pull", &["accept-encoding: br, gzip"], &json(&pull_request()));
    let packed = Connection::open(server.address).await.ask(&asked).await.unwrap();
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 5 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());

    server.fake.answer_rows(0);
    let small = Connection::open(server.address).await.ask(&asked).await.unwrap();
    assert_eq!(small.header("content-encoding"), None);
}

#[tokio::test]
async fn ten_thousand_rows_travel_in_one_reply() {
    let server = Server::plain().await;
    server.fake.answer_rows(10_000);
    assert_eq!(pulled(&server.client()).await.unwrap(), page(10_000));
}

#[tokio::test]
async fn renewed_headers_replace_fixed_ones() {
    let server = Server::plain().await;
    let client = HttpTransport::builder(server.base())
        .bearer_token("an expired one")
        .headers(|| {
            http::HeaderMap::from_iter([(
                "authorization".parse().unwrap(),
                format!("Bearer {TOKEN}").parse().unwrap(),
            )])
        })
        .build()
        .unwrap();
    client.pull(&pull_request()).await.unwrap();
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start(Limits::default(), patient().with_max_connections(1)).await;
    let client = server.client();
    for _ in 0..20 {
        in_time(pulled(&client)).await.unwrap();
    }
}
