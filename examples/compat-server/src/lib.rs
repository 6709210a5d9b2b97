//! What the example clients of the original FastSync need of a server: type `Item`, and two routes.

use std::collections::HashMap;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header, request::Parts};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use fastsync_compat::http::{CompatService, default_limits};
use fastsync_compat::{FastSyncCompat, Refusal};
use fastsync_core::{
    Error, ErrorKind, LastWriterWins, Repository, Result, Store, SyncContext, SyncManager, SyncableObject,
    Zone, ZoneAccess,
};
use fastsync_dao_sqlite::SqliteDataSource;
use fastsync_transport_http::bearer_token;

/// The one type of the example, named as the clients' class.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Item", restricted)]
pub struct Item {
    /// Its identity.
    #[syncable(id)]
    pub id: String,
    /// Its name.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
}

/// The same as a type that everyone shares: the original's example for Dart and Hive calls its zone `Global`.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "Item")]
pub struct SharedItem {
    /// Its identity.
    #[syncable(id)]
    pub id: String,
    /// Its name.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
}

/// Who may sync, and in which zone.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everyone, in this zone: the example clients send no credentials.
    Everyone(String),
    /// Those with a bearer token, each in the zone of the token.
    Tokens(Arc<HashMap<String, String>>),
}

impl Access {
    /// In this program the user of a request is the zone that they may use.
    fn user(&self, parts: &Parts) -> Result<SyncContext> {
        let zone = match self {
            Self::Everyone(zone) => Some(zone),
            Self::Tokens(zones) => bearer_token(parts).and_then(|token| zones.get(token)),
        };
        zone.map(SyncContext::new)
            .ok_or_else(|| Error::new(ErrorKind::Unauthorized, "authenticate", "no such token"))
    }
}

/// Reads a file of tokens: a token and its zone on each line, separated by white space; `#` begins a comment.
///
/// # Errors
/// If a line has another form, a zone cannot be one, or there is no token.
pub fn tokens(text: &str) -> anyhow::Result<HashMap<String, String>> {
    let mut zones = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(token), Some(zone), None) = (words.next(), words.next(), words.next()) else {
            anyhow::bail!("a line of the tokens is not `TOKEN ZONE`");
        };
        Zone::restricted(zone)?;
        zones.insert(token.to_owned(), zone.to_owned());
    }
    anyhow::ensure!(!zones.is_empty(), "there is no token");
    Ok(zones)
}

fn zone_of(context: &SyncContext) -> Option<Zone> {
    Zone::restricted(&context.user).ok()
}

/// The original protocol on a SQLite file. The engine below it serves our own clients as well, from a route of theirs.
///
/// # Errors
/// If the file cannot be opened, or is not one of a server of this type.
pub async fn open(db: &Path) -> Result<FastSyncCompat> {
    let store = Store::server(SqliteDataSource::open(db)?).register::<Item>().open().await?;
    let engine = SyncManager::server(&store)
        .register(Repository::<Item>::in_zone(&store, Zone::restricted("any")?), LastWriterWins)
        .zones(|context: &SyncContext| {
            zone_of(context).map_or_else(ZoneAccess::none, |zone| ZoneAccess::none().read_write(zone))
        })
        .build()
        .await?;
    // The clients read the texts of deleted items, too.
    let sample = Item { id: "any".to_owned(), name: String::new(), description: Some(String::new()) };
    FastSyncCompat::builder(engine, |context, _| zone_of(context)).sample(&sample).on_notice(notice).build()
}

/// The same with items that everyone shares, for clients whose zone is `Global`.
///
/// # Errors
/// If the file cannot be opened, or is not one of a server of this type.
pub async fn open_shared(db: &Path) -> Result<FastSyncCompat> {
    let store = Store::server(SqliteDataSource::open(db)?).register::<SharedItem>().open().await?;
    let engine = SyncManager::server(&store)
        .register(Repository::<SharedItem>::new(&store), LastWriterWins)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await?;
    let sample = SharedItem { id: "any".to_owned(), name: String::new(), description: Some(String::new()) };
    FastSyncCompat::builder(engine, |_, _| None).sample(&sample).on_notice(notice).build()
}

/// The routes of the example clients: `POST /express/push` and `POST /express/pull`.
pub fn app(compat: FastSyncCompat, access: Access) -> Router {
    // Two hundred thousand items that were never sent are one request of some 70 MB.
    let limits = default_limits().with_body_bytes(128 << 20);
    let service = CompatService::builder(compat, move |parts: &Parts| ready(access.user(parts)))
        .limits(limits)
        .on_error(log)
        .build();
    Router::new().nest_service("/express", service).layer(from_fn(for_any_page))
}

/// Lets pages from anywhere call this server: the example client runs in a browser. No cookies are involved, so a page
/// can do no more than its reader's token lets it.
async fn for_any_page(request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    let allowed = HeaderValue::from_static("authorization, content-type");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    response
}

#[allow(clippy::print_stderr, reason = "the log of this small server is its standard error")]
fn notice(context: &SyncContext, remark: &Refusal) {
    let Refusal { type_name, id, code, message } = remark;
    let id = id.as_deref().unwrap_or_default();
    eprintln!("{} of {}: {type_name} {id}: {message}", code, context.user);
}

#[allow(clippy::print_stderr, reason = "the log of this small server is its standard error")]
fn log(error: &Error) {
    eprintln!("{error:?}");
}
