//! Rows that exchange unique values: each is refused as long as another one has what it is to get.

use std::collections::BTreeMap;

use fastsync_core::TypeName;
use fastsync_core::source::Action;
use fastsync_dao_kit::sql::{StandIn, Vacating};

use crate::apply::refusal;
use crate::catalog;
use crate::commit::Attempt;
use crate::dialect::{SQLITE, execute};
use crate::error::Run;

impl Attempt<'_> {
    /// Takes the unique values of the refused rows away: null where a column may be null, else a value that nothing else has.
    /// What is refused after that rolls the transaction back, so that no such value is ever seen.
    pub(crate) fn vacate(&self) -> Run<()> {
        let store = self.store;
        let mut ways: BTreeMap<TypeName, Option<Vacating>> = BTreeMap::new();
        for (n, (_, write, _)) in (0_u32..).zip(&self.refused) {
            let Action::Put { record, .. } = &write.action else { continue };
            if record.is_deleted() {
                continue;
            }
            let name = &record.key.type_name;
            if !ways.contains_key(name) {
                let uniques = catalog::uniques(store, name.as_str())?;
                let columns = catalog::columns(store, name.as_str())?;
                let way = Vacating::new(&SQLITE, &*store.kind(name)?, &uniques, columns);
                ways.insert(name.clone(), way);
            }
            let Some(Some(way)) = ways.get(name) else { continue };
            for stand_in in [StandIn::Odd, StandIn::Alike] {
                // A check of the user's may want other values; in the end the row keeps what it has.
                let is_refused = refusal(execute(store, way.statement(record, n, stand_in)))?.is_some();
                if !self.is_open() {
                    return Ok(());
                }
                if !is_refused {
                    break;
                }
            }
        }
        Ok(())
    }
}
