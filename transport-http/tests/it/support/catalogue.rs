//! Runs a list of bad requests.

use fastsync_core::Transport;
use fastsync_transport_http::Limits;

use super::*;

pub struct Case {
    name: String,
    request: Vec<u8>,
    status: u16,
    code: &'static str,
}

pub fn case(name: impl Into<String>, request: Vec<u8>, status: u16, code: &'static str) -> Case {
    Case { name: name.into(), request, status, code }
}

/// Each case alone and after a good request; with `stays_open` a good request follows on the same connection.
pub async fn run(cases: Vec<Case>, limits: Limits, stays_open: bool) {
    let server = Server::start(limits, patient()).await;
    let good = post("/push", &json(&push_request(1)));
    let mut calls = 0;
    for Case { name, request, status, code } in cases {
        for second in [false, true] {
            let mut connection = Connection::open(server.address).await;
            if second {
                assert_eq!(connection.ask(&good).await.unwrap().status, 200, "{name}");
                calls += 1;
            }
            let answer = connection.ask(&request).await.unwrap_or_else(|| panic!("{name}: no answer"));
            assert_eq!((answer.status, &*answer.code()), (status, code), "{name}: {}", answer.text());
            assert!(!answer.text().contains("canary"), "{name}: {}", answer.text());
            assert_eq!(server.fake.calls(), calls, "{name} reached the handler");
            if stays_open {
                assert_eq!(connection.ask(&good).await.unwrap().status, 200, "after {name}");
                calls += 1;
            } else {
                assert_eq!(answer.header("connection"), Some("close"), "{name}");
                connection.closed().await;
            }
        }
    }
    server.client_still_works().await;
}

impl Server {
    pub async fn client_still_works(&self) {
        self.client().push(&push_request(2).into()).await.unwrap();
        self.client().pull(&pull_request()).await.unwrap();
    }
}
