//! The client of the floor.

use std::path::Path;

use anyhow::{Result, ensure};
use http_body_util::Full;
use hyper::Request;

use crate::http::{connect, exchange};
use crate::raw::{BATCH, Table};
use crate::records::{Item, make_many};
use crate::stores::StoreKind;
use crate::time::{now, since};

/// Sends `count` items from memory; gives the seconds.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn push(port: u16, count: u64) -> Result<f64> {
    let items = make_many::<Item>(0, count);
    let start = now();
    let mut connection = connect(port).await?;
    for batch in items.chunks(BATCH) {
        let request = Request::post("/items").header("host", "localhost");
        exchange(&mut connection, request.body(Full::from(serde_json::to_vec(batch)?))?).await?;
    }
    Ok(since(start))
}

/// Fetches all items into a table, page by page; gives the seconds.
///
/// # Errors
/// The server cannot be reached or refuses; it has another number of items than `count`.
pub async fn pull(port: u16, kind: StoreKind, place: &Path, count: u64) -> Result<f64> {
    let mut table = Table::open(kind, place).await?;
    let start = now();
    let mut connection = connect(port).await?;
    let mut after = String::new();
    let mut received = 0;
    loop {
        let request = Request::get(format!("/items?after={after}")).header("host", "localhost");
        let page = exchange(&mut connection, request.body(Full::default())?).await?;
        let items: Vec<Item> = serde_json::from_slice(&page)?;
        let Some(last) = items.last() else { break };
        after.clone_from(&last.id);
        received += items.len() as u64;
        table.upsert(&items).await?;
    }
    let seconds = since(start);
    ensure!(received == count, "{received} of {count} items were pulled");
    Ok(seconds)
}
