//! Edits: what users do to their objects.

use std::sync::Arc;

use fastsync_core::{
    EditSession, ErrorKind, ObjectId, RecordKey, Repository, Result, Store, SyncableObject,
    SyncableRepositoryExt, TypeName, Zone,
};

use super::case::Edit;
use super::world::{World, writable, zones};
use crate::model::{Anywhere, Item, LaterNote, Mergeable, Note, Shelf, with_token};

/// Who edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The server's application.
    Server,
    /// A client.
    Client(usize),
}

/// The ids of objects; those before [`REMOVABLE`] are never removed, so that no edit of them may be missing.
const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];
const REMOVABLE: usize = 2;

/// The ids of pairs, under which there is a shelf and an item each.
pub(super) const PAIRS: [&str; 2] = ["pair-0", "pair-1"];

/// An object that tokens are appended to.
trait Growing: Mergeable {
    fn begin(id: &str) -> Self;
    fn grow(&mut self, token: &str, refused: bool);
}

impl Growing for Shelf {
    fn begin(id: &str) -> Self {
        Self { id: id.to_owned(), counter: 0, tokens: String::new() }
    }
    fn grow(&mut self, token: &str, _: bool) {
        self.tokens = with_token(&self.tokens, token);
    }
}

impl Growing for Item {
    fn begin(id: &str) -> Self {
        Self { id: id.to_owned(), shelf: id.to_owned(), counter: 0, tokens: String::new(), refused: false }
    }
    fn grow(&mut self, token: &str, refused: bool) {
        self.tokens = with_token(&self.tokens, token);
        self.refused = refused;
    }
}

impl Growing for Note {
    fn begin(id: &str) -> Self {
        Self { id: id.to_owned(), tokens: String::new() }
    }
    fn grow(&mut self, token: &str, _: bool) {
        self.tokens = with_token(&self.tokens, token);
    }
}

impl Growing for LaterNote {
    fn begin(id: &str) -> Self {
        Self { id: id.to_owned(), words: String::new(), marks: String::new() }
    }
    fn grow(&mut self, token: &str, _: bool) {
        let is_even = token.ends_with(['0', '2', '4', '6', '8']);
        let text = if is_even { &mut self.words } else { &mut self.marks };
        *text = with_token(text, token);
    }
}

/// How often an edit looks again.
const ATTEMPTS: usize = 8;

/// One session of edits and the tokens that it brings in.
struct Session<'a> {
    world: &'a Arc<World>,
    store: Store,
    who: Who,
    edit: EditSession,
    brought: Vec<(String, RecordKey)>,
}

/// Does an edit; that it fails is a violation.
pub(super) async fn edit(world: &Arc<World>, who: Who, edit: &Edit) {
    let mut outcome = try_edit(world, who, edit).await;
    // On disk a pull may store or delete an object between the look at it and the edit of it.
    for _ in 0..ATTEMPTS {
        match &outcome {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {
                outcome = try_edit(world, who, edit).await;
            }
            _ => break,
        }
    }
    if let Err(error) = outcome {
        world.ledger.violated(format!("{who:?} cannot do {edit:?}: {error}"));
    }
}

async fn try_edit(world: &Arc<World>, who: Who, what: &Edit) -> Result<()> {
    let store = match who {
        Who::Server => world.server().store,
        Who::Client(client) => world.client(client).store,
    };
    let mut session = Session { world, edit: store.edit(), store, who, brought: Vec::new() };
    match what {
        Edit::Put { kind, id, zone } => session.put(*kind, *id, *zone).await?,
        Edit::Many { objects } => {
            let mut done = Vec::new();
            for (kind, id, zone) in objects {
                let place = (kind % 3, usize::from(*id) % IDS.len());
                if !done.contains(&place) {
                    done.push(place);
                    session.put(*kind, *id, *zone).await?;
                }
            }
            world.ledger.note("sessions over several objects");
        }
        Edit::Refused { id } => {
            // A server's own repository is not the one with the validation.
            let refused = matches!(who, Who::Client(_));
            session.grow::<Item>(Zone::Global, IDS[usize::from(*id) % IDS.len()], refused).await?;
        }
        Edit::Remove { kind, id, zone } => session.remove(*kind, *id, *zone)?,
        Edit::Pair { pair } => return session.pair(PAIRS[usize::from(*pair) % PAIRS.len()], false).await,
        Edit::RemovePair { pair } => {
            return session.pair(PAIRS[usize::from(*pair) % PAIRS.len()], true).await;
        }
    }
    session.commit().await
}

impl Session<'_> {
    fn zone(&self, choice: u8) -> Zone {
        let zones = match self.who {
            Who::Server => zones().to_vec(),
            Who::Client(client) => writable(client),
        };
        zones[usize::from(choice) % zones.len()].clone()
    }

    async fn put(&mut self, kind: u8, id: u8, zone: u8) -> Result<()> {
        let id = IDS[usize::from(id) % IDS.len()];
        match kind % 3 {
            0 => self.grow::<Shelf>(Zone::Global, id, false).await,
            1 => self.grow::<Item>(Zone::Global, id, false).await,
            _ if self.is_later() => self.grow::<LaterNote>(self.zone(zone), id, false).await,
            _ => self.grow::<Note>(self.zone(zone), id, false).await,
        }
    }

    /// Whether who edits runs the later release.
    fn is_later(&self) -> bool {
        match self.who {
            Who::Server => self.world.server_is_later(),
            Who::Client(client) => self.world.client_is_later(client),
        }
    }

    async fn grow<T: Growing>(&mut self, zone: Zone, id: &str, refused: bool) -> Result<()> {
        let repository = Anywhere::<T>::new(&self.store, zone.clone());
        let token = format!("#{}", self.world.ledger.facts().fresh());
        let id = ObjectId::new(id)?;
        let found = repository.find_by_id(&id).await?;
        let exists = found.is_some();
        let mut object = found.unwrap_or_else(|| T::begin(id.as_str()));
        object.grow(&token, refused);
        let key = RecordKey { zone, type_name: type_name::<T>()?, id };
        self.brought.push((token, key));
        if exists {
            repository.stage_update(&mut self.edit, &object)
        } else {
            repository.stage_add(&mut self.edit, &object)
        }
    }

    fn remove(&mut self, kind: u8, id: u8, zone: u8) -> Result<()> {
        let id = ObjectId::new(IDS[REMOVABLE + usize::from(id) % (IDS.len() - REMOVABLE)])?;
        match kind % 3 {
            0 => Repository::<Shelf>::new(&self.store).stage_remove(&mut self.edit, &id),
            1 => Repository::<Item>::new(&self.store).stage_remove(&mut self.edit, &id),
            _ if self.is_later() => Repository::<LaterNote>::in_zone(&self.store, self.zone(zone))
                .stage_remove(&mut self.edit, &id),
            _ => Repository::<Note>::in_zone(&self.store, self.zone(zone)).stage_remove(&mut self.edit, &id),
        }
    }

    /// Edits both objects of a pair, in one session.
    async fn pair(mut self, id: &str, remove: bool) -> Result<()> {
        let torn = matches!(self.who, Who::Client(client) if self.world.wire(client).is_torn());
        if torn {
            // After a reset of one type only, the two types are not of one time until the next pull.
            return Ok(());
        }
        let (shelves, items) = (Repository::<Shelf>::new(&self.store), Repository::<Item>::new(&self.store));
        let id = ObjectId::new(id)?;
        let there = (shelves.find_by_id(&id).await?.is_some(), items.find_by_id(&id).await?.is_some());
        let counter = i64::try_from(self.world.ledger.facts().fresh()).unwrap_or(i64::MAX);
        let shelf = Shelf { counter, ..Shelf::begin(id.as_str()) };
        let item = Item { counter, ..Item::begin(id.as_str()) };
        match (there, remove) {
            ((true, true), false) => {
                shelves.stage_update(&mut self.edit, &shelf)?;
                items.stage_update(&mut self.edit, &item)?;
            }
            ((false, false), false) => {
                shelves.stage_add(&mut self.edit, &shelf)?;
                items.stage_add(&mut self.edit, &item)?;
            }
            ((true, true), true) => {
                shelves.stage_remove(&mut self.edit, &id)?;
                items.stage_remove(&mut self.edit, &id)?;
            }
            ((false, false), true) => return Ok(()),
            _ => {
                self.world.ledger.violated(format!("{:?} sees half of {id:?}: {there:?}", self.who));
                return Ok(());
            }
        }
        self.world.ledger.note("sessions over two types");
        self.commit().await
    }

    async fn commit(self) -> Result<()> {
        let changed = self.edit.commit().await?;
        let mut facts = self.world.ledger.facts();
        facts.counts.add("objects edited", changed as u64);
        for (token, key) in &self.brought {
            facts.accept(token, key);
        }
        Ok(())
    }
}

/// The name of a type.
pub(super) fn type_name<T: SyncableObject>() -> Result<TypeName> {
    T::schema().map(|schema| schema.name().clone())
}
