//! What was not stored: what the client hears of it, and what the server keeps of it.

use std::collections::BTreeMap;

use fastsync_core::source::{StateWrite, entry};
use fastsync_core::{RecordKey, Restamp, Result, SyncContext, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Inner;
use crate::convert::name_hash;
use crate::shelf::Kind;
use crate::wire::SyncObject;

/// What is said of a type or an object: why it was left out, or what was changed in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The type, as the client calls it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The object; none if it is the whole type, or the object has no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why, for programs: `unknown_type`, `zone`, `unreadable`, `invalid`, `constraint`, `handler_failed`, or a code of the
    /// application's own; `half_character` for an object that was stored.
    pub code: String,
    /// Why, for people.
    pub message: String,
}

impl Refusal {
    pub(crate) fn of_type(type_name: &str, code: &str, message: &str) -> Self {
        let (type_name, id) = (shortened(type_name), None);
        Self { type_name, id, code: code.to_owned(), message: message.to_owned() }
    }

    pub(crate) fn of_object(
        type_name: &str,
        id: Option<&str>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (type_name, id) = (shortened(type_name), id.map(shortened));
        Self { type_name, id, code: code.into(), message: message.into() }
    }
}

/// A name as it was sent, for a message.
fn shortened(name: &str) -> String {
    name.chars().take(128).collect()
}

/// What a client hears of a push of which something was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalAnswer {
    /// That it succeeded. The client goes on, and its next pull undoes the edit: it brings what the server has, or for a new
    /// object a deletion. What was refused is [kept at the server](crate::FastSyncCompat::refusals).
    #[default]
    Success,
    /// That it failed. The client keeps all that it pushed and repeats it, and a Dart client never pulls until this push has
    /// succeeded: its `sync` ends with a failed push.
    Failure,
}

/// An object that was refused, and whose client was told that its push succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptRefusal {
    /// Who pushed it.
    pub user: String,
    /// The tenant of the user.
    pub tenant: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Why it was refused.
    pub refusal: Refusal,
    /// The object as it was sent, as JSON; none if it was larger than 64 KiB.
    pub object: Option<String>,
    /// Where it is kept.
    pub(crate) entry: String,
}

/// The stored form. Fields are identified by their place.
#[derive(Serialize, Deserialize)]
struct Stored {
    user: String,
    tenant: Option<String>,
    at: u64,
    type_name: String,
    id: Option<String>,
    code: String,
    message: String,
    object: Option<String>,
}

/// The largest object that is kept.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// The most that one listing gives.
const MAX_LISTED: usize = 10_000;

/// How many remarks of one request the application is told.
const MAX_NOTICED: usize = 100;

/// How many are stored at once.
const CHUNK: usize = 500;

impl KeptRefusal {
    fn write(&self) -> Result<StateWrite> {
        let Self { user, tenant, at, refusal, object, entry } = self;
        let Refusal { type_name, id, code, message } = refusal.clone();
        let (user, tenant, at, object) = (user.clone(), tenant.clone(), at.as_millis(), object.clone());
        let stored = Stored { user, tenant, at, type_name, id, code, message, object };
        Ok(StateWrite::set(entry.clone(), Some(entry::encode(&stored)?)))
    }

    fn read(entry: String, stored: &[u8]) -> Result<Self> {
        let Stored { user, tenant, at, type_name, id, code, message, object } = entry::decode(stored)?;
        let refusal = Refusal { type_name, id, code, message };
        Ok(Self { user, tenant, at: Timestamp::from_millis(at), refusal, object, entry })
    }
}

/// An object that was refused.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    /// What it is here, if it may be told what the server has of it.
    pub(crate) key: Option<RecordKey>,
    /// What the client has of it, as far as it could be read.
    pub(crate) values: BTreeMap<String, Value>,
    /// As it was sent.
    pub(crate) raw: Box<RawValue>,
}

impl Refused {
    /// An object of which no more is known than how it was sent.
    pub(crate) fn unread(refusal: Refusal, key: Option<RecordKey>, raw: Box<RawValue>) -> Box<Self> {
        Box::new(Self { refusal, key, values: BTreeMap::new(), raw })
    }

    /// The objects of a type that is refused as a whole.
    pub(crate) fn all_of(refusal: &Refusal, objects: Vec<Box<RawValue>>) -> impl Iterator<Item = Self> {
        objects.into_iter().map(|raw| {
            let id = match SyncObject::read(&raw) {
                Ok((object, _)) => Some(object.id),
                Err(unreadable) => unreadable.said,
            };
            let Refusal { type_name, code, message, .. } = refusal.clone();
            let refusal = Refusal { type_name, id: id.as_deref().map(shortened), code, message };
            Self { refusal, key: None, values: BTreeMap::new(), raw }
        })
    }
}

impl Inner {
    /// Tells the application, for its log.
    pub(crate) fn notice<'a>(&self, context: &SyncContext, remarks: impl Iterator<Item = &'a Refusal>) {
        if let Some(hook) = &self.on_notice {
            remarks.take(MAX_NOTICED).for_each(|remark| hook(context, remark));
        }
    }

    pub(crate) fn answer_to(&self, code: &str) -> RefusalAnswer {
        self.answers.get(code).copied().unwrap_or(self.answer)
    }

    /// Lets the client's next pull undo what was refused, and keeps it.
    pub(crate) async fn undo(&self, context: &SyncContext, refused: &[Refused]) -> Result<()> {
        for chunk in refused.chunks(CHUNK) {
            let mut objects = BTreeMap::new();
            let mut notes = BTreeMap::new();
            for Refused { refusal, key, values, raw } in chunk {
                if let Some(key) = key {
                    let restamp = Restamp::new(key.clone()).or_deleted_with(values.clone());
                    objects.insert(key.clone(), restamp);
                }
                let kept = self.kept(context, refusal, raw);
                notes.insert(kept.entry.clone(), kept.write()?);
            }
            let (objects, notes) = (objects.into_values().collect(), notes.into_values().collect());
            self.server.restamp(context, self.device(context), objects, notes).await?;
        }
        Ok(())
    }

    /// The same refusal of the same object is kept once.
    fn kept(&self, context: &SyncContext, refusal: &Refusal, raw: &RawValue) -> KeptRefusal {
        let at = self.server.store().now();
        let Refusal { type_name, id, code, .. } = refusal;
        let tenant = context.tenant.as_deref();
        let name = name_hash(&[
            if tenant.is_some() { "tenant" } else { "" },
            tenant.unwrap_or_default(),
            &context.user,
            type_name,
            id.as_deref().unwrap_or_default(),
            code,
            raw.get(),
        ]);
        KeptRefusal {
            user: context.user.clone(),
            tenant: context.tenant.clone(),
            at,
            refusal: refusal.clone(),
            object: (raw.get().len() <= MAX_KEPT_BYTES).then(|| raw.get().to_owned()),
            entry: self.shelf.key(Kind::Refused, at, &name.to_hex()),
        }
    }

    pub(crate) async fn refusals(&self) -> Result<Vec<KeptRefusal>> {
        let mut kept = Vec::new();
        for prefix in self.shelf.prefixes(Kind::Refused, self.server.store().now()) {
            let room = MAX_LISTED.saturating_sub(kept.len());
            let entries = self.shelf.list(self.server.store(), &prefix).await?;
            for (entry, stored) in entries.into_iter().take(room) {
                kept.push(KeptRefusal::read(entry, &stored)?);
            }
        }
        kept.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.entry.cmp(&b.entry)));
        Ok(kept)
    }

    pub(crate) async fn forget(&self, refusals: &[KeptRefusal]) -> Result<()> {
        for chunk in refusals.chunks(CHUNK) {
            let entries = chunk.iter().map(|kept| (kept.entry.clone(), StateWrite::set(&kept.entry, None)));
            let entries: BTreeMap<_, _> = entries.collect();
            self.server.store().write_state(entries.into_values().collect()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if what an earlier release kept could not be read.
    #[test]
    fn what_is_kept_is_as_in_its_file() {
        let kept = KeptRefusal {
            user: "ada".into(),
            tenant: Some("t".into()),
            at: Timestamp::from_millis(1_795_294_580_370),
            refusal: Refusal::of_object("Item", Some("1"), "no_name", "an item has a name"),
            object: Some("{\"id\":\"1\"}".into()),
            entry: "fastsync-compat/refused/00000001/ff".into(),
        };
        let stored = kept.write().unwrap().value.unwrap();
        let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../tests/golden/stored/refused-1.hex").trim_end());
        assert_eq!(KeptRefusal::read(kept.entry.clone(), &stored).unwrap(), kept);
    }
}
