//! Edits of devices that do not have all fields: what they do not have stays as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Server;
use super::push::Session;
use crate::error::Result;
use crate::model::{ObjectId, Record, TypeName, Zone};
use crate::protocol::{Columns, TypeVersion};

impl Server {
    /// How the rows of a device fit the types that both have.
    pub(super) fn columns(&self, types: &BTreeMap<TypeName, TypeVersion>) -> BTreeMap<TypeName, Columns> {
        let columns = types.iter().filter_map(|(name, theirs)| {
            let columns = Columns::of(self.store.schema(name).ok()?, theirs).ok()?;
            Some((name.clone(), columns))
        });
        columns.collect()
    }

    /// Gives the records of a session what their device does not have, from the records as they are now. An edit is stored
    /// only if its record is still the one that was read here; a record that moved is completed anew when it is settled.
    pub(super) async fn complete(&self, session: &mut Session<'_>) -> Result<()> {
        if session.missing.is_empty() {
            return Ok(());
        }
        let mut wanted: BTreeMap<(&TypeName, &Zone), Vec<ObjectId>> = BTreeMap::new();
        let updates =
            session.records.iter().filter(|record| !record.is_deleted() && !record.metadata.begins_a_life());
        for record in updates.filter(|record| session.missing.contains_key(&record.key.type_name)) {
            let key = &record.key;
            if session.access.can_write(&key.zone) {
                wanted.entry((&key.type_name, &key.zone)).or_default().push(key.id.clone());
            }
        }
        let mut current = BTreeMap::new();
        for ((type_name, zone), ids) in wanted {
            let found = self.store.source().get(type_name, zone, &ids).await?;
            current.extend(found.into_iter().map(|record| (record.key.clone(), record)));
        }
        let completed = session
            .records
            .iter()
            .map(|record| session.completed(record, current.get(&record.key)).into_owned());
        session.records = completed.collect();
        Ok(())
    }
}

impl Session<'_> {
    /// A pushed record with what its device does not have taken from the current one.
    pub(super) fn completed<'r>(&self, pushed: &'r Record, current: Option<&Record>) -> Cow<'r, Record> {
        let Some(missing) = self.missing.get(&pushed.key.type_name) else { return Cow::Borrowed(pushed) };
        let (Some(_), Some(kept)) = (&pushed.body, current.and_then(|current| current.body.as_ref())) else {
            return Cow::Borrowed(pushed);
        };
        let mut completed = pushed.clone();
        for (at, value) in completed.body.iter_mut().flatten().enumerate() {
            if let Some(kept) = kept.get(at).filter(|_| missing.contains(&at)) {
                value.clone_from(kept);
            }
        }
        Cow::Owned(completed)
    }
}
