//! A whole data source over an ordered key-value engine.
//!
//! You bring an [`Engine`]: a map from keys to values, ordered by the keys' bytes, that reads one state and writes a batch
//! so that it is whole and durable. [`KvDataSource`] is the rest.
//!
//! # What is stored
//!
//! Everything is in one map: the records of a type and zone by id, the feed of a zone by position, tombstones, local
//! edits, sessions, state, staged batches. A row of the feed, of the tombstones and of the edits holds up to 32 records.
//! A query walks the records of its type and zone, or the range of ids that its filter leaves; it ends at its limit or,
//! with an order, keeps no more than offset and limit ask for. There are no constraints of the user's own.
//!
//! # Threads
//!
//! One thread writes and a few read, so no runtime is needed and no call blocks its caller's thread. A call that was
//! started runs to its end, also if its future is dropped. Commits that come at the same time are one batch of the
//! engine's, which is made durable once.
//!
//! # Staged commits
//!
//! A commit of staged batches is decided at once and carried out in [`Steps`] of a few megabytes. It keeps 24 bytes per
//! key to know the keys that were staged twice.
//!
//! # An engine
//!
//! The smallest one, which keeps nothing when the process ends:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::RwLock;
//!
//! use fastsync_core::source::Preparation;
//! use fastsync_core::{
//!     FieldKind, Query, SyncableDataSource, SyncableDataSourceExt as _, TypeName, TypeSchema, Zone,
//! };
//! use fastsync_dao_kit::kv::{Changes, Engine, Fail, KvDataSource, Range, Run, Steps, View};
//! use fastsync_core::ErrorKind;
//!
//! #[derive(Debug, Default, Clone)]
//! struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);
//!
//! impl View for Rows {
//!     type Bytes<'a> = &'a [u8];
//!
//!     fn get(&self, key: &[u8]) -> Run<Option<&[u8]>> {
//!         Ok(self.0.get(key).map(Vec::as_slice))
//!     }
//!
//!     fn scan(&self, range: Range) -> impl Iterator<Item = Run<(&[u8], &[u8])>> {
//!         let rows = (!range.is_empty()).then(|| self.0.range::<[u8], _>(range.bounds()));
//!         rows.into_iter().flatten().map(|(key, value)| Ok((key.as_slice(), value.as_slice())))
//!     }
//!
//!     fn last(&self, range: Range) -> Run<Option<(&[u8], &[u8])>> {
//!         let mut rows = (!range.is_empty()).then(|| self.0.range::<[u8], _>(range.bounds()));
//!         let last = rows.as_mut().and_then(DoubleEndedIterator::next_back);
//!         Ok(last.map(|(key, value)| (key.as_slice(), value.as_slice())))
//!     }
//! }
//!
//! #[derive(Default)]
//! struct InMemory(RwLock<Rows>);
//!
//! impl Engine for InMemory {
//!     const NAME: &'static str = "in-memory";
//!     type View = Rows;
//!
//!     fn read<T>(&self, work: impl FnOnce(&Rows) -> Run<T>) -> Run<T> {
//!         let rows = self.0.read().map_err(|_| Fail::new(ErrorKind::Backend, "a write panicked"))?;
//!         work(&rows)
//!     }
//!
//!     fn write(&self, changes: Changes, _number: u64, steps: &mut Steps) -> Run<()> {
//!         let mut rows = self.0.write().map_err(|_| Fail::new(ErrorKind::Backend, "a write panicked"))?;
//!         let mut next = Some(changes);
//!         while let Some(changes) = next {
//!             for (key, value) in changes {
//!                 match value {
//!                     Some(value) => rows.0.insert(key, value),
//!                     None => rows.0.remove(&key),
//!                 };
//!             }
//!             next = steps.next(&*rows)?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! #[derive(Debug, Clone)]
//! struct MyDataSource(KvDataSource<InMemory>);
//!
//! fastsync_dao_kit::data_source!(MyDataSource);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> fastsync_core::Result<()> {
//! let source = MyDataSource(KvDataSource::open(2, || Ok(InMemory::default()))?);
//! let items = TypeSchema::builder("items", "id").field("name", FieldKind::Text).build()?;
//! source.prepare(&[items], Preparation::Apply).await?;
//! assert_eq!(source.count(&Query::all(TypeName::new("items")?, Zone::Global)).await?, 0);
//! # Ok(())
//! # }
//! ```

mod commit;
mod draft;
mod engine;
mod fail;
mod feed;
mod file;
mod key;
mod load;
mod query;
mod range;
mod read;
mod record;
mod registry;
mod rows;
mod runs;
mod session;
mod source;
mod staged;
mod staging;
mod steps;
mod store;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
mod upgrade;
#[cfg(test)]
mod upgrade_tests;
mod workers;

pub use draft::Changes;
pub use engine::{Engine, View};
pub use fail::{Fail, Run, guarded};
pub use file::{folder_of, retry, sync_folder};
pub use range::Range;
pub use source::KvDataSource;
pub use steps::Steps;
pub use upgrade::written;
