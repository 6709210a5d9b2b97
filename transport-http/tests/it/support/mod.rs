//! A fake handler, a server in front of it, and raw HTTP.
#![allow(dead_code, unused_imports, unreachable_pub)] // each test file uses a part of it

mod catalogue;
mod memory;
mod server;

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastsync_core::protocol::{
    Compact, Cursor, PROTOCOL_VERSION, PullPage, PullReply, PullRequest, PushMode, PushReceipt, PushReply,
    PushRequest, RecordGroup, Row, SyncOperationMetadata, SyncPayload, TypeVersion,
};
use fastsync_core::{
    DeviceId, Error, ErrorKind, FieldName, Hlc, Incarnation, ObjectId, Result, Revision, SessionId,
    SyncContext, SyncHandler, Timestamp, Transport, TypeName, Value, Zone,
};
use fastsync_transport_http::{HttpTransport, Limits, ServeConfig, SyncService, bearer_token};
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub use catalogue::{Case, case, run};
pub use memory::{Address, MemoryListener, listen_in_memory, settle};
pub use server::Server;

pub const TOKEN: &str = "canary-token-7f3a";

/// Records what it is asked, and answers what it is told to.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    users: Vec<String>,
    pushes: Vec<PushRequest>,
    pulls: Vec<PullRequest>,
    fail: Option<(ErrorKind, &'static str)>,
    told: Vec<(&'static str, u64)>,
    protocols: Option<RangeInclusive<u16>>,
    rows: usize,
}

impl Fake {
    pub fn pushes(&self) -> Vec<PushRequest> {
        self.0.lock().unwrap().pushes.clone()
    }
    pub fn pulls(&self) -> Vec<PullRequest> {
        self.0.lock().unwrap().pulls.clone()
    }
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap().users.len()
    }
    pub fn users(&self) -> Vec<String> {
        self.0.lock().unwrap().users.clone()
    }
    pub fn fail_with(&self, failure: Option<(ErrorKind, &'static str)>) {
        self.0.lock().unwrap().fail = failure;
    }
    /// What its failures tell beside their kind.
    pub fn tell(&self, facts: impl IntoIterator<Item = (&'static str, u64)>) {
        self.0.lock().unwrap().told = facts.into_iter().collect();
    }
    /// Refuses every request for its version, and says which are served.
    pub fn refuse_protocol(&self, served: Option<RangeInclusive<u16>>) {
        self.0.lock().unwrap().protocols = served;
    }
    pub fn answer_rows(&self, rows: usize) {
        self.0.lock().unwrap().rows = rows;
    }
    fn take(&self, context: &SyncContext) -> Result<usize> {
        let mut state = self.0.lock().unwrap();
        state.users.push(context.user.clone());
        if let Some(served) = state.protocols.clone() {
            let error = Error::new(ErrorKind::UpgradeRequired, "fake", "another version");
            return Err(error.with_protocols(served));
        }
        match state.fail {
            Some((kind, message)) => {
                let error = Error::new(kind, "fake", message);
                Err(state.told.iter().fold(error, |error, (name, fact)| error.with_context(name, fact)))
            }
            None => Ok(state.rows),
        }
    }
}

#[async_trait]
impl SyncHandler for Fake {
    async fn process_push(&self, context: &SyncContext, request: PushRequest) -> Result<PushReply> {
        let rows = self.take(context)?;
        let receipt = receipt(&request, rows);
        self.0.lock().unwrap().pushes.push(request);
        Ok(receipt)
    }
    async fn process_pull(&self, context: &SyncContext, request: PullRequest) -> Result<PullReply> {
        let rows = self.take(context)?;
        self.0.lock().unwrap().pulls.push(request);
        Ok(page(rows))
    }
}

pub fn device() -> DeviceId {
    DeviceId::from_uuid(uuid::Uuid::from_u128(7))
}

pub fn metadata() -> SyncOperationMetadata {
    let fields = vec![FieldName::new("name").unwrap(), FieldName::new("note").unwrap()];
    let mut metadata = SyncOperationMetadata::new(device(), std::iter::empty());
    metadata.types =
        [(TypeName::new("items").unwrap(), TypeVersion::new(1, fastsync_core::IdKind::Text, fields))].into();
    metadata
}

pub fn payload(rows: usize) -> SyncPayload {
    let row = |n: usize| {
        Row::new(
            ObjectId::new(format!("object-{n}")).unwrap(),
            Revision::default(),
            Incarnation::default(),
            Hlc::MAX,
            0,
            Some(vec![Value::Text(format!("Ünïcode {n} \"quoted\"")), Value::Text("x".repeat(120))]),
        )
    };
    let rows = (0..rows).map(row).collect();
    let group = RecordGroup::new(Zone::Global, TypeName::new("items").unwrap(), rows);
    SyncPayload::new(vec![device()], vec![group])
}

pub fn push_request(rows: usize) -> PushRequest {
    PushRequest::new(metadata(), SessionId::from_uuid(uuid::Uuid::from_u128(9)), 1, payload(rows))
}

/// The whole reply to a pull.
pub async fn pulled(client: &HttpTransport) -> Result<PullReply> {
    client.pull(&pull_request()).await?.read().await
}

pub fn pull_request() -> PullRequest {
    let mut request = PullRequest::new(metadata(), vec![Zone::Global]);
    request.cursor = Some(Cursor::from("sealed".to_owned()));
    request.own_through = 3;
    (request.max_records, request.max_bytes) = (10_000, 4 << 20);
    request.count_remaining = true;
    request
}

pub fn receipt(request: &PushRequest, rows: usize) -> PushReply {
    let mut receipt = PushReceipt::new(request.session, Revision::default());
    receipt.current = payload(rows);
    PushReply::Processed(receipt)
}

pub fn page(rows: usize) -> PullReply {
    let mut page = PullPage::new(Cursor::from("next".to_owned()), Timestamp::default(), payload(rows));
    page.remaining = Some(0);
    PullReply::Page(page)
}

pub fn authenticate(parts: &Parts) -> Result<SyncContext> {
    match bearer_token(parts) {
        Some(TOKEN) => Ok(SyncContext::new("ada")),
        Some(_) => Err(Error::new(ErrorKind::Unauthorized, "authenticate", "the token is unknown")),
        None => Err(Error::new(ErrorKind::InvalidInput, "authenticate", "there is no token")),
    }
}

pub fn service(fake: &Fake, limits: Limits) -> SyncService {
    SyncService::builder(fake.clone()).authenticate(authenticate).limits(limits).build()
}

pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Longer than anything takes, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Fails the test rather than to hang. Nothing is measured with it.
pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("hangs")
}

/// Limits of time that no test reaches: whoever closes a connection does it for another reason.
pub fn patient() -> ServeConfig {
    let long = PATIENCE * 10;
    ServeConfig::default()
        .with_head_timeout(long)
        .with_idle_timeout(long)
        .with_reply_stall_timeout(long)
        .with_least_reply_rate(0, long)
}

pub fn gzip(input: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(input).unwrap();
    encoder.finish().unwrap()
}

pub fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// A request as bytes. `headers` are lines without their ends.
pub fn raw(head: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{head} HTTP/1.1\r\nhost: localhost\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

pub fn bearer() -> String {
    format!("authorization: Bearer {TOKEN}")
}

pub const JSON: &str = "content-type: application/json";

/// An honest request with this body.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    post_with(path, &[], body)
}

pub fn post_with(path: &str, more: &[&str], body: &[u8]) -> Vec<u8> {
    let (bearer, length) = (bearer(), format!("content-length: {}", body.len()));
    let headers: Vec<&str> = [&*bearer, JSON, &*length].into_iter().chain(more.iter().copied()).collect();
    raw(&format!("POST {path}"), &headers, body)
}

pub const MESSAGE_PACK: &str = "content-type: application/msgpack";

/// A message in MessagePack.
pub fn message_pack<T>(message: &T) -> Vec<u8>
where
    for<'a> Compact<&'a T>: serde::Serialize,
{
    let mut bytes = Vec::new();
    let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    serde::Serialize::serialize(&Compact(message), &mut writer).unwrap();
    bytes
}

/// An honest request with this body, which is MessagePack.
pub fn post_binary(path: &str, more: &[&str], body: &[u8]) -> Vec<u8> {
    let (bearer, length) = (bearer(), format!("content-length: {}", body.len()));
    let headers: Vec<&str> =
        [&*bearer, MESSAGE_PACK, &*length].into_iter().chain(more.iter().copied()).collect();
    raw(&format!("POST {path}"), &headers, body)
}

/// The bytes with the first `from` replaced, which must be there.
pub fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// One connection that speaks HTTP byte by byte.
pub struct Connection<S = TcpStream>(pub S);

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends; a peer that closed already is no failure, its answer may be there.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// The next answer; `None` if the connection ends without one.
    pub async fn answer(&mut self) -> Option<Answer> {
        in_time(self.read_answer()).await
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        loop {
            let answer = self.read_one().await?;
            if answer.status != 100 {
                return Some(answer);
            }
        }
    }

    async fn read_one(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).await.ok()?;
        Some(answer)
    }

    pub async fn ask(&mut self, bytes: &[u8]) -> Option<Answer> {
        self.send(bytes).await;
        self.answer().await
    }

    /// Waits for the peer to close, and gives what it sent before.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = async {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = self.0.read(&mut buffer).await {
                rest.extend_from_slice(&buffer[..read]);
            }
        };
        in_time(read).await;
        rest
    }
}

/// Reads one request and gives its head and body; `None` at the end of the connection.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}
