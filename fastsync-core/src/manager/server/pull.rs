//! Answering a pull.

use std::collections::{BTreeMap, BTreeSet};

use super::Server;
use crate::context::SyncContext;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Record, TypeName, Zone};
use crate::protocol::{PullPage, PullReply, PullRequest, Standing, SyncPayload, TypeVersion};
use crate::source::{Changes, ChangesRequest, PageLimits, Point, ResetReason, SkipOwn};

impl Server {
    pub(super) async fn process_pull(
        &self,
        context: &SyncContext,
        request: PullRequest,
    ) -> Result<PullReply> {
        self.check_sender(context, &request.metadata)?;
        let zones = self.readable_zones(context, &request).await?;
        let (types, unknown_types) = self.known_types(&request)?;
        let holder = self.holder(context, request.metadata.device);
        let standing = match &request.cursor {
            None => None,
            Some(cursor) => Some(self.seal.open(cursor, &holder)?),
        };
        if let Some(reason) = standing.as_ref().and_then(|standing| self.reset_reason(standing, &types)) {
            return Ok(PullReply::ResetRequired { reason });
        }
        let points = standing.map(|standing| standing.points).unwrap_or_default();
        let points = points.into_iter().map(|(zone, point)| (zone, point.into())).collect();
        match self.read(&request, &zones, &types, points).await? {
            Read::ResetRequired(reason) => Ok(PullReply::ResetRequired { reason }),
            Read::Page { records, points, caught_up, remaining } => {
                let standing = Standing {
                    epoch: self.epoch,
                    types,
                    points: points.into_iter().map(|(zone, point)| (zone, point.into())).collect(),
                };
                Ok(PullReply::Page(PullPage {
                    payload: SyncPayload::from_records(records),
                    cursor: self.seal.seal(&standing, &holder)?,
                    caught_up,
                    remaining,
                    unknown_types,
                    server_time: self.store.now(),
                }))
            }
        }
    }

    /// The zones asked for, each of them readable.
    async fn readable_zones(&self, context: &SyncContext, request: &PullRequest) -> Result<BTreeSet<Zone>> {
        if request.zones.is_empty() || request.zones.len() > self.limits.zones {
            return Err(Error::invalid("pull", format!("a pull names 1 to {} zones", self.limits.zones)));
        }
        let access = self.policy.zones(context).await?;
        if request.zones.iter().any(|zone| !access.can_read(zone)) {
            return Err(Error::new(ErrorKind::UnknownZone, "pull", "a zone of the request does not exist"));
        }
        let zones: BTreeSet<Zone> = request.zones.iter().cloned().collect();
        if zones.len() != request.zones.len() {
            return Err(Error::invalid("pull", "a pull names a zone twice"));
        }
        Ok(zones)
    }

    /// The requested types that this server has, with its schema versions, and those that it does not have.
    fn known_types(&self, request: &PullRequest) -> Result<(BTreeMap<TypeName, u32>, Vec<TypeName>)> {
        let mut known = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, theirs) in &request.metadata.types {
            let Ok(schema) = self.store.schema(name) else {
                unknown.push(name.clone());
                continue;
            };
            let ours = TypeVersion::of(schema);
            if ours.version != theirs.version || ours.fields != theirs.fields {
                return Err(Error::new(
                    ErrorKind::UpgradeRequired,
                    "pull",
                    format!(
                        "type {name} is version {} here and {} at the client, or has other fields",
                        ours.version, theirs.version
                    ),
                ));
            }
            known.insert(name.clone(), ours.version);
        }
        if request.metadata.types.is_empty() {
            return Err(Error::invalid("pull", "a pull names no type"));
        }
        Ok((known, unknown))
    }

    fn reset_reason(&self, standing: &Standing, types: &BTreeMap<TypeName, u32>) -> Option<ResetReason> {
        if standing.epoch != self.epoch {
            return Some(ResetReason::Epoch);
        }
        let covered = types.iter().all(|(name, version)| standing.types.get(name) == Some(version));
        (!covered).then_some(ResetReason::Coverage)
    }

    async fn read(
        &self,
        request: &PullRequest,
        zones: &BTreeSet<Zone>,
        types: &BTreeMap<TypeName, u32>,
        mut points: BTreeMap<Zone, Point>,
    ) -> Result<Read> {
        points.retain(|zone, _| zones.contains(zone));
        let limit = |asked: u32, most: usize| usize::try_from(asked).unwrap_or(most).clamp(1, most);
        let mut limits = PageLimits {
            records: limit(request.max_records, self.limits.page_records),
            bytes: limit(request.max_bytes, self.limits.page_bytes),
        };
        let all_types = types.len() == self.endpoints.len();
        let skip_own = SkipOwn { device: request.metadata.device, through: request.own_through };
        let skip_own = (request.own_through > 0).then_some(skip_own);
        // A pull becomes visible at its end, so who has nothing yet takes records in any order.
        let start = if skip_own.is_none() { Point::LOAD } else { Point::START };
        let mut records: Vec<Record> = Vec::new();
        let mut caught_up = true;
        let mut remaining = request.count_remaining.then_some(0_u64);
        for zone in zones {
            let after = points.get(zone).unwrap_or(&start).clone();
            if limits.records == 0 || limits.bytes == 0 {
                // No room for this zone on this page: the client asks again.
                caught_up = false;
                continue;
            }
            let page = self
                .store
                .source()
                .changes(&ChangesRequest {
                    zone: zone.clone(),
                    after,
                    types: (!all_types).then(|| types.keys().cloned().collect()),
                    skip_own,
                    limits,
                    count_remaining: request.count_remaining,
                })
                .await?;
            match page {
                Changes::ResetRequired(reason) => return Ok(Read::ResetRequired(reason)),
                Changes::Page(page) => {
                    let bytes: usize = page.records.iter().map(Record::approximate_bytes).sum();
                    limits.records = limits.records.saturating_sub(page.records.len());
                    limits.bytes = limits.bytes.saturating_sub(bytes);
                    caught_up &= page.caught_up;
                    remaining = remaining.zip(page.remaining).map(|(sum, more)| sum.saturating_add(more));
                    points.insert(zone.clone(), page.next);
                    records.extend(page.records);
                }
            }
        }
        Ok(Read::Page { records, points, caught_up, remaining })
    }
}

enum Read {
    Page { records: Vec<Record>, points: BTreeMap<Zone, Point>, caught_up: bool, remaining: Option<u64> },
    ResetRequired(ResetReason),
}
