//! What a refusal tells beside its kind.

use crate::support::*;
use fastsync_core::{Error, ErrorKind, Transport};
use fastsync_transport_http::Limits;

/// Fails if a device does not learn what it has to keep to, or anything else that the server's error says.
#[tokio::test]
async fn times_and_limits_arrive_and_nothing_else() {
    let server = Server::start(Limits::default(), patient()).await;
    let facts = [
        (Error::SERVER_TIME_MS, 1_767_225_600_000),
        (Error::LIMIT_RECORDS, 10_000),
        (Error::LIMIT_BYTES, 2 << 20),
    ];
    server.fake.tell(facts.into_iter().chain([("secret", 7)]));
    server.fake.fail_with(Some((ErrorKind::ClockSkew, "ahead")));
    let error = server.client().push(&push_request(1).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ClockSkew);
    for (name, fact) in facts {
        let told: Vec<_> = error.context().filter(|(key, _)| *key == name).map(|(_, fact)| fact).collect();
        assert_eq!(told, [fact.to_string()], "{name}");
    }
    assert!(!error.to_string().contains("secret"), "{error}");
    server.fake.tell([]);
    let answer = Connection::open(server.address).await.ask(&post("/push", &json(&push_request(1)))).await;
    let text = answer.unwrap().text();
    assert!(!text.contains("null") && !text.contains("limit") && !text.contains("server_time"), "{text}");
}

/// Fails if a withdrawal, or its answer, is lost on the way in either form.
#[tokio::test]
async fn a_withdrawal_arrives_as_it_was_sent() {
    let server = Server::start(Limits::default(), patient()).await;
    let push = push_request(1);
    let later = fastsync_core::SessionId::from_uuid(uuid::Uuid::from_u128(10));
    let request = fastsync_core::protocol::PushRequest::withdrawal(push.metadata, 1, push.session, [later]);
    server.client().push(&request.clone().into()).await.unwrap();
    let answer = Connection::open(server.address).await.ask(&post("/push", &json(&request))).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(server.fake.pushes(), [request.clone(), request]);
}
