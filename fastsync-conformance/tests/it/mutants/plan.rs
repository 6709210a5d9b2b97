//! Plans that are not what `prepare` does.

use fastsync_core::source::{PlannedChange, Preparation, SyncableDataSourceExt as _};
use fastsync_core::{Result, SyncableDataSource, TypeSchema};

use super::broken::Broken;
use super::bugs::Bug;

impl Broken {
    pub(super) async fn plan_with_bug(&self, types: &[TypeSchema]) -> Result<Vec<PlannedChange>> {
        if self.is(Bug::PlansAreOfTheirHandle) {
            let prepared = self.prepared.lock().unwrap();
            let is_new = |schema: &&TypeSchema| prepared.get(schema.name()) != Some(*schema);
            let add = |schema: &TypeSchema| PlannedChange::AddType { type_name: schema.name().clone() };
            return Ok(types.iter().filter(is_new).map(add).collect());
        }
        let mut changes = match self.inner.plan(types).await {
            Err(_) if self.is(Bug::PlansRefuseNothing) => Vec::new(),
            planned => planned?,
        };
        match self.bug {
            Bug::PlansForgetTypes => {
                changes.retain(|change| !matches!(change, PlannedChange::AddType { .. }))
            }
            Bug::PlansForgetFields => {
                changes.retain(|change| !matches!(change, PlannedChange::FillField { .. }))
            }
            Bug::PlansGoByFieldsAlone => {
                changes.retain(|change| !matches!(change, PlannedChange::NoteSchema { .. }));
            }
            Bug::PlansAreCarriedOut => drop(self.inner.prepare(types, Preparation::Apply).await?),
            _ => {}
        }
        Ok(changes)
    }
}
