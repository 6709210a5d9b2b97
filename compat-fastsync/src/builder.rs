//! Building a server of original clients.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fastsync_core::{Result, Server, SessionLimits, SyncManager, TypeName};

use crate::quiet::Quiet;
use crate::wire::RESERVED;
use crate::{FastSyncCompat, Inner, ZoneOf, config};

/// How large sessions and replies may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompatLimits {
    /// The largest session. Original clients push all that they have at once: more is split.
    pub session: SessionLimits,
    /// The most records of a reply.
    pub reply_records: usize,
    /// About the most bytes of a reply, as JSON.
    pub reply_bytes: usize,
}

impl Default for CompatLimits {
    /// Sessions of 10,000 records and 2 MiB; replies of 50,000 records and 32 MiB, since an original client asks only
    /// once for what it takes to be everything.
    fn default() -> Self {
        Self { session: SessionLimits::default(), reply_records: 50_000, reply_bytes: 32 << 20 }
    }
}

impl CompatLimits {
    /// Sets the largest session.
    #[must_use]
    pub fn with_session(mut self, session: SessionLimits) -> Self {
        self.session = session;
        self
    }

    /// Sets the largest reply. One session is never cut, whatever its size.
    #[must_use]
    pub fn with_reply(mut self, records: usize, bytes: usize) -> Self {
        self.reply_records = records;
        self.reply_bytes = bytes;
        self
    }
}

/// Collects what a [`FastSyncCompat`] needs; everything is checked in [`FastSyncCompatBuilder::build`].
#[must_use]
pub struct FastSyncCompatBuilder {
    server: SyncManager<Server>,
    zone_of: Box<ZoneOf>,
    aliases: Vec<(String, String)>,
    limits: CompatLimits,
}

impl fmt::Debug for FastSyncCompatBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastSyncCompatBuilder").field("server", &self.server).finish_non_exhaustive()
    }
}

impl FastSyncCompatBuilder {
    pub(crate) fn new(server: SyncManager<Server>, zone_of: Box<ZoneOf>) -> Self {
        Self { server, zone_of, aliases: Vec::new(), limits: CompatLimits::default() }
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

    /// Checks everything.
    ///
    /// # Errors
    /// `Config` that names every problem: a field whose name means something else in the original protocol, an alias
    /// of a type that is not registered, limits of zero.
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
        let CompatLimits { session, reply_records, reply_bytes } = self.limits;
        if [session.records, session.bytes, reply_records, reply_bytes].contains(&0) {
            problems.push("a limit is zero".to_owned());
        }
        if !problems.is_empty() {
            return Err(config(&problems));
        }
        let (server, zone_of, limits) = (self.server, self.zone_of, self.limits);
        Ok(FastSyncCompat {
            inner: Arc::new(Inner { server, zone_of, aliases, limits, quiet: Quiet::default() }),
        })
    }
}
