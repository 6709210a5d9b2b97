//! What writers do: numbered sessions over two types, of which each says what must be there afterwards.

use fastsync_core::{
    Client, ErrorKind, ObjectId, PullLimits, Repository, Result, SessionLimits, Store, SyncManager,
    SyncableDataSource, SyncableRepositoryExt, Transport,
};

use crate::model::{Item, Note, Rule, Shelf, tally, with_token, zone};

/// How many pairs and tallies the writers contend for.
pub(crate) const CONTENDED: u64 = 4;

/// A client of the crash runs.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) name: String,
    pub(crate) store: Store,
    pub(crate) manager: SyncManager<Client>,
}

impl Writer {
    /// Opens a client's store and its manager. Limits are small, so that pushes and pulls take several requests.
    pub(crate) async fn open(
        name: &str,
        source: impl SyncableDataSource,
        transport: impl Transport,
    ) -> Result<Self> {
        let store = Store::client(source)
            .register::<Shelf>()
            .register::<Item>()
            .register::<Note>()
            .limits(SessionLimits::new(20, 1 << 20))
            .open()
            .await?;
        let manager = SyncManager::client(&store)
            .register(Repository::<Shelf>::new(&store), Rule::Union)
            .register(Repository::<Item>::new(&store), Rule::Union)
            .register(Repository::<Note>::in_zone(&store, zone("north")), Rule::Union)
            .pull_limits(PullLimits::new(50, 1 << 20))
            .transport(transport)
            .build()?;
        Ok(Self { name: name.to_owned(), store, manager })
    }

    /// The id of the row and of its twin that session `number` adds.
    pub(crate) fn row(&self, number: u64) -> String {
        row(&self.name, number)
    }

    /// Commits session `number`: a row and its twin are added, older ones removed, a pair gets a new counter on
    /// both sides, and the writer's tally of a contended item goes up.
    pub(crate) async fn edit(&self, number: u64) -> Result<()> {
        loop {
            match self.try_edit(number).await {
                // A pull has brought or removed what was looked for in between.
                Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_edit(&self, number: u64) -> Result<()> {
        let (shelves, items) = (Repository::<Shelf>::new(&self.store), Repository::<Item>::new(&self.store));
        let mut edit = self.store.edit();
        let row = self.row(number);
        shelves.stage_add(&mut edit, &Shelf { id: row.clone(), counter: 0, tokens: String::new() })?;
        items.stage_add(&mut edit, &item(&row, 0, String::new()))?;
        if let Some(removed) = removed_by(number) {
            let id = ObjectId::new(self.row(removed))?;
            shelves.stage_remove(&mut edit, &id)?;
            items.stage_remove(&mut edit, &id)?;
        }
        let pair = pair(number % CONTENDED);
        let id = ObjectId::new(&pair)?;
        let (old_shelf, old_item) = (shelves.find_by_id(&id).await?, items.find_by_id(&id).await?);
        let counter = old_shelf.as_ref().map_or(0, |shelf| shelf.counter) + 1;
        let shelf = Shelf { id: pair.clone(), counter, tokens: String::new() };
        let both = item(&pair, counter, String::new());
        if old_shelf.is_some() {
            shelves.stage_update(&mut edit, &shelf)?;
        } else {
            shelves.stage_add(&mut edit, &shelf)?;
        }
        if old_item.is_some() {
            items.stage_update(&mut edit, &both)?;
        } else {
            items.stage_add(&mut edit, &both)?;
        }
        let contended = contended(number % CONTENDED);
        let token = format!("{}={number}", self.name);
        match items.find_by_id(&ObjectId::new(&contended)?).await? {
            Some(old) => {
                let tokens = with_token(&old.tokens, &token);
                items.stage_update(&mut edit, &Item { tokens, ..old })?;
            }
            None => items.stage_add(&mut edit, &item(&contended, 0, token))?,
        }
        edit.commit().await.map(|_| ())
    }

    /// Whether session `number` was committed.
    pub(crate) async fn has(&self, number: u64) -> Result<bool> {
        let id = ObjectId::new(self.row(number))?;
        Ok(Repository::<Shelf>::new(&self.store).find_by_id(&id).await?.is_some())
    }
}

fn item(id: &str, counter: i64, tokens: String) -> Item {
    Item { id: id.to_owned(), shelf: id.to_owned(), counter, tokens, refused: false }
}

/// The id of a writer's row.
pub(crate) fn row(writer: &str, number: u64) -> String {
    format!("row-{writer}-{number:06}")
}

/// The id of a contended pair.
pub(crate) fn pair(which: u64) -> String {
    format!("pair-{which}")
}

/// The id of a contended item that writers keep their tallies in.
pub(crate) fn contended(which: u64) -> String {
    format!("tally-{which}")
}

/// The row that a session removes.
pub(crate) const fn removed_by(number: u64) -> Option<u64> {
    if number.is_multiple_of(3) && number >= 6 { Some(number - 5) } else { None }
}

/// The rows that are there after a writer's sessions up to `last`.
pub(crate) fn rows_after(last: u64) -> Vec<u64> {
    let removed: Vec<u64> = (1..=last).filter_map(removed_by).collect();
    (1..=last).filter(|number| !removed.contains(number)).collect()
}

/// The least tally of a writer in a contended item after its sessions up to `last`.
pub(crate) fn least_tally(which: u64, last: u64) -> u64 {
    (1..=last).rev().find(|number| number % CONTENDED == which).unwrap_or(0)
}

/// The tally of a writer in a contended item.
pub(crate) fn tally_of(items: &[Item], which: u64, writer: &str) -> u64 {
    let id = contended(which);
    items.iter().find(|item| item.id == id).map_or(0, |item| tally(&item.tokens, writer))
}
