//! TaskChampion's sync server over HTTP. Its logic and its SQLite storage are the published crates; the published
//! server itself is no crate, so the routes are made here, after the protocol's documentation. A line of JSON comes in,
//! a line goes out: see `common/process.mjs`.
#![forbid(unsafe_code)]

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use anyhow::{Context as _, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use taskchampion_sync_server_core::{
    AddVersionResult, ClientId, GetVersionResult, NIL_VERSION_ID, Server, ServerConfig, ServerError,
    SnapshotUrgency,
};
use taskchampion_sync_server_storage_sqlite::SqliteStorage;
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use uuid::Uuid;

const CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");
const VERSION_ID: HeaderName = HeaderName::from_static("x-version-id");
const PARENT_VERSION_ID: HeaderName = HeaderName::from_static("x-parent-version-id");
const SNAPSHOT_REQUEST: HeaderName = HeaderName::from_static("x-snapshot-request");
const HISTORY_SEGMENT: &str = "application/vnd.taskchampion.history-segment";
const SNAPSHOT: &str = "application/vnd.taskchampion.snapshot";

fn main() -> Result<()> {
    // Bytes of bodies only: they are up to 1 MB each, so that the heads do not count.
    let wire = Arc::new(AtomicU64::new(0));
    for line in std::io::stdin().lock().lines() {
        let answer = match obey(&line?, &wire) {
            Ok(result) => json!({ "result": result }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn obey(line: &str, wire: &Arc<AtomicU64>) -> Result<Value> {
    let order: Value = serde_json::from_str(line)?;
    match order["method"].as_str().unwrap_or_default() {
        "open" => {
            let folder = order["args"][0]["folder"].as_str().context("no folder")?;
            Ok(json!({ "port": start(PathBuf::from(folder), Arc::clone(wire))? }))
        }
        "wire" => Ok(json!(wire.load(Ordering::Relaxed))),
        // Every version is committed before it is answered.
        "close" => Ok(Value::Null),
        other => bail!("there is no {other}"),
    }
}

/// Serves on a thread of its own until the process ends; gives the port.
fn start(folder: PathBuf, wire: Arc<AtomicU64>) -> Result<u16> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let listening = || -> Result<_> {
            let server = Server::new(ServerConfig::default(), SqliteStorage::new(folder)?);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
            let port = listener.local_addr()?.port();
            Ok((server, runtime, listener, port))
        };
        match listening() {
            Ok((server, runtime, listener, port)) => {
                let _ = tell.send(Ok(port));
                // The transactions of the storage stay on one thread.
                LocalSet::new().block_on(&runtime, accept(listener, Rc::new(server), wire));
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    });
    told.recv()?
}

async fn accept(listener: TcpListener, server: Rc<Server>, wire: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (server, wire) = (Rc::clone(&server), Arc::clone(&wire));
        let service = service_fn(move |request| {
            let (server, wire) = (Rc::clone(&server), Arc::clone(&wire));
            async move { answer(&server, request, &wire).await }
        });
        tokio::task::spawn_local(async move {
            // A client that goes away is no matter of ours.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    server: &Server,
    request: Request<Incoming>,
    wire: &AtomicU64,
) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut reply = Reply::new(StatusCode::OK);
    let taken = body.len();
    if let Err(error) = route(server, &head.method, head.uri.path(), &head.headers, body, &mut reply).await {
        reply = Reply::new(StatusCode::INTERNAL_SERVER_ERROR);
        reply.body = format!("{error:#}").into_bytes();
    }
    wire.fetch_add((taken + reply.body.len()) as u64, Ordering::Relaxed);
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new() }
    }

    fn uuid(&mut self, name: HeaderName, value: Uuid) -> Result<()> {
        self.headers.insert(name, HeaderValue::from_str(&value.to_string())?);
        Ok(())
    }

    fn data(&mut self, kind: &'static str, data: Vec<u8>) {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = data;
    }
}

async fn route(
    server: &Server,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
    reply: &mut Reply,
) -> Result<()> {
    let client: ClientId = headers.get(CLIENT_ID).context("no client id")?.to_str()?.parse()?;
    let path = path.strip_prefix("/v1/client/").context("another path")?;
    let (action, id) = path.split_once('/').unwrap_or((path, ""));
    match (method, action) {
        (&Method::POST, "add-version") => {
            let parent = id.parse()?;
            create(server, client).await?;
            match server.add_version(client, parent, body.into()).await? {
                (AddVersionResult::Ok(version), urgency) => {
                    reply.uuid(VERSION_ID, version)?;
                    let urgency = match urgency {
                        SnapshotUrgency::None => return Ok(()),
                        SnapshotUrgency::Low => "urgency=low",
                        SnapshotUrgency::High => "urgency=high",
                    };
                    reply.headers.insert(SNAPSHOT_REQUEST, HeaderValue::from_static(urgency));
                }
                (AddVersionResult::ExpectedParentVersion(parent), _) => {
                    reply.status = StatusCode::CONFLICT;
                    reply.uuid(PARENT_VERSION_ID, parent)?;
                }
            }
        }
        (&Method::GET, "get-child-version") => match server.get_child_version(client, id.parse()?).await {
            Ok(GetVersionResult::Success { version_id, parent_version_id, history_segment }) => {
                reply.uuid(VERSION_ID, version_id)?;
                reply.uuid(PARENT_VERSION_ID, parent_version_id)?;
                reply.data(HISTORY_SEGMENT, history_segment);
            }
            Ok(GetVersionResult::Gone) => reply.status = StatusCode::GONE,
            Ok(GetVersionResult::NotFound) | Err(ServerError::NoSuchClient) => {
                reply.status = StatusCode::NOT_FOUND
            }
            Err(error) => return Err(error.into()),
        },
        (&Method::POST, "add-snapshot") => server.add_snapshot(client, id.parse()?, body.into()).await?,
        (&Method::GET, "snapshot") => match server.get_snapshot(client).await {
            Ok(Some((version, data))) => {
                reply.uuid(VERSION_ID, version)?;
                reply.data(SNAPSHOT, data);
            }
            Ok(None) | Err(ServerError::NoSuchClient) => reply.status = StatusCode::NOT_FOUND,
            Err(error) => return Err(error.into()),
        },
        _ => reply.status = StatusCode::NOT_FOUND,
    }
    Ok(())
}

/// Makes a client known with its first version.
async fn create(server: &Server, client: ClientId) -> Result<()> {
    let mut transaction = server.txn(client).await?;
    if transaction.get_client().await?.is_none() {
        transaction.new_client(NIL_VERSION_ID).await?;
        transaction.commit().await?;
    }
    Ok(())
}
