//! A client against the server, over real HTTP on a free port.

#[path = "../../axum-server/tests/common/clients.rs"]
mod clients;

use std::net::SocketAddr;

use clients::{client, share_a_list};
use fastsync_core::{ErrorKind, SyncableRepositoryExt};
use fastsync_transport_http::{ServeConfig, serve};
use todo::Task;
use tokio::net::TcpListener;

async fn start(folder: &tempfile::TempDir) -> SocketAddr {
    let tokens = [("secret-of-ada", "ada"), ("secret-of-bob", "bob")];
    let tokens = tokens.map(|(token, user)| (token.into(), user.into())).into();
    let service = hyper_server::service(&folder.path().join("server.db"), tokens).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, service, ServeConfig::default(), std::future::pending()));
    address
}

#[tokio::test]
async fn two_users_share_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    share_a_list(server, server).await;
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
