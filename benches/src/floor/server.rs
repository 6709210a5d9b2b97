//! The server of the floor.

use std::convert::Infallible;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;

use crate::http::{input_closed, listen};
use crate::raw::Table;
use crate::records::Item;
use crate::stores::StoreKind;

/// Serves one connection after the other until the input of this process is closed.
///
/// # Errors
/// The database or the port cannot be opened.
pub async fn serve(kind: StoreKind, place: &Path) -> Result<()> {
    // One connection is served at a time, so nobody ever waits for it.
    let table = Mutex::new(Table::open(kind, place).await?);
    let listener = listen().await?;
    let table = &table;
    let connections = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = service_fn(move |request| async move {
                Ok::<_, Infallible>(answer(table, request).await.unwrap_or_else(|error| {
                    let mut response = Response::new(Full::from(error.to_string()));
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }))
            });
            // A client that goes away ends its connection and nothing else.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        }
    };
    tokio::select! {
        result = connections => result,
        () = input_closed() => Ok(()),
    }
}

async fn answer(table: &Mutex<Table>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let is_push = request.method() == Method::POST;
    let after = request.uri().query().and_then(|query| query.strip_prefix("after=")).map(str::to_owned);
    let body = request.into_body().collect().await?.to_bytes();
    if is_push {
        let items: Vec<Item> = serde_json::from_slice(&body)?;
        table.lock().await.upsert(&items).await?;
        return Ok(Response::new(Full::default()));
    }
    let after = after.context("where does the page begin?")?;
    let items = table.lock().await.page(&after).await?;
    Ok(Response::new(Full::from(serde_json::to_vec(&items)?)))
}
