//! Answering a pull.
//!
//! A client's cursor for a type is the number of the last session of the zone that it has read: our position.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastsync_core::source::{After, Changes, ChangesRequest, PageLimits};
use fastsync_core::{Position, Record, Result, SyncContext, Timestamp, TypeName, TypeSchema, Zone};

use crate::convert::{deleted_body, overhead, to_object, zone_name};
use crate::quiet::Stretch;
use crate::reading::{Reading, Room};
use crate::timestamp::Unit;
use crate::wire::{Number, PullRequest, SyncMetadata, operation};
use crate::{CompatLimits, Inner, KnownType, PullReply, Refusal, is_meant, no_zone, version};

/// A type that a client asks for.
struct Asked<'a> {
    name: String,
    schema: &'a TypeSchema,
    unit: Unit,
    /// There is nothing of the type from here to where its reading begins.
    quiet_after: Position,
}

/// Where the reading of types begins: at the end of a session, or with a number inside one.
type Place = (Zone, Position, Option<u64>);

impl Inner {
    pub(crate) async fn process_pull(
        &self,
        context: &SyncContext,
        request: PullRequest,
        most: Option<usize>,
    ) -> Result<PullReply> {
        let access = self.server.access(context).await?;
        let mut reply = PullReply::default();
        let mut asked: BTreeMap<TypeName, Asked<'_>> = BTreeMap::new();
        let mut groups: BTreeMap<Place, (After, BTreeSet<TypeName>)> = BTreeMap::new();
        for (name, metadata) in request.metadata {
            let Some(metadata) = PullRequest::read(&metadata) else {
                let message = "the type's metadata cannot be read";
                reply.refused.push(Refusal::of_type(&name, "unreadable", message));
                continue;
            };
            let KnownType { schema, zone, .. } = match self.known_type(context, &name) {
                Ok(known) if access.can_read(&known.zone) => known,
                Ok(_) => {
                    reply.refused.push(no_zone(&name));
                    continue;
                }
                Err(refusal) => {
                    reply.refused.push(refusal);
                    continue;
                }
            };
            let type_name = schema.name().clone();
            if asked.contains_key(&type_name) {
                let message = "the request asks for this type by another name as well";
                reply.refused.push(Refusal::of_type(&name, "invalid", message));
                continue;
            }
            // A cursor of another zone (the user of the device changed) says nothing about this one: from the start.
            let same_zone = is_meant(&zone, metadata.sync_zone.as_deref());
            let cursor = if same_zone { metadata.version.whole() } else { 0 };
            let inside = self.point_of(&zone, cursor).await?;
            let (quiet_after, begin, after) = match inside {
                Some(point) => (point.position, point.position, After::Point(point)),
                None => {
                    let read = if version::is_original(cursor) {
                        self.imported_at(&zone, &type_name, cursor).await?
                    } else {
                        version::position(cursor)
                    };
                    let (quiet_after, begin) = self.pass_over(&zone, &type_name, read).await?;
                    (quiet_after, begin, begin.into())
                }
            };
            let number = after.within().map(|_| cursor);
            let unit = Unit::of(metadata.timestamp).unwrap_or(Unit::Seconds);
            let group = groups.entry((zone, begin, number)).or_insert_with(|| (after, BTreeSet::new()));
            group.1.insert(type_name.clone());
            asked.insert(type_name, Asked { name, schema, unit, quiet_after });
        }
        let mut found = Vec::new();
        let CompatLimits { reply_records, reply_bytes, reply_time, .. } = self.limits;
        let reply_bytes = most.map_or(reply_bytes, |most| most.min(reply_bytes)).max(1);
        let until = later(self.server.store().now(), reply_time);
        let (mut records, mut bytes, mut is_cut) = (reply_records, reply_bytes, false);
        for ((zone, ..), (after, types)) in groups {
            let is_little = |left: usize, of: usize| left == 0 || left < of / 8;
            if is_little(records, reply_records) || is_little(bytes, reply_bytes) {
                is_cut = true; // The next pull gives the rest.
                break;
            }
            let overheads = types.iter().filter_map(|name| asked.get(name));
            let overhead = overheads.map(|asked| overhead(asked.schema, &asked.name, &zone)).max();
            let overhead = overhead.unwrap_or_default().max(1);
            // Half of the room for what the objects say, half for the rest of their form.
            let room =
                Room { records: records.min(bytes / 2 / overhead).max(1), bytes: (bytes / 2).max(1), until };
            let reading = self.read(&zone, after, types.clone(), room).await?;
            let said: usize = reading.records.iter().map(Record::approximate_bytes).sum();
            bytes = bytes.saturating_sub(said).saturating_sub(reading.records.len().saturating_mul(overhead));
            records = records.saturating_sub(reading.records.len());
            is_cut |= reading.is_cut;
            self.note_quiet(&zone, &reading, types, &asked);
            found.push((zone, reading));
        }
        self.write(&mut reply, &asked, found).await?;
        self.notice(context, reply.refused.iter().chain(&is_cut.then(cut_notice)));
        Ok(reply)
    }

    /// Where the reading of a type may begin for a client that has read up to a position: what is between has nothing
    /// of the type. Gives the first position of that stretch as well.
    async fn pass_over(
        &self,
        zone: &Zone,
        type_name: &TypeName,
        read: Position,
    ) -> Result<(Position, Position)> {
        let Some(stretch) = self.quiet.around(zone, type_name, read) else { return Ok((read, read)) };
        // The least that shows whether the end of the stretch is in this history.
        let request = ChangesRequest {
            zone: zone.clone(),
            after: stretch.through.clone().into(),
            types: None,
            skip_own: None,
            limits: PageLimits { records: 1, bytes: 1 },
            count_remaining: false,
        };
        let is_of_this_history =
            matches!(self.server.store().source().changes(&request).await?, Changes::Page(_));
        Ok(if is_of_this_history { (stretch.after, stretch.through.position) } else { (read, read) })
    }

    /// Remembers of which types there was nothing.
    fn note_quiet(
        &self,
        zone: &Zone,
        reading: &Reading,
        mut types: BTreeSet<TypeName>,
        asked: &BTreeMap<TypeName, Asked<'_>>,
    ) {
        let Some(through) = &reading.end else { return };
        for record in &reading.records {
            types.remove(&record.key.type_name);
        }
        for type_name in types {
            let Some(Asked { quiet_after: after, .. }) = asked.get(&type_name) else { continue };
            let stretch = Stretch { after: *after, through: through.clone() };
            self.quiet.note(zone.clone(), type_name, stretch);
        }
    }

    /// Parents come before children. A type without records is left out, as the clients want it.
    async fn write(
        &self,
        reply: &mut PullReply,
        asked: &BTreeMap<TypeName, Asked<'_>>,
        found: Vec<(Zone, Reading)>,
    ) -> Result<()> {
        let now = self.server.store().now();
        let mut by_type: BTreeMap<(i32, TypeName), (Zone, u64, Vec<Record>)> = BTreeMap::new();
        for (zone, reading) in found {
            for record in reading.records {
                let type_name = record.key.type_name.clone();
                let priority = asked.get(&type_name).map_or(0, |asked| asked.schema.priority());
                let entry = by_type.entry((priority, type_name));
                let (.., records) = entry.or_insert_with(|| (zone.clone(), reading.cursor, Vec::new()));
                records.push(record);
            }
        }
        for ((_, type_name), (zone, cursor, records)) in by_type {
            let Some(Asked { name, schema, unit, .. }) = asked.get(&type_name) else { continue };
            let metadata = SyncMetadata {
                id: Some(name.clone()),
                type_name: Some(name.clone()),
                sync_zone: Some(zone_name(&zone).to_owned()),
                version: cursor.into(),
                timestamp: unit.write(now),
                sync_operation: Some(Number::from(operation::NONE)),
            };
            let deleted: Vec<_> = records.iter().filter(|record| record.is_deleted()).collect();
            let mut kept = self.server.store().last_values(&deleted).await?;
            let sample = self.samples.get(&type_name).map(Vec::as_slice).unwrap_or_default();
            let unknown = self.unknown.get(&type_name).copied();
            let objects = records.into_iter().map(|record| {
                let kept = kept.remove(&record.key);
                to_object(schema, name, unknown, *unit, record, || deleted_body(schema, sample, kept))
            });
            reply.payload.data.insert(name.clone(), objects.collect());
            reply.payload.operation_metadata.metadata.insert(name.clone(), metadata);
        }
        Ok(())
    }
}

/// What the application is told of a reply that has not everything.
fn cut_notice() -> Refusal {
    let message = "there is more than fits one reply: the client shows the rest after its next pulls; let it pull until nothing \
                   comes, or raise the reply limits";
    Refusal { type_name: String::new(), id: None, code: "reply_cut".to_owned(), message: message.to_owned() }
}

fn later(now: Timestamp, time: Duration) -> Timestamp {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_add(millis))
}
