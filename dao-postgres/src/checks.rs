//! What a server must be before anything is kept in it: checked once, when a data source starts.

use std::collections::HashMap;

use fastsync_core::{ErrorKind, Result};
use fastsync_dao_kit::sql::{Fail, Link as _, Row as _, Run, Sql};

use crate::config::{Durability, PostgresConfig, Warning};
use crate::driver::PgLink;

/// The oldest version that its makers still mend.
const OLDEST: u32 = 14;

/// A pause within a transaction that a busy machine may take.
const SHORT_PAUSE_MS: u64 = 10_000;

const SETTINGS: &str = "SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'server_version_num', 'fsync', \
     'synchronous_commit', 'full_page_writes', 'server_encoding', 'client_encoding', 'default_transaction_read_only', \
     'standard_conforming_strings', 'session_replication_role', 'statement_timeout', 'transaction_timeout', \
     'idle_in_transaction_session_timeout') \
     UNION ALL SELECT 'in_recovery', pg_is_in_recovery()::text";

/// Answers what weakens a promise.
pub(crate) async fn check(link: &mut PgLink, config: &PostgresConfig) -> Run<Vec<Warning>> {
    let mut settings = HashMap::new();
    for row in link.all(Sql::new(SETTINGS)).await? {
        settings.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
    }
    judge(&settings, config).map_err(Fail::Core)
}

/// Every reason to refuse is named at once.
fn judge(settings: &HashMap<String, String>, config: &PostgresConfig) -> Result<Vec<Warning>> {
    let get = |name: &str| settings.get(name).map_or("", String::as_str);
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut warn = |setting: &'static str, consequence: &'static str| {
        warnings.push(Warning { setting, value: get(setting).to_owned(), consequence });
    };

    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if config.schema.is_empty() || config.schema.len() > 63 || !config.schema.chars().all(is_plain) {
        problems.push(format!(
            "schema {:?} is not a name of at most 63 letters, digits, `_` and `-`",
            config.schema
        ));
    }
    if get("server_version_num").parse::<u32>().unwrap_or(0) / 10_000 < OLDEST {
        problems.push(format!(
            "the server is {}, version {OLDEST} is the oldest that works",
            get("server_version")
        ));
    }
    for (setting, lost) in [
        ("fsync", "the database can be damaged, and acknowledged commits lost, with the power"),
        ("synchronous_commit", "acknowledged commits can be lost with the power"),
    ] {
        if get(setting) != "off" {
            continue;
        }
        match config.durability {
            Durability::Full => problems
                .push(format!("{setting} is off: {lost}; set it to on, or choose Durability::Relaxed")),
            Durability::Relaxed => warn(setting, lost),
        }
    }
    if get("full_page_writes") == "off" {
        warn(
            "full_page_writes",
            "pages can be torn when the power of the server fails, unless the file system prevents it",
        );
    }
    for setting in ["server_encoding", "client_encoding"] {
        if get(setting) != "UTF8" {
            problems.push(format!("{setting} is {}, not UTF8: text would be changed", get(setting)));
        }
    }
    if get("in_recovery") == "true" {
        problems.push("the server is a standby (in recovery), which takes no writes".to_owned());
    }
    if get("default_transaction_read_only") == "on" {
        problems.push("default_transaction_read_only is on: nothing could be written".to_owned());
    }
    if get("standard_conforming_strings") != "on" {
        problems.push("standard_conforming_strings is off: literals would mean something else".to_owned());
    }
    if get("session_replication_role") == "replica" {
        warn(
            "session_replication_role",
            "foreign keys and triggers of your tables are not checked in this session",
        );
    }
    for setting in ["statement_timeout", "transaction_timeout"] {
        if !matches!(get(setting), "" | "0") {
            warn(setting, "a large commit that takes longer (in milliseconds) fails each time with Timeout");
        }
    }
    // Between two statements of a commit a busy machine may pause this process.
    if (1..SHORT_PAUSE_MS).contains(&get("idle_in_transaction_session_timeout").parse().unwrap_or(0)) {
        warn(
            "idle_in_transaction_session_timeout",
            "a commit that pauses within its transaction for so many milliseconds, on a busy machine, fails with Unavailable",
        );
    }
    if !problems.is_empty() {
        return Err(fastsync_core::Error::new(ErrorKind::Config, "open", problems.join("; ")));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> HashMap<String, String> {
        [
            ("server_version", "15.18"),
            ("server_version_num", "150018"),
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("server_encoding", "UTF8"),
            ("client_encoding", "UTF8"),
            ("default_transaction_read_only", "off"),
            ("standard_conforming_strings", "on"),
            ("session_replication_role", "origin"),
            ("statement_timeout", "0"),
            ("in_recovery", "false"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn a_sound_server_is_taken_without_a_word() {
        assert_eq!(judge(&sound(), &PostgresConfig::new()).unwrap(), []);
    }

    #[test]
    fn each_bad_setting_is_refused_by_name() {
        let bad = [
            ("server_version_num", "130012", "version 14"),
            ("fsync", "off", "fsync"),
            ("synchronous_commit", "off", "synchronous_commit"),
            ("server_encoding", "SQL_ASCII", "server_encoding"),
            ("client_encoding", "LATIN1", "client_encoding"),
            ("default_transaction_read_only", "on", "default_transaction_read_only"),
            ("standard_conforming_strings", "off", "standard_conforming_strings"),
            ("in_recovery", "true", "standby"),
        ];
        let mut all = sound();
        for (name, value, part) in bad {
            let mut settings = sound();
            settings.insert(name.to_owned(), value.to_owned());
            all.insert(name.to_owned(), value.to_owned());
            let error = judge(&settings, &PostgresConfig::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(part), "{part} is missing in {error}");
        }
        let error = judge(&all, &PostgresConfig::new().schema("a\"b")).unwrap_err();
        for part in bad.iter().map(|(_, _, part)| *part).chain(["schema"]) {
            assert!(error.message().contains(part), "{part} is missing in {error}");
        }
    }

    #[test]
    fn weak_settings_are_warnings_by_name() {
        let mut settings = sound();
        let weak = [
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("session_replication_role", "replica"),
            ("statement_timeout", "30000"),
            ("transaction_timeout", "60000"),
            ("idle_in_transaction_session_timeout", "500"),
        ];
        for (name, value) in weak {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let config = PostgresConfig::new().durability(Durability::Relaxed);
        let warnings = judge(&settings, &config).unwrap();
        let names: Vec<_> =
            warnings.iter().map(|warning| (warning.setting, warning.value.as_str())).collect();
        assert_eq!(names, weak);
    }
}
