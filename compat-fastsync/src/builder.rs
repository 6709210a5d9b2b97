//! Building a server of original clients.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fastsync_core::{
    FieldKind, FieldSchema, Result, Server, SyncContext, SyncManager, SyncableObject, TypeName, TypeSchema,
    Value,
};

use crate::quiet::Quiet;
use crate::refusal::{Refusal, RefusalAnswer};
use crate::shelf::Shelf;
use crate::wire::RESERVED;
use crate::{CompatLimits, FastSyncCompat, Inner, NoticeHook, ZoneOf, config};

/// Collects what a [`FastSyncCompat`] needs; everything is checked in [`FastSyncCompatBuilder::build`].
#[must_use]
pub struct FastSyncCompatBuilder {
    server: SyncManager<Server>,
    zone_of: Box<ZoneOf>,
    aliases: Vec<(String, String)>,
    limits: CompatLimits,
    samples: Vec<Result<(TypeName, Vec<Value>)>>,
    original: Vec<(String, Vec<String>)>,
    unknown: Vec<(String, String)>,
    answers: BTreeMap<String, RefusalAnswer>,
    answer: RefusalAnswer,
    on_notice: Option<Box<NoticeHook>>,
}

impl fmt::Debug for FastSyncCompatBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastSyncCompatBuilder").field("server", &self.server).finish_non_exhaustive()
    }
}

impl FastSyncCompatBuilder {
    pub(crate) fn new(server: SyncManager<Server>, zone_of: Box<ZoneOf>) -> Self {
        Self {
            server,
            zone_of,
            aliases: Vec::new(),
            limits: CompatLimits::default(),
            samples: Vec::new(),
            original: Vec::new(),
            unknown: Vec::new(),
            answers: BTreeMap::new(),
            answer: RefusalAnswer::default(),
            on_notice: None,
        }
    }

    /// Lets original clients call a type by another name than ours. They use the name of their class, which a
    /// minifying build changes; the old name and the new one may both stay in use.
    pub fn alias(mut self, original: impl Into<String>, ours: impl Into<String>) -> Self {
        self.aliases.push((original.into(), ours.into()));
        self
    }

    /// Sets how large sessions and replies may be.
    pub fn limits(mut self, limits: CompatLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Gives an object whose values a deleted object of this type has for original clients, which read the fields of deleted
    /// objects, too: a client that reads `description as String`, or maps over `tags`, throws at every pull where such a
    /// field is missing or null. Every registered type needs one. Choose values that no code stumbles over; the id is of no
    /// meaning.
    ///
    /// The object's own last values go out instead where the store
    /// [keeps them](fastsync_core::StoreBuilder::keep_deleted), as the original server sends them.
    pub fn sample<T: SyncableObject>(mut self, sample: &T) -> Self {
        let read = T::schema().and_then(|schema| {
            let mut body = sample.to_body()?;
            schema.admit(&mut body)?;
            Ok((schema.name().clone(), body))
        });
        self.samples.push(read);
        self
    }

    /// Says which fields the clients' class of a type has, so that [`build`](Self::build) refuses a type that lacks one: what
    /// the type does not have is dropped from what the clients send.
    pub fn original_fields<N: Into<String>>(
        mut self,
        type_name: impl Into<String>,
        fields: impl IntoIterator<Item = N>,
    ) -> Self {
        self.original.push((type_name.into(), fields.into_iter().map(Into::into).collect()));
        self
    }

    /// Keeps what the clients send of a type and the type does not have in this field of it, as members of a JSON object, and
    /// sends it back to them as fields. The field may be null and holds JSON (`Option<serde_json::Value>` with
    /// `#[syncable(json)]`); clients do not see it.
    pub fn keep_unknown(mut self, type_name: impl Into<String>, field: impl Into<String>) -> Self {
        self.unknown.push((type_name.into(), field.into()));
        self
    }

    /// Chooses what a client hears of a push of which objects were refused with this code, see [`Refusal::code`]. Where there
    /// are several, the push succeeds if it does for each of them.
    pub fn answer_to(mut self, code: impl Into<String>, answer: RefusalAnswer) -> Self {
        self.answers.insert(code.into(), answer);
        self
    }

    /// Chooses the same for all other codes: [`RefusalAnswer::Success`] unless set, since no client is stuck then.
    pub fn answer_to_others(mut self, answer: RefusalAnswer) -> Self {
        self.answer = answer;
        self
    }

    /// Calls `hook` with what was refused or changed in a request, for the server's log: at most a hundred times for each.
    pub fn on_notice(mut self, hook: impl Fn(&SyncContext, &Refusal) + Send + Sync + 'static) -> Self {
        self.on_notice = Some(Box::new(hook));
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `Config` that names every problem: a type without a sample, a sample or an alias of a type that is not registered, a
    /// field that the clients have and the type lacks, a field whose name means something else in the original protocol, limits of zero.
    pub fn build(self) -> Result<FastSyncCompat> {
        let mut problems = Vec::new();
        let store = self.server.store();
        for schema in store.schemas() {
            for field in schema.fields().iter().filter(|field| RESERVED.contains(&field.name.as_str())) {
                let (name, field) = (schema.name(), &field.name);
                problems.push(format!("{name}.{field}: the original protocol uses this name itself"));
            }
        }
        let mut aliases = BTreeMap::new();
        for (original, ours) in self.aliases {
            match TypeName::new(&ours).ok().filter(|name| store.schema(name).is_ok()) {
                Some(name) => drop(aliases.insert(original, name)),
                None => problems.push(format!("type {ours:?} of the alias {original:?} is not registered")),
            }
        }
        let mut samples = BTreeMap::new();
        for sample in self.samples {
            match sample {
                Ok((name, _)) if store.schema(&name).is_err() => {
                    problems.push(format!("type {name} of a sample is not registered"));
                }
                Ok((name, body)) => drop(samples.insert(name, body)),
                Err(error) => problems.push(format!("a sample cannot be read: {error}")),
            }
        }
        for schema in store.schemas().filter(|schema| !samples.contains_key(schema.name())) {
            problems.push(format!(
                "type {} has no sample: give one with `sample`, for the fields of deleted objects",
                schema.name()
            ));
        }
        let mut unknown = BTreeMap::new();
        for (type_name, field) in self.unknown {
            let schema = store.schemas().find(|schema| schema.name().as_str() == type_name);
            let fields = schema.map(TypeSchema::fields).unwrap_or_default();
            let is_it = |known: &FieldSchema| {
                known.name.as_str() == field && known.kind == FieldKind::Json && known.nullable
            };
            match (schema, fields.iter().position(is_it)) {
                (Some(schema), Some(at)) => drop(unknown.insert(schema.name().clone(), at)),
                _ => {
                    problems.push(format!("{type_name}.{field} is no field that holds JSON and may be null"))
                }
            }
        }
        for (type_name, fields) in self.original {
            let schema = store.schemas().find(|schema| schema.name().as_str() == type_name);
            let Some(schema) = schema else {
                problems.push(format!("type {type_name} of the original fields is not registered"));
                continue;
            };
            let has = |name: &str| schema.fields().iter().any(|field| field.name.as_str() == name);
            let lacks = |name: &String| !has(name) && !RESERVED.contains(&name.as_str());
            for field in fields.iter().filter(|name| lacks(name) && !unknown.contains_key(schema.name())) {
                problems.push(format!(
                    "{type_name}.{field}: the clients have this field and the type does not, so that it would be dropped: \
                     add it, or keep it with `keep_unknown`"
                ));
            }
        }
        if self.limits.has_zero() {
            problems.push("a limit is zero".to_owned());
        }
        if !problems.is_empty() {
            return Err(config(&problems));
        }
        Ok(FastSyncCompat {
            inner: Arc::new(Inner {
                shelf: Shelf::new(self.limits.memory),
                server: self.server,
                zone_of: self.zone_of,
                aliases,
                limits: self.limits,
                quiet: Quiet::default(),
                samples,
                unknown,
                answers: self.answers,
                answer: self.answer,
                on_notice: self.on_notice,
            }),
        })
    }
}
