//! What of the server's history was lost: a backup was restored, or another store is at its address.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Client;
use super::pull::PullPlan;
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Zone;
use crate::protocol::{Cursor, PullReply, ResetRequired};
use crate::source::entry::{decode, encode};
use crate::source::{ResetReason, StateWrite, SyncableDataSourceExt as _};
use crate::store::StateKey;

/// What was lost, as far as a manager needs to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LostHistory {
    /// The zones in which what is missing was forgotten. In the others it was deleted.
    pub(super) zones: BTreeSet<Zone>,
    /// The number of this device's last push that the server has, if it has forgotten later ones.
    pub(super) last: Option<u64>,
}

impl LostHistory {
    pub(super) fn merge(&mut self, more: Self) {
        self.zones.extend(more.zones);
        self.last = match (self.last, more.last) {
            (Some(last), Some(more)) => Some(last.min(more)),
            (last, more) => last.or(more),
        };
    }
}

/// What is noted of it until a pull has found out what it means for this store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Noted {
    /// The number of the last push that the server had acknowledged, if it has forgotten that; else 0.
    pub(super) pushes: u64,
    /// Zones of which something is to be fetched anew yet: other managers of this store pull them, or the server does not know a
    /// type yet.
    pub(super) zones: BTreeSet<Zone>,
}

/// Up to which of the device's pushes the cursor's place in each zone has seen all.
type Covered = BTreeMap<Zone, u64>;

const fn is_loss(reason: ResetReason) -> bool {
    matches!(reason, ResetReason::History | ResetReason::Epoch)
}

impl Client {
    pub(super) async fn load_lost(&self) -> Result<(Noted, Option<Vec<u8>>)> {
        let stored = self.store.source().entry(StateKey::LOST).await?;
        let noted = stored.as_deref().map(decode).transpose()?.unwrap_or_default();
        Ok((noted, stored))
    }

    /// The entry that notes that the server has forgotten pushes, of which it had acknowledged those up to this number.
    pub(super) async fn note_lost_pushes(&self, acknowledged: u64) -> Result<StateWrite> {
        let (noted, stored) = self.load_lost().await?;
        let noted = Noted { pushes: noted.pushes.max(acknowledged), ..noted };
        Ok(StateWrite::replace(StateKey::LOST, stored, Some(encode(&noted)?)))
    }

    /// The entry that notes in which zones the server has lost what the stored cursor has seen, if it has.
    pub(super) async fn note_lost_zones(&self, own_through: u64) -> Result<Option<StateWrite>> {
        let Some(cursor) = self.load_cursor().await? else { return Ok(None) };
        let zones = match self.ask_everywhere(Some(&cursor), own_through).await {
            Ok(lost) => lost.map(|(_, lost)| lost.zones).unwrap_or_default(),
            Err(error) if may_not_be_read(&error) => self.own_zones(),
            Err(error) => return Err(error),
        };
        let (mut noted, stored) = self.load_lost().await?;
        let before = noted.zones.len();
        noted.zones.extend(zones);
        if noted.zones.len() == before {
            return Ok(None);
        }
        Ok(Some(StateWrite::replace(StateKey::LOST, stored, Some(encode(&noted)?))))
    }

    async fn load_covered(&self) -> Result<Covered> {
        let stored = self.store.source().entry(StateKey::COVERED).await?;
        Ok(stored.as_deref().map(decode).transpose()?.unwrap_or_default())
    }

    /// Makes what is known of the history part of a plan. Whoever fetches everything anew asks for that first, since no request
    /// without a cursor tells it.
    pub(super) async fn plan_history(&self, plan: &mut PullPlan, stored: Option<&Cursor>) -> Result<()> {
        let noted = self.load_lost().await?.0;
        let lost: BTreeSet<_> = noted.zones.into_iter().filter(|zone| self.zones.contains(zone)).collect();
        if !plan.anew.is_empty() && !lost.is_empty() {
            // The note is used up, so all types of these zones are asked about.
            self.extend_to_all(plan);
        }
        let asks = noted.pushes > 0 || (stored.is_some() && self.is_whole(plan));
        if plan.reset.is_none() && asks {
            let own_through = noted.pushes.max(self.push_standing().await?.0);
            if let Some((reason, lost)) = self.ask_everywhere(stored, own_through).await? {
                if lost.last.is_some() || lost.zones.iter().any(|zone| self.zones.contains(zone)) {
                    self.extend_to_all(plan);
                    plan.reset = Some(reason);
                }
                plan.lost.merge(lost);
            }
            if plan.reset.is_none() && noted.pushes > 0 {
                // A server of an earlier release compares no numbers.
                self.extend_to_all(plan);
                plan.reset = Some(ResetReason::History);
                plan.lost.zones.extend(self.zones.iter().cloned());
            }
        }
        if !plan.anew.is_empty() && !lost.is_empty() {
            plan.lost.zones.extend(lost);
            plan.reset.get_or_insert(ResetReason::History);
        }
        Ok(())
    }

    /// What was lost in the zones of all managers of this store: a walk from the beginning ends with a cursor that has a place
    /// in those of its own manager alone, so nobody would notice it in the others.
    async fn ask_everywhere(
        &self,
        stored: Option<&Cursor>,
        own_through: u64,
    ) -> Result<Option<(ResetReason, LostHistory)>> {
        let own = self.own_zones();
        let mut zones = self.load_zones().await?;
        zones.extend(own.iter().cloned());
        match self.ask_history(&zones, stored, own_through).await {
            // Another user may have pulled them. Where nobody can tell, they may be lost.
            Err(error) if zones.len() > own.len() && may_not_be_read(&error) => {
                let answer = self.ask_history(&own, stored, own_through).await?;
                let (reason, mut lost) = answer.unwrap_or((ResetReason::History, LostHistory::default()));
                lost.zones.extend(zones.difference(&own).cloned());
                Ok(Some((reason, lost)))
            }
            answer => answer,
        }
    }

    /// Adds to what was lost in the zones of this manager what was lost in others.
    pub(super) async fn lost_elsewhere(
        &self,
        mut lost: LostHistory,
        own_through: u64,
    ) -> Result<LostHistory> {
        if lost != LostHistory::default() && !self.load_zones().await?.is_subset(&self.own_zones()) {
            let stored = self.load_cursor().await?;
            if let Some((_, everywhere)) = self.ask_everywhere(stored.as_ref(), own_through).await? {
                lost.merge(everywhere);
            }
        }
        Ok(lost)
    }

    pub(super) fn own_zones(&self) -> BTreeSet<Zone> {
        self.zones.iter().cloned().collect()
    }

    /// Why everything in these zones would have to be fetched anew because the server's history was lost; `None` if it was not.
    async fn ask_history(
        &self,
        zones: &BTreeSet<Zone>,
        stored: Option<&Cursor>,
        own_through: u64,
    ) -> Result<Option<(ResetReason, LostHistory)>> {
        let request = self.history_request(zones, stored.cloned(), own_through);
        match self.ask(&request).await?.read().await? {
            PullReply::ResetRequired(reset) if is_loss(reset.reason) => {
                let reason = reset.reason;
                Ok(Some((reason, self.lost_history(zones, reset, own_through).await?)))
            }
            PullReply::ResetRequired(_) | PullReply::Page(_) => Ok(None),
        }
    }

    /// Those of these zones whose history is lost by now. Where nobody can tell, they may all be.
    pub(super) async fn lost_zones(&self, zones: BTreeSet<Zone>) -> Result<BTreeSet<Zone>> {
        let stored = self.load_cursor().await?;
        match self.ask_history(&zones, stored.as_ref(), self.push_standing().await?.0).await {
            Ok(lost) => Ok(lost.map(|(_, lost)| lost.zones).unwrap_or_default()),
            Err(error) if may_not_be_read(&error) => Ok(zones),
            Err(error) => Err(error),
        }
    }

    /// What an answer says of the history of these zones, to a request that names own pushes up to this number.
    pub(super) async fn lost_history(
        &self,
        asked: &BTreeSet<Zone>,
        reset: ResetRequired,
        own_through: u64,
    ) -> Result<LostHistory> {
        let ResetRequired { reason, zones, mut last } = reset;
        if !is_loss(reason) {
            return Ok(LostHistory::default());
        }
        let mut zones = match zones.filter(|_| reason == ResetReason::History) {
            Some(zones) => zones.into_iter().filter(|zone| asked.contains(zone)).collect(),
            None => asked.clone(),
        };
        if last.is_some() {
            // A push that was forgotten may have written to any zone that has not been pulled since.
            let covered = self.load_covered().await?;
            let is_covered = |zone: &&Zone| covered.get(*zone).is_some_and(|through| *through >= own_through);
            zones.extend(asked.iter().filter(|zone| !is_covered(zone)).cloned());
        }
        if zones.is_empty() {
            zones.clone_from(asked);
        }
        if reason == ResetReason::Epoch && own_through > 0 {
            // A server that cannot read the cursor says nothing of the device's pushes, unless it is asked without one.
            let request = self.history_request(asked, None, own_through);
            if let PullReply::ResetRequired(reset) = self.ask(&request).await?.read().await? {
                last = reset.last;
            }
        }
        Ok(LostHistory { zones, last })
    }

    /// What the end of a pull notes of the history.
    pub(super) async fn note_history(&self, plan: &PullPlan, walk: &Walk) -> Result<Vec<StateWrite>> {
        let mut entries = Vec::new();
        let is_lost = plan.reset.is_some_and(is_loss);
        let is_whole = self.is_whole(plan);
        let mut own_through = walk.own_through;
        if let Some(last) = plan.lost.last {
            own_through = own_through.min(last);
            let queue = self.load_queue().await?;
            // Numbers go on from where the server is.
            if queue.sessions.is_empty() && queue.acknowledged > last {
                entries.extend(queue.replace(last, queue.sessions.clone())?.0);
            }
        }
        let before = self.load_covered().await?;
        let mut covered = before.clone();
        // The cursor of a walk from the beginning has no place in other zones.
        covered.retain(|zone, through| {
            *through = (*through).min(plan.lost.last.unwrap_or(u64::MAX));
            !plan.loses_places || self.zones.contains(zone)
        });
        covered.extend(self.zones.iter().map(|zone| (zone.clone(), own_through)));
        if covered != before {
            entries.push(StateWrite::set(StateKey::COVERED, Some(encode(&covered)?)));
        }
        let (noted, stored) = self.load_lost().await?;
        let mut left = noted.clone();
        if is_whole {
            let is_own = |zone: &Zone| self.zones.contains(zone);
            left.zones.retain(|zone| !is_own(zone) || !plan.lost.zones.contains(zone));
            left.zones.extend(plan.lost.zones.iter().filter(|zone| !is_own(zone)).cloned());
        }
        // What is missing of a type that the server does not know yet is not known either.
        if !walk.waiting.is_empty() {
            left.zones.extend(plan.lost.zones.iter().cloned());
        }
        if is_lost && is_whole {
            left.pushes = 0;
        }
        if left != noted {
            let value = (left != Noted::default()).then(|| encode(&left)).transpose()?;
            entries.push(StateWrite::replace(StateKey::LOST, stored, value));
        }
        Ok(entries)
    }
}

/// Whether nobody can tell what was lost of a zone, now or later. Any other error says nothing of a history: it is asked for again.
fn may_not_be_read(error: &Error) -> bool {
    error.kind() == ErrorKind::UnknownZone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::entry::assert_golden;

    /// Fails if the form of an entry changes: form 1 stays as it is.
    #[test]
    fn what_is_noted_of_the_history_is_as_in_its_file() {
        let noted = Noted { pushes: 300, zones: [Zone::Global, Zone::restricted("z").unwrap()].into() };
        let covered: Covered = [(Zone::Global, 300), (Zone::restricted("z").unwrap(), 4)].into();
        let (noted, covered) = (encode(&noted).unwrap(), encode(&covered).unwrap());
        assert_golden("history-1", &[&noted, &covered]);
        assert_eq!(decode::<Noted>(&noted).unwrap().pushes, 300);
        assert_eq!(decode::<Covered>(&covered).unwrap().len(), 2);
    }
}
