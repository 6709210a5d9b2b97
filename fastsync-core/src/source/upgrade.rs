//! Which steps bring the sync tables of a data source to today's version. The rule is here once; a data source reads
//! the version, runs the steps and writes the version.

use super::PlannedChange;
use crate::error::{Error, ErrorKind, Result};

/// The version of the sync tables that the first release made.
pub const FIRST_VERSION: u32 = 1;

/// A step that brings sync tables from one version to the next.
#[derive(Debug, Clone, Copy)]
pub struct UpgradeStep<A> {
    /// The version that it begins with; the next one is that after it.
    pub from: u32,
    /// What it does, in a few words for [`PlannedChange::UpgradeSyncTables`].
    pub what: &'static str,
    /// How it is done, in whatever form the data source has for it.
    pub action: A,
}

impl<A> UpgradeStep<A> {
    /// The version after the step.
    #[must_use]
    pub const fn to(&self) -> u32 {
        self.from.saturating_add(1)
    }

    /// The step in a plan.
    #[must_use]
    pub const fn planned(&self) -> PlannedChange {
        PlannedChange::UpgradeSyncTables { from: self.from, to: self.to(), what: self.what }
    }
}

/// The steps of a data source, in one table. Without any, its sync tables have [`FIRST_VERSION`].
///
/// ```
/// use fastsync_core::source::upgrade::{UpgradeStep, Upgrades};
///
/// static STEPS: &[UpgradeStep<&str>] = &[
///     UpgradeStep { from: 1, what: "index edits", action: "CREATE INDEX ..." },
///     UpgradeStep { from: 2, what: "count bytes", action: "ALTER TABLE ..." },
/// ];
/// const UPGRADES: Upgrades<&str> = Upgrades::new(STEPS);
///
/// assert_eq!(UPGRADES.version(), 3);
/// assert_eq!(UPGRADES.due(2)?.len(), 1);
/// let error = UPGRADES.due(4).unwrap_err();
/// assert_eq!(error.kind(), fastsync_core::ErrorKind::Unsupported);
/// # Ok::<(), fastsync_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Upgrades<A: 'static> {
    steps: &'static [UpgradeStep<A>],
}

impl<A> Clone for Upgrades<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Upgrades<A> {}

impl<A> Upgrades<A> {
    /// The table of steps, by version and without a gap. It may begin later than at [`FIRST_VERSION`], once earlier
    /// versions are no longer supported.
    ///
    /// # Panics
    /// If there is a gap. In a constant that does not compile.
    #[must_use]
    pub const fn new(steps: &'static [UpgradeStep<A>]) -> Self {
        let mut rest = steps;
        while let [step, following @ ..] = rest {
            if let [next, ..] = following {
                assert!(next.from == step.to(), "the steps of an upgrade have a gap");
            }
            rest = following;
        }
        Self { steps }
    }

    /// The version that sync tables have once every step is done.
    #[must_use]
    pub const fn version(&self) -> u32 {
        match self.steps {
            [.., last] => last.to(),
            [] => FIRST_VERSION,
        }
    }

    /// The steps that sync tables of this version need, in their order.
    ///
    /// # Errors
    /// `Unsupported` if a newer release wrote the tables, or one that is too old for this one.
    pub fn due(&self, found: u32) -> Result<&'static [UpgradeStep<A>]> {
        let version = self.version();
        let first = self.steps.first().map_or(FIRST_VERSION, |step| step.from);
        if found > version {
            let message = format!(
                "the sync tables were written by a newer release (version {found}, this one knows up to \
                 {version}): upgrade the program that reads them"
            );
            return Err(Error::new(ErrorKind::Unsupported, "upgrade", message));
        }
        if found < first {
            let message = format!(
                "the sync tables have version {found}, and this release upgrades from {first} on: upgrade with \
                 an earlier release first"
            );
            return Err(Error::new(ErrorKind::Unsupported, "upgrade", message));
        }
        let done = self.steps.iter().take_while(|step| step.from < found).count();
        Ok(self.steps.get(done..).unwrap_or_default())
    }

    /// Refuses to work with sync tables that are not upgraded yet.
    ///
    /// # Errors
    /// As [`Self::due`]; `Config` that names `prepare` if a step is due.
    pub fn check(&self, found: u32) -> Result<()> {
        if self.due(found)?.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the sync tables have version {found}, and this release works with {}: `prepare` upgrades them",
            self.version()
        );
        Err(Error::new(ErrorKind::Config, "upgrade", message))
    }

    /// What the steps that are due would do.
    ///
    /// # Errors
    /// As [`Self::due`].
    pub fn planned(&self, found: u32) -> Result<Vec<PlannedChange>> {
        Ok(self.due(found)?.iter().map(UpgradeStep::planned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static STEPS: &[UpgradeStep<()>] = &[
        UpgradeStep { from: 2, what: "two", action: () },
        UpgradeStep { from: 3, what: "three", action: () },
    ];

    /// Fails if a step is left out or done twice, or if tables are upgraded that this release does not know.
    #[test]
    fn the_steps_from_a_version_on_are_due_in_order() {
        let upgrades = Upgrades::new(STEPS);
        assert_eq!(upgrades.version(), 4);
        let due =
            |found| upgrades.due(found).map(|steps| steps.iter().map(|step| step.from).collect::<Vec<_>>());
        assert_eq!(due(2).unwrap(), [2, 3]);
        assert_eq!(due(3).unwrap(), [3]);
        assert!(due(4).unwrap().is_empty());
        for (found, part) in
            [(5, "newer release"), (1, "earlier release first"), (0, "earlier release first")]
        {
            let error = due(found).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{found}");
            assert!(error.message().contains(part), "{error}");
            assert_eq!(upgrades.check(found).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert!(upgrades.check(4).is_ok());
        let error = upgrades.check(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("prepare"), "{error}");
    }

    #[test]
    fn without_steps_there_is_one_version() {
        let upgrades = Upgrades::<()>::new(&[]);
        assert_eq!(upgrades.version(), FIRST_VERSION);
        assert!(upgrades.check(FIRST_VERSION).is_ok() && upgrades.planned(FIRST_VERSION).unwrap().is_empty());
        assert!(upgrades.due(0).is_err() && upgrades.due(2).is_err());
    }

    #[test]
    #[should_panic(expected = "a gap")]
    fn a_table_with_a_gap_is_refused() {
        let step = |from| UpgradeStep { from, what: "", action: () };
        let _ = Upgrades::new(vec![step(1), step(3)].leak());
    }
}
