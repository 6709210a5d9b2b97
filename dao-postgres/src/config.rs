//! Settings of a [`PostgresDataSource`](crate::PostgresDataSource), and what its server's settings are worth.

use std::fmt;

/// How much a commit waits for the server's disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A server that does not flush its log at every commit (`fsync`, `synchronous_commit`) is refused.
    #[default]
    Full,
    /// Such a server is taken, with a [`Warning`]. It can lose the last commits with its power.
    ///
    /// A server that lost commits answers `ResetRequired` to clients that saw them; edits that were acknowledged
    /// and not pulled by anyone are lost. Choose it only where that is fine.
    Relaxed,
}

/// Settings of a [`PostgresDataSource`](crate::PostgresDataSource).
///
/// ```
/// use fastsync_dao_postgres::{Durability, PostgresConfig};
/// let config = PostgresConfig::new().durability(Durability::Relaxed).attempts(20);
/// assert_eq!(config.attempts, 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// How much a commit waits for the disk ([`Durability::Full`] unless set).
    pub durability: Durability,
    /// How often a transaction that lost to another one (deadlock, lock wait timeout) is tried before the caller
    /// gets `Contention` (12 unless set).
    pub attempts: u32,
    /// Whether a pooler is between that gives each transaction whatever connection is free (`false` unless set).
    pub pooled: bool,
    /// The schema that all tables are in (`public` unless set). [`prepare`](fastsync_core::SyncableDataSource::prepare) makes it if
    /// it is not there. `search_path` means nothing.
    pub schema: String,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self { durability: Durability::Full, attempts: 12, pooled: false, schema: "public".to_owned() }
    }
}

impl PostgresConfig {
    /// The default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how much a commit waits for the disk.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Says that a pooler is between that gives each transaction whatever connection is free, such as pgbouncer with
    /// `pool_mode = transaction`.
    ///
    /// No statement is prepared for later then, and every read is a transaction, so each call costs a round trip or two more. The
    /// pooler must let the driver's settings of a connection pass: `ignore_startup_parameters = extra_float_digits`.
    #[must_use]
    pub fn pooled(mut self, pooled: bool) -> Self {
        self.pooled = pooled;
        self
    }

    /// Sets the schema that all tables are in: letters, digits, `_` and `-`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets how often a transaction is tried.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }
}

/// A setting of the server that weakens a promise without breaking the library.
///
/// [`PostgresDataSource::warnings`](crate::PostgresDataSource::warnings) has those of a server; show or log them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The name of the server's setting.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What can happen.
    pub consequence: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.setting, self.value, self.consequence)
    }
}
