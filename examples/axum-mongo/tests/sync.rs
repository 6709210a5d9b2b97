//! Two clients against two servers on one database, over real HTTP on free ports.

#[path = "../../axum-server/tests/common/mod.rs"]
mod common;

use std::net::SocketAddr;

use fastsync_dao_mongo::{MongoDataSource, mongodb};

async fn start(url: &str, database: &str) -> SocketAddr {
    let source = MongoDataSource::connect(url, database).await.unwrap();
    common::start(axum_server::engine(source).await.unwrap()).await
}

#[tokio::test]
#[allow(clippy::print_stderr, reason = "a test that does not run says so")]
async fn two_users_share_a_list_over_two_servers() {
    let url = std::env::var("FASTSYNC_MONGO_URL").ok();
    let required = std::env::var("FASTSYNC_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "mongo");
    let Some(url) = url else {
        assert!(!is_required, "FASTSYNC_REQUIRE names mongo, but FASTSYNC_MONGO_URL is not set");
        eprintln!("SKIPPED: FASTSYNC_MONGO_URL is not set; `cargo xtask test` starts a server");
        return;
    };
    let database = format!("fastsync_example_{}", mongodb::bson::oid::ObjectId::new());
    common::share_a_list(start(&url, &database).await, start(&url, &database).await).await;
    mongodb::Client::with_uri_str(&url).await.unwrap().database(&database).drop().await.unwrap();
}
