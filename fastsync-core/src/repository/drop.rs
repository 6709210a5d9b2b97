//! Dropping the records of a repository without deleting the objects.

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Author, SessionKind, TypeName, Zone};
use crate::source::{Clear, Commit, CommitOutcome, SyncableDataSourceExt as _, Writes};
use crate::store::{PendingReader, StateKey, Store, StoreRole};

const PENDING_PAGE: usize = 4_096;

pub(super) async fn drop_records(store: &Store, type_name: TypeName, zone: Zone) -> Result<()> {
    if store.role() == StoreRole::Server {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "hard_delete",
            "a server's records are removed, not dropped",
        ));
    }
    let mut pending = PendingReader::new(store, PENDING_PAGE);
    while let Some(page) = pending.next().await? {
        if page.iter().any(|record| record.key.type_name == type_name && record.key.zone == zone) {
            return Err(Error::new(
                ErrorKind::PendingEdits,
                "hard_delete",
                format!("edits of type {type_name} in zone {zone} wait to be pushed: push them first"),
            ));
        }
    }
    let commit = Commit {
        session: store.new_session(),
        kind: SessionKind::Edit,
        author: Author { user: None, device: store.device(), number: 0 },
        at: store.now(),
        tag: store.new_tag().0,
        positioned: false,
        // An edit made since the look above stays: it is pending.
        clears: vec![Clear { type_name: type_name.clone(), zone: zone.clone(), through_change: 0 }],
        writes: Writes::Inline(Vec::new()),
        state: vec![StateKey::refetch_in(&type_name, &zone)?],
    };
    match store.source().commit_alone(commit).await? {
        CommitOutcome::Applied(_) | CommitOutcome::Duplicate(_) => {
            store.events().types([type_name].into());
            Ok(())
        }
        CommitOutcome::Conflicts { .. } => {
            Err(Error::new(ErrorKind::Backend, "hard_delete", "a clear has no conflicts"))
        }
    }
}
