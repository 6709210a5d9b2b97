//! The requests of the example clients against the server's routes.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use compat_server::{Access, app, open, open_shared, tokens};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower_service::Service;

async fn server(folder: &Path, access: Access) -> Router {
    app(open(&folder.join("server.db")).await.unwrap(), access)
}

async fn send(server: &Router, path: &str, token: Option<&str>, body: &Json) -> Response<Body> {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    server.clone().call(request.body(Body::from(body.to_string())).unwrap()).await.unwrap()
}

async fn answer(response: Response<Body>) -> Json {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn push(zone: &str) -> Json {
    json!({"data": {"Item": [{"id": "1", "metadata": {"type": "Item", "version": 1000, "syncZone": zone, "id": "m",
            "timestamp": 1_795_294_580.37, "syncOperation": 0}, "deleted": false, "metadataId": "m", "dirty": true,
            "name": "a", "description": ""}]},
        "hasData": true,
        "operationMetadata": {"metadata": {"Item": {"type": "Item", "version": 999, "syncZone": zone}}}})
}

fn pull(zone: &str) -> Json {
    json!({"metadata": {"Item": {"syncZone": zone, "type": "Item", "id": "Item", "version": 0,
        "timestamp": 1_795_294_580, "syncOperation": 999}}})
}

#[tokio::test]
async fn the_example_client_syncs_without_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), Access::Everyone("user".into())).await;
    let pushed = answer(send(&server, "/express/push", None, &push("user")).await).await;
    assert_eq!(pushed["success"], true, "{pushed}");
    let response = send(&server, "/express/pull", None, &pull("user")).await;
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let pulled = answer(response).await;
    assert_eq!(pulled["data"]["data"]["Item"][0]["name"], "a");
    assert_eq!(pulled["data"]["operationMetadata"]["metadata"]["Item"]["version"], (1 << 30) + 1);

    let preflight = Request::options("/express/push").body(Body::empty()).unwrap();
    let response = server.clone().call(preflight).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["access-control-allow-headers"], "authorization, content-type");
}

/// Fails if the original's example for Dart and Hive, which calls its zone `Global`, cannot be served, or is not told why.
#[tokio::test]
async fn the_example_client_whose_zone_is_global_is_served_a_shared_type() {
    let folder = tempfile::tempdir().unwrap();
    let everyone = || Access::Everyone("Global".into());
    let shared = app(open_shared(&folder.path().join("shared.db")).await.unwrap(), everyone());
    let pushed = answer(send(&shared, "/express/push", None, &push("Global")).await).await;
    assert_eq!(pushed["data"]["processed"], 1, "{pushed}");
    let pulled = answer(send(&shared, "/express/pull", None, &pull("Global")).await).await;
    assert_eq!(pulled["data"]["data"]["Item"][0]["metadata"]["syncZone"], "Global");

    let zoned = server(folder.path(), Access::Everyone("user".into())).await;
    let pushed = answer(send(&zoned, "/express/push", None, &push("Global")).await).await;
    let said = pushed["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("setTypeSyncZone") && said.contains("global type"), "{said}");
}

#[tokio::test]
async fn with_tokens_each_has_a_zone_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = tokens("# token zone\nsecret-a ada\n\nsecret-b bob\n").unwrap();
    let server = server(folder.path(), Access::Tokens(tokens.into())).await;
    let refused = send(&server, "/express/pull", None, &pull("ada")).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let pushed = answer(send(&server, "/express/push", Some("secret-a"), &push("ada")).await).await;
    assert_eq!(pushed["success"], true, "{pushed}");
    let pushed = answer(send(&server, "/express/push", Some("secret-b"), &push("ada")).await).await;
    assert_eq!((&pushed["data"]["processed"], &pushed["errors"][0]["code"]), (&json!(0), &json!("zone")));
    for zone in ["bob", "ada"] {
        let pulled = answer(send(&server, "/express/pull", Some("secret-b"), &pull(zone)).await).await;
        assert_eq!(pulled["data"]["data"], json!({}));
    }
}

#[test]
fn a_file_of_tokens_is_checked() {
    for bad in ["", "# nothing", "token", "token zone more"] {
        assert!(tokens(bad).is_err(), "{bad:?}");
    }
}
