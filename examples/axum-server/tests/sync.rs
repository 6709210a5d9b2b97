//! A client against the server, over real HTTP on a free port.

mod common;

use std::net::SocketAddr;

use common::client;
use fastsync_core::{ErrorKind, SyncableRepositoryExt};
use todo::Task;

async fn start(folder: &tempfile::TempDir) -> SocketAddr {
    common::start(axum_server::open(&folder.path().join("server.db")).await.unwrap()).await
}

#[tokio::test]
async fn two_users_share_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    common::share_a_list(server, server).await;
}

#[tokio::test]
async fn a_wrong_token_gets_401_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    let (adas, ada) = client(server, "secret-of-ada").await;
    adas.add(&Task::new("not for everyone")).await.unwrap();
    ada.sync().await.unwrap();

    for token in ["secret-of-eve", "secret-of-ad", "ada"] {
        let (eves, eve) = client(server, token).await;
        eves.add(&Task::new("from outside")).await.unwrap();
        for error in [eve.push().await.unwrap_err(), eve.pull().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
            assert!(error.context().any(|(key, value)| (key, value) == ("status", "401")), "{error}");
        }
        assert_eq!(eves.get_all().await.unwrap().len(), 1, "nothing came down");
    }
    assert_eq!(ada.sync().await.unwrap().pull.received, 0, "nothing went up");
}

#[tokio::test]
async fn a_refused_task_is_kept_aside_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    let (adas, ada) = client(server, "secret-of-ada").await;
    adas.add(&Task::new("x".repeat(201))).await.unwrap();
    assert_eq!(ada.sync().await.unwrap().push.rejected, 1);
    let refused = ada.rejected().await.unwrap();
    assert_eq!(refused[0].message, "a task has between 1 and 200 letters");
    assert_eq!(adas.get_all().await.unwrap().len(), 1, "the edit is still there locally");
}
