//! The history of a zone.

use fastsync_conformance::birch;
use fastsync_core::source::{After, Changes, ChangesPage, ChangesRequest, Point, ResetReason};
use fastsync_core::{Position, Record, Result, SyncableDataSource};

use super::broken::Broken;
use super::bugs::Bug;

impl Broken {
    /// `purged`: whether the zone was purged.
    pub(super) async fn changes_with_bug(
        &self,
        mut request: ChangesRequest,
        purged: bool,
    ) -> Result<Changes> {
        request.zone = self.zone(&request.zone);
        let asked = request.clone();
        let has_begun = request.after != Point::START.into();
        match (self.bug, &mut request.skip_own) {
            (Bug::OwnPushesByDeviceOnly, Some(own)) => own.through = u64::MAX,
            (Bug::PositionsLagBehind, _) => {
                if let After::Position(position) = &mut request.after {
                    position.0 = position.0.saturating_sub(1);
                }
            }
            (Bug::OwnRecordsCount, _) => request.skip_own = None,
            (Bug::TypesOfARequestAreIgnored, _) => request.types = None,
            (Bug::ByteLimitsAreIgnored, _) => request.limits.bytes = usize::MAX,
            (Bug::PagesRepeat, _) if request.after.within().is_none() && request.after.position().0 > 1 => {
                let before = Position(request.after.position().0 - 1);
                let tag = self.notes(|notes| notes.tags.get(&(request.zone.clone(), before)).copied());
                if let Some(tag) = tag {
                    request.after = Point { position: before, tag, ..Point::START }.into();
                }
            }
            (Bug::TheBeginningIsBeforeTheHorizon, _) if purged && !has_begun => {
                return Ok(Changes::ResetRequired(ResetReason::Horizon));
            }
            _ => {}
        }
        let changes = match (self.bug, self.inner.changes(&request).await?) {
            (Bug::HorizonIsIgnored, Changes::ResetRequired(ResetReason::Horizon))
            | (Bug::TagsAreNotCompared, Changes::ResetRequired(ResetReason::History)) => {
                let from_start =
                    ChangesRequest { after: Point::START.into(), skip_own: None, ..request.clone() };
                self.inner.changes(&from_start).await?
            }
            (_, changes) => changes,
        };
        let Changes::Page(mut page) = changes else { return Ok(changes) };
        self.spoil(&mut page, &asked).await?;
        page.records.iter_mut().for_each(|record| self.read(record));
        Ok(Changes::Page(page))
    }

    async fn spoil(&self, page: &mut ChangesPage, asked: &ChangesRequest) -> Result<()> {
        let is_full = page.records.len() == asked.limits.records;
        let is_own = |record: &Record, ever: bool| {
            let Some(own) = asked.skip_own else { return false };
            self.notes(|notes| {
                let authors = notes.authors.get(&record.key).map(Vec::as_slice).unwrap_or_default();
                let last = authors.len().saturating_sub(1);
                let authors = if ever { authors } else { &authors[last..] };
                authors.iter().any(|author| author.device == own.device && author.number <= own.through)
            })
        };
        match self.bug {
            Bug::PositionBeforeVisibility => self.notes(|notes| {
                page.records.retain(|record| !notes.hidden.contains(&record.key));
            }),
            Bug::PagesSkipTies => page.next.within = None,
            Bug::ShortPageIsTheLast if !is_full => (page.next, page.caught_up) = (Point::at(page.head), true),
            Bug::FullPageIsNeverTheLast if is_full => page.caught_up = false,
            Bug::LoadsOfNothingNeverEnd if page.records.is_empty() && asked.after.loading() => {
                page.caught_up = false;
            }
            Bug::LoadsEndAtTheHead if asked.after.loading() && !page.next.loading => {
                (page.next, page.caught_up) = (Point::at(page.head), true);
                page.remaining = page.remaining.map(|_| 0);
            }
            Bug::LoadsLackAType if asked.after.loading() => {
                page.records.retain(|record| record.key.type_name.as_str() != "orders");
            }
            Bug::LoadsGiveWhatHasNoPosition if asked.after == Point::LOAD.into() => {
                let local = self.notes(|notes| notes.local.clone());
                for key in local.iter().filter(|key| key.zone == asked.zone) {
                    page.records.extend(self.current(key).await);
                }
            }
            Bug::TombstonesAreForgotten => page.records.retain(|record| !record.is_deleted()),
            Bug::PagesGoById => page.records.sort_by(|a, b| a.key.id.cmp(&b.key.id)),
            Bug::TypesGoByTheirLatestPriority => {
                let types = self.notes(|notes| notes.types.clone());
                page.records.sort_by_key(|record| types[&record.key.type_name].priority());
            }
            Bug::ZonesShareTheirHistory if asked.zone != birch() => {
                let there = ChangesRequest { zone: birch(), after: Point::START.into(), ..asked.clone() };
                if let Changes::Page(there) = self.inner.changes(&there).await? {
                    page.records.extend(there.records);
                }
            }
            Bug::HeadsLagBehind => page.head.position.0 = page.head.position.0.saturating_sub(1),
            Bug::RecordsAreGivenOnce => self.notes(|notes| {
                if asked.after == Point::START.into() {
                    notes.given.clear();
                }
                page.records.retain(|record| notes.given.insert(record.key.clone()));
            }),
            Bug::RemainingIsAGuess if !page.caught_up => page.remaining = page.remaining.map(|_| 1_000),
            Bug::OwnIsForEver => page.records.retain(|record| !is_own(record, true)),
            Bug::OwnRecordsCount => page.records.retain(|record| !is_own(record, false)),
            _ => {}
        }
        Ok(())
    }
}
