//! Answering a pull.

use std::collections::{BTreeMap, BTreeSet};

use super::Server;
use super::receipt::LastPush;
use crate::context::{SyncContext, ZoneAccess};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, TypeName, Zone};
use crate::protocol::{Columns, PullPage, PullReply, PullRequest, ResetRequired, Standing, SyncPayload};
use crate::source::{
    Changes, ChangesRequest, PageLimits, Point, ResetReason, SkipOwn, SyncableDataSourceExt as _,
};
use crate::store::StateKey;

impl Server {
    pub(super) async fn process_pull(
        &self,
        context: &SyncContext,
        request: PullRequest,
    ) -> Result<PullReply> {
        self.check_sender(context, &request.metadata)?;
        let access = self.policy.zones(context).await?;
        let zones = self.readable_zones(&access, &request)?;
        let Known { columns, coverage: types, unknown: unknown_types, outdated: outdated_types } =
            self.known_types(&request)?;
        let holder = self.holder(context, request.metadata.device);
        let standing = match &request.cursor {
            None => None,
            Some(cursor) => Some(self.seal.open(cursor, &holder)?),
        };
        if standing.as_ref().is_some_and(|standing| standing.epoch != self.epoch) {
            return Ok(PullReply::ResetRequired(ResetRequired::new(ResetReason::Epoch)));
        }
        let is_covered = standing.as_ref().is_none_or(|standing| is_covered(standing, &types, &request.anew));
        let points = standing.map(|standing| standing.points).unwrap_or_default();
        // A zone that was revoked meanwhile begins anew if it is granted again: what was purged by then is told by its horizon.
        let point = |(zone, point): (Zone, _)| {
            let point = if access.can_read(&zone) { Point::from(point) } else { Point::START };
            (zone, point)
        };
        let points: BTreeMap<_, _> = points.into_iter().map(point).collect();
        let last = self.last_if_forgotten(context, &request).await?;
        if last.is_some() || !is_covered {
            let mut reset = self.reset(ResetReason::Coverage, &zones, &points).await?;
            if last.is_some() {
                (reset.reason, reset.last) = (ResetReason::History, last);
            }
            return Ok(PullReply::ResetRequired(reset));
        }
        match self.read(&request, &zones, &types, points).await? {
            Read::ResetRequired(reset) => Ok(PullReply::ResetRequired(reset)),
            Read::Page { records, points, caught_up, remaining } => {
                let standing = Standing {
                    epoch: self.epoch,
                    types,
                    points: points.into_iter().map(|(zone, point)| (zone, point.into())).collect(),
                };
                Ok(PullReply::Page(PullPage {
                    payload: SyncPayload::from_records(
                        records.into_iter().map(|record| for_peer(record, &columns)),
                    ),
                    cursor: self.seal.seal(&standing, &holder)?,
                    caught_up,
                    remaining,
                    unknown_types,
                    outdated_types,
                    server_time: self.store.now(),
                }))
            }
        }
    }

    /// The zones asked for, each of them readable.
    fn readable_zones(&self, access: &ZoneAccess, request: &PullRequest) -> Result<BTreeSet<Zone>> {
        if request.zones.is_empty() || request.zones.len() > self.limits.zones {
            return Err(Error::invalid(
                "pull",
                format!(
                    "a pull names 1 to {} zones, this one {}: name fewer, or raise `ServerLimits::zones`",
                    self.limits.zones,
                    request.zones.len()
                ),
            ));
        }
        if let Some(place) = request.zones.iter().position(|zone| !access.can_read(zone)) {
            // The same, whether it exists or not. The client knows its name.
            let (place, count) = (place.saturating_add(1), request.zones.len());
            let message = format!("zone {place} of the {count} asked for does not exist, or may not be read");
            return Err(Error::new(ErrorKind::UnknownZone, "pull", message));
        }
        let zones: BTreeSet<Zone> = request.zones.iter().cloned().collect();
        if zones.len() != request.zones.len() {
            return Err(Error::invalid("pull", "a pull names a zone twice"));
        }
        Ok(zones)
    }

    /// The requested types that this server can exchange with the client, and the others: those that it does not have,
    /// those of which the client has fields that it does not have, and those of which it asks for a later version.
    fn known_types(&self, request: &PullRequest) -> Result<Known> {
        if request.metadata.types.is_empty() {
            return Err(Error::invalid("pull", "a pull names no type"));
        }
        let mut known = Known::default();
        for (name, theirs) in &request.metadata.types {
            let columns = match self.store.schema(name) {
                Ok(schema) if theirs.is_outdated(schema) => {
                    known.outdated.push(name.clone());
                    continue;
                }
                Ok(schema) => Columns::of(schema, theirs),
                Err(error) => Err(error),
            };
            match columns {
                Ok(columns) => {
                    known.columns.insert(name.clone(), columns);
                    known.coverage.insert(name.clone(), theirs.coverage());
                }
                Err(error) if error.kind() == ErrorKind::UnknownType => known.unknown.push(name.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    /// The number of the device's last push, if the device has stored answers to later ones: they were forgotten.
    async fn last_if_forgotten(&self, context: &SyncContext, request: &PullRequest) -> Result<Option<u64>> {
        if request.own_through == 0 {
            return Ok(None);
        }
        let key = StateKey::pushed_by(context.tenant.as_deref(), &context.user, request.metadata.device);
        let stored = self.store.source().entry(&key).await?;
        let last = LastPush::decode(stored.as_deref())?.map_or(0, |last| last.number);
        Ok((last < request.own_through).then_some(last))
    }

    /// What to tell a device that must start over for this reason: that of a history that was lost comes first.
    async fn reset(
        &self,
        reason: ResetReason,
        zones: &BTreeSet<Zone>,
        points: &BTreeMap<Zone, Point>,
    ) -> Result<ResetRequired> {
        let mut lost = BTreeSet::new();
        for (zone, point) in points.iter().filter(|(zone, _)| zones.contains(*zone)) {
            if self.is_lost(zone, point).await? {
                lost.insert(zone.clone());
            }
        }
        let mut reset = ResetRequired::new(reason);
        if !lost.is_empty() {
            (reset.reason, reset.zones) = (ResetReason::History, Some(lost));
        }
        Ok(reset)
    }

    /// Whether a place is not in the history of its zone.
    async fn is_lost(&self, zone: &Zone, point: &Point) -> Result<bool> {
        let request = ChangesRequest {
            zone: zone.clone(),
            after: point.clone().into(),
            types: None,
            skip_own: None,
            limits: PageLimits { records: 1, bytes: 1 },
            count_remaining: false,
        };
        let changes = self.store.source().changes(&request).await?;
        Ok(changes == Changes::ResetRequired(ResetReason::History))
    }

    async fn read(
        &self,
        request: &PullRequest,
        zones: &BTreeSet<Zone>,
        types: &BTreeMap<TypeName, u64>,
        points: BTreeMap<Zone, Point>,
    ) -> Result<Read> {
        // The device may come back to zones that it does not name now.
        let (mut points, elsewhere): (BTreeMap<_, _>, BTreeMap<_, _>) =
            points.into_iter().partition(|(zone, _)| zones.contains(zone));
        let limit = |asked: u32, most: usize| usize::try_from(asked).unwrap_or(most).clamp(1, most);
        let mut limits = PageLimits {
            records: limit(request.max_records, self.limits.page_records),
            bytes: limit(request.max_bytes, self.limits.page_bytes),
        };
        let all_types = types.len() == self.endpoints.len();
        let own = SkipOwn { device: request.metadata.device, through: request.own_through };
        let skip_own = (request.own_through > 0).then_some(own);
        // A pull becomes visible at its end, so who has nothing yet takes records in any order.
        let start = if skip_own.is_none() { Point::LOAD } else { Point::START };
        let mut records: Vec<Record> = Vec::new();
        let mut caught_up = true;
        let mut remaining = request.count_remaining.then_some(0_u64);
        for zone in zones {
            let after = points.get(zone).unwrap_or(&start).clone();
            // Whoever comes back to a zone that was revoked has records of it, and must learn what was purged.
            let comes_back = points.get(zone) == Some(&Point::START);
            let skip_own = if comes_back { Some(own) } else { skip_own };
            if limits.records == 0 || limits.bytes == 0 {
                // No room for this zone on this page: the client asks again. Who asks for one record wants to know whether
                // anything was lost, in any zone.
                if request.max_records == 1 && points.contains_key(zone) && self.is_lost(zone, &after).await?
                {
                    return self.reset(ResetReason::History, zones, &points).await.map(Read::ResetRequired);
                }
                caught_up = false;
                continue;
            }
            let page = self
                .store
                .source()
                .changes(&ChangesRequest {
                    zone: zone.clone(),
                    after: after.into(),
                    types: (!all_types).then(|| types.keys().cloned().collect()),
                    skip_own,
                    limits,
                    count_remaining: request.count_remaining,
                })
                .await?;
            match page {
                Changes::ResetRequired(reason) => {
                    return self.reset(reason, zones, &points).await.map(Read::ResetRequired);
                }
                Changes::Page(page) => {
                    let bytes: usize = page.records.iter().map(Record::approximate_bytes).sum();
                    limits.records = limits.records.saturating_sub(page.records.len());
                    limits.bytes = limits.bytes.saturating_sub(bytes);
                    caught_up &= page.caught_up;
                    remaining = remaining.zip(page.remaining).map(|(sum, more)| sum.saturating_add(more));
                    points.insert(zone.clone(), page.next);
                    // The history still has records of types that this server has given up.
                    let is_known = |record: &Record| types.contains_key(&record.key.type_name);
                    records.extend(page.records.into_iter().filter(is_known));
                }
            }
        }
        // As far as a cursor has room: whoever comes back to one that is left out begins there anew.
        let room = self.limits.zones.saturating_sub(points.len());
        points.extend(elsewhere.into_iter().take(room));
        Ok(Read::Page { records, points, caught_up, remaining })
    }
}

/// The types of a request as they are at both ends.
#[derive(Default)]
struct Known {
    columns: BTreeMap<TypeName, Columns>,
    /// What the next cursor says of each.
    coverage: BTreeMap<TypeName, u64>,
    unknown: Vec<TypeName>,
    outdated: Vec<TypeName>,
}

/// A record with the fields that the client has.
pub(super) fn for_peer(record: Record, columns: &BTreeMap<TypeName, Columns>) -> Record {
    let body = match columns.get(&record.key.type_name) {
        Some(columns) => record.body.map(|body| columns.row(body)),
        None => record.body,
    };
    Record { body, ..record }
}

enum Read {
    Page { records: Vec<Record>, points: BTreeMap<Zone, Point>, caught_up: bool, remaining: Option<u64> },
    ResetRequired(ResetRequired),
}

/// Whether a cursor has seen these types, as they are now.
fn is_covered(standing: &Standing, types: &BTreeMap<TypeName, u64>, anew: &BTreeSet<TypeName>) -> bool {
    let is_covered = |(name, coverage)| anew.contains(name) || standing.types.get(name) == Some(coverage);
    types.iter().all(is_covered)
}
