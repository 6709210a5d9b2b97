#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable
    )
)]

mod builder;
mod convert;
mod cut;
mod edit;
#[cfg(feature = "http")]
pub mod http;
pub mod import;
mod limits;
mod memo;
mod pull;
mod push;
mod quiet;
mod reading;
mod refusal;
mod shelf;
mod timestamp;
mod version;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::{
    DeviceId, Error, ErrorKind, Result, Server, SyncContext, SyncManager, TypeName, TypeSchema, Value, Zone,
    ZoneRestriction,
};

pub use builder::FastSyncCompatBuilder;
pub use limits::CompatLimits;
pub use refusal::{KeptRefusal, Refusal, RefusalAnswer};

use convert::{name_uuid, zone_name};
use quiet::Quiet;
use shelf::Shelf;

/// Serves the original FastSync clients from a server of ours. A cheap handle: clones share everything.
///
/// Both sorts of clients work on the same records at the same time: what one pushes the other pulls.
#[derive(Clone)]
pub struct FastSyncCompat {
    inner: Arc<Inner>,
}

struct Inner {
    server: SyncManager<Server>,
    zone_of: Box<ZoneOf>,
    aliases: BTreeMap<String, TypeName>,
    limits: CompatLimits,
    quiet: Quiet,
    /// What the fields of a deleted object have whose last values were not kept.
    samples: BTreeMap<TypeName, Vec<Value>>,
    /// The field, by type, that has what clients send and the type does not have.
    unknown: BTreeMap<TypeName, usize>,
    answers: BTreeMap<String, RefusalAnswer>,
    answer: RefusalAnswer,
    shelf: Shelf,
    on_notice: Option<Box<NoticeHook>>,
}

type NoticeHook = dyn Fn(&SyncContext, &Refusal) + Send + Sync;
type ZoneOf = dyn Fn(&SyncContext, &TypeName) -> Option<Zone> + Send + Sync;

/// What became of a push.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushReply {
    /// How many objects were processed: stored, settled, or known already.
    pub processed: usize,
    /// What was not. If anything is here the client must hear that its push failed, so that it keeps these edits; what
    /// was processed is not harmed by being pushed again.
    pub refused: Vec<Refusal>,
    /// What was not, but the client is to hear that its push succeeded: see [`RefusalAnswer`].
    pub undone: Vec<Refusal>,
    /// Objects that were stored, or refused for another reason, with U+FFFD in place of halves of characters.
    pub mended: Vec<Refusal>,
}

/// What a pull gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PullReply {
    /// The objects.
    pub payload: wire::SyncPayload,
    /// Types that were asked for and are not there.
    pub refused: Vec<Refusal>,
}

/// A registered type, as a client names it.
struct KnownType<'a> {
    schema: &'a TypeSchema,
    zone: Zone,
    /// The place of the field for what the type does not have.
    unknown: Option<usize>,
}

impl FastSyncCompat {
    /// Starts a server of original clients on a server of ours.
    ///
    /// `zone_of` gives the zone of a restricted type that the clients of a user share: the original has one for each
    /// type. Its key is the client's `syncZone`. What the client says of it is compared and never trusted, and the
    /// server's zone policy is asked as well.
    pub fn builder(
        server: SyncManager<Server>,
        zone_of: impl Fn(&SyncContext, &TypeName) -> Option<Zone> + Send + Sync + 'static,
    ) -> FastSyncCompatBuilder {
        FastSyncCompatBuilder::new(server, Box::new(zone_of))
    }

    /// Processes a push on behalf of `context`: the whole of the original's `SyncManager.processPush`.
    ///
    /// Up to [`CompatLimits::session`] the push is one session: visible whole or not at all. Objects that conflict are
    /// settled by their type's handler; whatever wins has a new version, so that the client receives it with its next
    /// pull. An object that is refused leaves the others; [`RefusalAnswer`] says what becomes of it. The same push again
    /// changes nothing.
    ///
    /// # Errors
    /// `Contention`; those of the zone policy and of the data source. Nothing of the session under way is changed then;
    /// the client tries again.
    ///
    /// Cancellation: as for an error.
    pub async fn process_push(&self, context: &SyncContext, request: wire::PushRequest) -> Result<PushReply> {
        self.inner.process_push(context, request).await
    }

    /// Processes a pull on behalf of `context`: the whole of the original's `SyncManager.processPull`.
    ///
    /// A reply is cut where it grows too large, or reading it takes too long, and the next pull gives the rest: between sessions,
    /// or inside one that is larger.
    ///
    /// # Errors
    /// Those of the zone policy and of the data source.
    pub async fn process_pull(&self, context: &SyncContext, request: wire::PullRequest) -> Result<PullReply> {
        self.inner.process_pull(context, request, None).await
    }

    /// What was refused while its client was told that its push succeeded: the newest first, at most 10,000 of them. They
    /// are kept for [as long as pushes are remembered](CompatLimits::with_memory).
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn refusals(&self) -> Result<Vec<KeptRefusal>> {
        self.inner.refusals().await
    }

    /// Removes what was dealt with.
    ///
    /// # Errors
    /// Those of the data source.
    pub async fn forget_refusals(&self, refusals: &[KeptRefusal]) -> Result<()> {
        self.inner.forget(refusals).await
    }
}

impl std::fmt::Debug for FastSyncCompat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FastSyncCompat").field("server", &self.inner.server).finish_non_exhaustive()
    }
}

impl Inner {
    /// The type that a client means, with the zone that this context has of it.
    fn known_type(&self, context: &SyncContext, name: &str) -> std::result::Result<KnownType<'_>, Refusal> {
        let unknown = || Refusal::of_type(name, "unknown_type", "the server does not know this type");
        let type_name = match self.aliases.get(name) {
            Some(type_name) => type_name.clone(),
            None => TypeName::new(name).map_err(|_| unknown())?,
        };
        let schema = self.server.store().schema(&type_name).map_err(|_| unknown())?;
        let zone = match schema.restriction() {
            ZoneRestriction::Global => Zone::Global,
            ZoneRestriction::Restricted => {
                let zone = (self.zone_of)(context, &type_name).filter(|zone| *zone != Zone::Global);
                zone.ok_or_else(|| no_zone(name))?
            }
        };
        let unknown = self.unknown.get(schema.name()).copied();
        Ok(KnownType { schema, zone, unknown })
    }

    /// Original clients have no device identity: those of a user share one, unless authentication knows the device.
    fn device(&self, context: &SyncContext) -> DeviceId {
        context.device.unwrap_or_else(|| {
            let tenant = context.tenant.as_deref().unwrap_or_default();
            DeviceId::from_uuid(name_uuid(&["device", tenant, &context.user]))
        })
    }
}

/// Why an edit may not be stored in this zone, and what would help. It names no zone but the one that the client said.
fn zone_refusal(type_name: &str, zone: &Zone, said: Option<&str>) -> Refusal {
    let is_global = |said: &str| said.is_empty() || said == convert::GLOBAL;
    if *zone != Zone::Global && said.is_some_and(is_global) {
        let message = "the client takes this type for one that everyone shares, and the server keeps it in zones: configure \
                       the client with the user's zone (`setTypeSyncZone` with `restricted`), or register a global type at \
                       the server";
        return Refusal::of_type(type_name, "zone", message);
    }
    let message = "the client is configured with a zone that does not exist or that the signed-in user may not use: \
                   configure it with the user's own";
    Refusal::of_type(type_name, "zone", message)
}

/// The same answer for a zone that is not there and one that is another's.
fn no_zone(type_name: &str) -> Refusal {
    Refusal::of_type(type_name, "zone", "the zone does not exist or may not be used")
}

/// Whether a client means this zone.
fn is_meant(zone: &Zone, said: Option<&str>) -> bool {
    said.is_none_or(|said| said == zone_name(zone) || (said.is_empty() && *zone == Zone::Global))
}

/// Whether an edit may be stored in this zone. What everyone shares takes edits whatever zone the client was configured
/// with, as the original's servers do.
fn may_go_to(zone: &Zone, said: Option<&str>) -> bool {
    *zone == Zone::Global || is_meant(zone, said)
}

fn config(problems: &[String]) -> Error {
    Error::new(ErrorKind::Config, "build", problems.join("; "))
}
