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
mod edit;

#[cfg(feature = "http")]
pub mod http;
mod memo;
mod pull;
mod push;
mod quiet;
mod timestamp;
mod version;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use fastsync_core::{
    DeviceId, Error, ErrorKind, Result, Server, SyncContext, SyncManager, TypeName, TypeSchema, Zone,
    ZoneRestriction,
};
use serde::Serialize;

pub use builder::{CompatLimits, FastSyncCompatBuilder};

use convert::{name_uuid, zone_name};
use quiet::Quiet;

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
}

type ZoneOf = dyn Fn(&SyncContext, &TypeName) -> Option<Zone> + Send + Sync;

/// What became of a push.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushReply {
    /// How many objects were processed: stored, settled, or known already.
    pub processed: usize,
    /// What was not. If anything is here the client must hear that its push failed, so that it keeps these edits; what
    /// was processed is not harmed by being pushed again.
    pub refused: Vec<Refusal>,
}

/// What a pull gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PullReply {
    /// The objects.
    pub payload: wire::SyncPayload,
    /// Types that were asked for and are not there.
    pub refused: Vec<Refusal>,
}

/// A type or an object that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The type, as the client calls it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The object; none if it is the whole type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why, for programs: `unknown_type`, `zone`, `invalid`, `constraint`, `handler_failed`, or a code of the
    /// application's own.
    pub code: String,
    /// Why, for people.
    pub message: String,
}

impl Refusal {
    fn of_type(type_name: &str, code: &str, message: &str) -> Self {
        let (type_name, id) = (shortened(type_name), None);
        Self { type_name, id, code: code.to_owned(), message: message.to_owned() }
    }

    fn of_object(type_name: &str, id: &str, code: impl Into<String>, message: impl Into<String>) -> Self {
        let (type_name, id) = (shortened(type_name), Some(shortened(id)));
        Self { type_name, id, code: code.into(), message: message.into() }
    }
}

/// A name as it was sent, for a message.
fn shortened(name: &str) -> String {
    name.chars().take(128).collect()
}

/// A registered type, as a client names it.
struct KnownType<'a> {
    schema: &'a TypeSchema,
    zone: Zone,
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
    /// pull. The same push again changes nothing.
    ///
    /// # Errors
    /// `Contention`; those of the zone policy and of the data source. Nothing of the session under way is changed then;
    /// the client tries again.
    ///
    /// Cancellation: as for an error.
    pub async fn process_push(&self, context: &SyncContext, payload: wire::SyncPayload) -> Result<PushReply> {
        self.inner.process_push(context, payload).await
    }

    /// Processes a pull on behalf of `context`: the whole of the original's `SyncManager.processPull`.
    ///
    /// A reply is cut between sessions where it grows too large, and the next pull gives the rest.
    ///
    /// # Errors
    /// Those of the zone policy and of the data source.
    pub async fn process_pull(
        &self,
        context: &SyncContext,
        request: wire::SyncOperationMetadata,
    ) -> Result<PullReply> {
        self.inner.process_pull(context, request).await
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
        Ok(KnownType { schema, zone })
    }

    /// Original clients have no device identity: those of a user share one, unless authentication knows the device.
    fn device(&self, context: &SyncContext) -> DeviceId {
        context.device.unwrap_or_else(|| {
            let tenant = context.tenant.as_deref().unwrap_or_default();
            DeviceId::from_uuid(name_uuid(&["device", tenant, &context.user]))
        })
    }
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
