//! The end of a transaction: sessions, state entries and the ends of the zones.

use fastsync_core::Position;
use fastsync_core::source::Receipt;
use mongodb::bson::{RawArrayBuf, RawDocument, RawDocumentBuf, doc};

use crate::attempt::{Attempt, Tally};
use crate::bulk::{Bulk, Verb, run_plain};
use crate::codec::{binary, signed, unsigned, uuid_ref};
use crate::error::Run;
use crate::job::Job;
use crate::read::read_positions;
use crate::store::{SESSIONS, STATE, ZONES, raw};

impl Attempt<'_> {
    /// Notes a commit as applied: its session, its state entries. Gives its receipt.
    pub(crate) fn note(&mut self, job: &Job, tally: &Tally) -> Run<Receipt> {
        let commit = &job.commit;
        let positions: Vec<_> =
            tally.positions.iter().map(|(zone, at)| (zone.clone(), Position(*at))).collect();
        let receipt = Receipt { positions, change: tally.change, skipped: Vec::new() };
        let mut session = RawDocumentBuf::new();
        session.append_ref("_id", uuid_ref(commit.session.as_uuid().as_bytes()));
        session.append("attempt", job.attempt);
        session.append_ref("kind", commit.kind.name());
        if let Some(user) = &commit.author.user {
            session.append_ref("user", user.as_str());
        }
        session.append_ref("device", uuid_ref(commit.author.device.as_uuid().as_bytes()));
        session.append_ref("number", signed(commit.author.number));
        session.append_ref("committed_at", signed(commit.at.as_millis()));
        session.append_ref("tag", signed(commit.tag.0));
        session.append_ref("change", signed(tally.change));
        let mut places = RawArrayBuf::new();
        for (zone, position) in &tally.positions {
            let mut place = RawDocumentBuf::new();
            place.append_ref("zone", zone.to_string().as_str());
            place.append_ref("position", signed(*position));
            places.push(place);
        }
        session.append("positions", places);
        let mut counts = RawArrayBuf::new();
        for (name, records) in tally.put.by_type() {
            let mut count = RawDocumentBuf::new();
            count.append_ref("type", name.as_str());
            count.append_ref("records", signed(records));
            counts.push(count);
        }
        session.append("counts", counts);
        self.sessions.push(session);
        for write in &commit.state {
            self.state.insert(write.key.clone(), write.value.clone());
            self.written.insert(write.key.clone());
        }
        self.committed.insert(commit.session, (receipt.clone(), None));
        Ok(receipt)
    }

    /// Writes sessions, state entries and the ends of the zones.
    pub(crate) async fn finish(self) -> Run<()> {
        let mut sessions = Bulk::new(Verb::Insert, SESSIONS);
        self.sessions.into_iter().for_each(|session| sessions.push(session, None));
        run_plain(sessions, self.store, self.session).await?;

        let (mut set, mut removed) = (Bulk::new(Verb::Update, STATE), Bulk::new(Verb::Delete, STATE));
        for key in self.written {
            let mut id = RawDocumentBuf::new();
            id.append_ref("_id", key.as_str());
            match self.state.get(&key).and_then(Option::as_ref) {
                Some(value) => {
                    id.append_ref("value", binary(value));
                    set.update_text(&key, &id);
                }
                None => removed.delete_text(&key),
            }
        }
        run_plain(set, self.store, self.session).await?;
        run_plain(removed, self.store, self.session).await?;

        let mut ends = Bulk::new(Verb::Update, ZONES);
        for (turn, end) in self.ends.iter().filter(|(_, end)| end.moved) {
            let next = raw(&doc! { "$set": { "head": signed(end.number), "tag": signed(end.tag) } })?;
            ends.update_text(turn, &next);
        }
        run_plain(ends, self.store, self.session).await
    }
}

pub(crate) fn read_receipt(document: &RawDocument) -> Run<Receipt> {
    let change = unsigned(document.get_i64("change")?);
    Ok(Receipt { positions: read_positions(document)?, change, skipped: Vec::new() })
}
