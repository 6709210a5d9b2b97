//! Walking the edits that wait to be pushed.

use super::Store;
use crate::error::Result;
use crate::model::Record;
use crate::source::SyncableDataSourceExt as _;

/// Reads pending records in the order of their local commits, never cutting a local commit in two.
pub(crate) struct PendingReader<'a> {
    store: &'a Store,
    after: u64,
    page: usize,
}

impl<'a> PendingReader<'a> {
    /// Reads about `page` records at a time.
    pub(crate) fn new(store: &'a Store, page: usize) -> Self {
        Self::after(store, 0, page)
    }

    /// Reads the local commits after number `after`.
    pub(crate) fn after(store: &'a Store, after: u64, page: usize) -> Self {
        Self { store, after, page: page.max(1) }
    }

    /// The next whole local commits; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Record>>> {
        let mut limit = self.page.saturating_add(1);
        loop {
            let mut records = self.store.source().pending_after(self.after, limit).await?;
            let Some(last) = records.last().map(|record| record.metadata.change) else { return Ok(None) };
            if records.len() < limit {
                self.after = last;
                return Ok(Some(records));
            }
            // The last local commit may go on beyond this page.
            let whole = records.partition_point(|record| record.metadata.change < last);
            if whole > 0 {
                records.truncate(whole);
                self.after = last.saturating_sub(1);
                return Ok(Some(records));
            }
            limit = limit.saturating_mul(2);
        }
    }
}
