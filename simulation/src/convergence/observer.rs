//! A data source that tells the ledger what is committed, and that can be made to break the contract.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use fastsync_core::source::{
    Action, After, Changes, ChangesRequest, Commit, CommitOutcome, Expect, Layer, Point, ResetReason, Turn,
    Write, Writes,
};
use fastsync_core::{Record, Result, SessionId, SessionKind, StoreRole, SyncableDataSource, Value};

use super::ledger::{Ledger, tokens};
use super::mutation::Mutation;

/// Watches a data source from outside.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    inner: Arc<dyn SyncableDataSource>,
    role: StoreRole,
    ledger: Ledger,
    mutation: Option<Mutation>,
}

impl Observer {
    /// Watches `inner`, the storage of a store of this role.
    pub(super) fn new(
        inner: Arc<dyn SyncableDataSource>,
        role: StoreRole,
        ledger: &Ledger,
        mutation: Option<Mutation>,
    ) -> Self {
        Self { inner, role, ledger: ledger.clone(), mutation }
    }

    fn is(&self, role: StoreRole, mutation: Mutation) -> bool {
        self.role == role && self.mutation == Some(mutation)
    }

    fn report(&self, commit: &Commit) {
        let (Writes::Inline(writes) | Writes::Staged { overrides: writes }) = &commit.writes;
        let records = writes.iter().filter_map(|write| match &write.action {
            Action::Put { record, .. } => Some(record),
            Action::Acknowledge { .. } => None,
        });
        let mut facts = self.ledger.facts();
        for record in records {
            facts.stored(record);
            if self.role == StoreRole::Server {
                facts.committed(record);
            }
        }
        if self.role == StoreRole::Server && commit.kind == SessionKind::Push {
            facts.pushed(commit.author.device, commit.author.number);
        }
    }

    /// What an edit of a client's application is made on, as it is stored now: the commit expects just that.
    async fn before(&self, commit: &Commit) -> Result<Vec<Record>> {
        let Writes::Inline(writes) = &commit.writes else { return Ok(Vec::new()) };
        let mut before = Vec::new();
        if self.role == StoreRole::Client && commit.kind == SessionKind::Edit {
            for write in writes {
                let key = write.action.key();
                let ids = std::slice::from_ref(&key.id);
                before.extend(self.inner().get(&key.type_name, &key.zone, ids).await?);
            }
        }
        Ok(before)
    }

    /// The model reads an object and writes it again, as applications do. What a pull stored in between, which it can on
    /// disk, the application overwrites: the engine did not lose it.
    fn overwritten(&self, commit: &Commit, before: &[Record]) {
        let Writes::Inline(writes) = &commit.writes else { return };
        let mut facts = self.ledger.facts();
        for write in writes {
            let Action::Put { record, .. } = &write.action else { continue };
            let Some(before) = before.iter().find(|before| before.key == record.key) else { continue };
            if !record.is_deleted() {
                let kept: Vec<&str> = tokens(record).collect();
                for token in tokens(before).filter(|token| !kept.contains(token)) {
                    facts.counts.note("edits that the application overwrote");
                    facts.excuse(token);
                }
            }
        }
    }

    /// The write as a broken data source would do it.
    async fn break_write(&self, mut write: Write) -> Result<Write> {
        match &mut write.action {
            Action::Put { pending: false, .. }
                if self.is(StoreRole::Client, Mutation::OverwritePending)
                    && write.expect == Expect::Change(0) =>
            {
                write.expect = Expect::Anything;
            }
            Action::Put { .. }
                if self.is(StoreRole::Server, Mutation::LoseUpdates)
                    && matches!(write.expect, Expect::Revision(_)) =>
            {
                write.expect = Expect::Anything;
            }
            Action::Acknowledge { key, change, .. }
                if self.is(StoreRole::Client, Mutation::AcknowledgeEverything) =>
            {
                let found =
                    self.inner().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await?;
                *change = found.first().map_or(*change, |record| record.metadata.change);
            }
            Action::Put { record, .. } if self.is(StoreRole::Server, Mutation::EmptyUnknownFields) => {
                self.empty_marks(record).await?;
            }
            Action::Put { .. } | Action::Acknowledge { .. } => {}
        }
        Ok(write)
    }

    /// Empties the last field of a note of the later release, if this write leaves it as it is.
    async fn empty_marks(&self, record: &mut Record) -> Result<()> {
        let key = &record.key;
        if key.type_name.as_str() != "notes" {
            return Ok(());
        }
        let found = self.inner().get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await?;
        if let (Some([_, before]), Some([_, marks])) =
            (found.first().and_then(|found| found.body.as_deref()), record.body.as_deref_mut())
            && before == marks
        {
            *marks = Value::Text(String::new());
        }
        Ok(())
    }

    async fn break_writes(&self, writes: Vec<Write>) -> Result<Vec<Write>> {
        if self.mutation.is_none() {
            return Ok(writes);
        }
        let mut broken = Vec::with_capacity(writes.len());
        for write in writes {
            broken.push(self.break_write(write).await?);
        }
        if self.is(StoreRole::Server, Mutation::HalfSession) && broken.len() > 1 {
            broken.pop();
        }
        Ok(broken)
    }
}

impl Layer for Observer {
    type Inner = dyn SyncableDataSource;

    fn inner(&self) -> &Self::Inner {
        &*self.inner
    }
    async fn changes(&self, request: &ChangesRequest) -> Result<Changes> {
        let mut request = request.clone();
        // A load without its place would begin anew for ever, which is another bug.
        if let After::Point(point) = &mut request.after
            && self.is(StoreRole::Server, Mutation::SkipTies)
            && !point.loading
        {
            point.within = None;
        }
        let answer = self.inner().changes(&request).await?;
        if self.is(StoreRole::Server, Mutation::IgnoreHorizon)
            && answer == Changes::ResetRequired(ResetReason::Horizon)
        {
            // Asked as by a new reader, so that it is answered.
            (request.after, request.skip_own) = (Point::START.into(), None);
            return self.inner().changes(&request).await;
        }
        Ok(answer)
    }
    async fn stage(&self, session: SessionId, sequence: u64, writes: Vec<Write>) -> Result<()> {
        self.ledger.note("pages staged");
        let writes = self.break_writes(writes).await?;
        self.inner().stage(session, sequence, writes).await
    }
    async fn commit(&self, mut commit: Commit, turn: Turn) -> Result<CommitOutcome> {
        commit.writes = match commit.writes {
            Writes::Inline(writes) => Writes::Inline(self.break_writes(writes).await?),
            Writes::Staged { overrides } => Writes::Staged { overrides: self.break_writes(overrides).await? },
        };
        if self.is(StoreRole::Server, Mutation::ForgetReceipts) {
            commit.state.retain(|entry| !entry.key.starts_with("fastsync/pushed/"));
        }
        // The form of an entry that holds withdrawn sessions.
        if self.is(StoreRole::Server, Mutation::ForgetVoided)
            && commit.writes == Writes::Inline(Vec::new())
            && commit.state.iter().flat_map(|entry| &entry.value).any(|value| value.first() == Some(&2))
        {
            commit.state.clear();
        }
        let observer = self.clone();
        let landing = self.ledger.landing().await;
        let mut watched = Box::pin(async move {
            let before = observer.before(&commit).await?;
            let outcome = observer.inner().commit(commit.clone(), turn).await?;
            if matches!(outcome, CommitOutcome::Applied(_)) {
                observer.report(&commit);
                observer.overwritten(&commit, &before);
            }
            drop(landing);
            Ok(outcome)
        });
        // Memory is done at once. A storage with threads of its own stores a commit also when its caller has given up (a
        // push beside one that failed), and that is watched to its end.
        match poll_fn(|context| Poll::Ready(watched.as_mut().poll(context))).await {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => tokio::spawn(watched).await.expect("a commit does not panic"),
        }
    }
}
