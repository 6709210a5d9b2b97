//! Reading objects one after the other.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};

use super::Selection;
use super::keyset::{all, behind};
use super::read::decode;
use crate::error::Result;
use crate::model::{Record, TypeName, Zone};
use crate::object::SyncableObject;
use crate::query::{Filter, Query};
use crate::schema::TypeSchema;
use crate::source::SyncableDataSource;
use crate::store::Store;

/// How many records are held at most.
const PAGE: u64 = 1_000;

/// A stream of objects, made by [`stream`](super::SyncableRepositoryExt::stream).
#[must_use = "a stream reads nothing until it is polled"]
pub struct ObjectStream<T> {
    inner: BoxStream<'static, Result<T>>,
}

impl<T: SyncableObject> ObjectStream<T> {
    pub(super) fn new(store: &Store, type_name: Result<TypeName>, zone: Zone, selection: Selection) -> Self {
        let pages = type_name.and_then(|type_name| {
            let schema = store.schema(&type_name)?.clone();
            Ok(Pages::new(Arc::clone(store.source()), schema, selection.into_query(type_name, zone)))
        });
        let inner = match pages {
            Ok(pages) => stream::unfold(pages, async |mut pages| {
                let next = pages.next().await?;
                Some((next.and_then(decode), pages))
            })
            .boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        };
        Self { inner }
    }
}

impl<T> Stream for ObjectStream<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(context)
    }
}

impl<T> fmt::Debug for ObjectStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStream").finish_non_exhaustive()
    }
}

/// The records of a query, page by page.
struct Pages {
    source: Arc<dyn SyncableDataSource>,
    schema: TypeSchema,
    /// The filter as it was given; that of `query` begins behind the last page.
    filter: Filter,
    query: Query,
    /// How many more records are asked for.
    wanted: Option<u64>,
    page: std::vec::IntoIter<Record>,
    ended: bool,
}

impl Pages {
    fn new(source: Arc<dyn SyncableDataSource>, schema: TypeSchema, query: Query) -> Self {
        let (filter, wanted) = (query.filter.clone(), query.limit);
        Self { source, schema, filter, query, wanted, page: Vec::new().into_iter(), ended: false }
    }

    async fn next(&mut self) -> Option<Result<Record>> {
        if self.page.len() == 0
            && !self.ended
            && let Err(error) = self.turn().await
        {
            self.ended = true;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }

    /// Reads the next page.
    async fn turn(&mut self) -> Result<()> {
        let size = self.wanted.map_or(PAGE, |wanted| wanted.min(PAGE));
        self.query.limit = Some(size);
        let records = self.source.find(&self.query).await?.records;
        let found = records.len() as u64;
        self.wanted = self.wanted.map(|wanted| wanted.saturating_sub(found));
        self.ended = found < size || self.wanted == Some(0);
        if let Some(last) = records.last() {
            let behind = behind(&self.schema, &self.query.order, last)?;
            self.query.filter = match &self.filter {
                Filter::All => behind,
                filter => all(vec![filter.clone(), behind]),
            };
            self.query.offset = 0;
        }
        self.page = records.into_iter();
        Ok(())
    }
}
