//! What a server must be before anything is kept in it: checked once, when a data source starts.

use std::collections::HashMap;

use fastsync_core::{ErrorKind, Result};
use fastsync_dao_kit::sql::{Dialect, Link as _, Row as _, Run, Sql};
use sqlx::MySql;
use sqlx::pool::PoolConnection;

use crate::config::{Durability, MySqlConfig, Warning};
use crate::dialect::Version;
use crate::driver::MySqlLink;

/// The least `max_allowed_packet`: the largest record with its id, several times over.
const MIN_PACKET: u64 = 4 << 20;

/// What the checks found.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) dialect: &'static Dialect,
    /// About how many bytes a statement may bind.
    pub(crate) packet: usize,
    /// Whether table names keep their case.
    pub(crate) case_sensitive: bool,
    pub(crate) warnings: Vec<Warning>,
}

const SETTINGS: &str = "SHOW VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', \
     'sync_binlog', 'log_bin', 'binlog_format', 'sql_mode', 'transaction_isolation', 'tx_isolation', \
     'max_allowed_packet', 'character_set_client', 'character_set_connection', 'character_set_results', 'autocommit', \
     'foreign_key_checks', 'unique_checks', 'lower_case_table_names', 'default_storage_engine', 'innodb_doublewrite', \
     'wsrep_on', 'wsrep_sync_wait')";

/// Checks the server of a connection.
pub(crate) async fn check(connection: PoolConnection<MySql>, config: &MySqlConfig) -> Run<Checked> {
    // Whichever server it is: these are spelled alike.
    let mut link = MySqlLink::new(connection, Version::parse("").spelling());
    let mut settings = HashMap::new();
    for row in link.all(Sql::new(SETTINGS)).await? {
        settings.insert(row.text(0)?.to_ascii_lowercase(), row.text(1)?.to_owned());
    }
    let sql =
        "SELECT 1 FROM information_schema.engines WHERE engine = 'InnoDB' AND support IN ('YES', 'DEFAULT')";
    let has_innodb = !link.all(Sql::new(sql)).await?.is_empty();
    let chosen = link.all(Sql::new("SELECT DATABASE()")).await?;
    let has_database = chosen.first().map(|row| row.bytes(0)).transpose()?.flatten().is_some();
    Ok(judge(&settings, has_innodb, has_database, config)?)
}

/// Every reason to refuse is named at once.
fn judge(
    settings: &HashMap<String, String>,
    has_innodb: bool,
    has_database: bool,
    config: &MySqlConfig,
) -> Result<Checked> {
    let get = |name: &str| settings.get(name).map_or("", String::as_str);
    let mut problems = Vec::new();
    let mut warnings = Vec::new();

    let version = Version::parse(get("version"));
    if version.version < version.oldest() {
        let (major, minor, patch) = version.oldest();
        problems.push(format!(
            "the server is {}, {major}.{minor}.{patch} is the oldest that works",
            get("version")
        ));
    }
    if !has_innodb {
        problems.push("the server has no InnoDB, which transactions need".to_owned());
    }
    if !has_database {
        problems.push("the connection has chosen no database".to_owned());
    }
    let flush = get("innodb_flush_log_at_trx_commit");
    if flush != "1" {
        match config.durability {
            Durability::Full => problems.push(format!(
                "innodb_flush_log_at_trx_commit is {flush}: acknowledged commits can be lost with the power; \
                 set it to 1, or choose Durability::Relaxed"
            )),
            Durability::Relaxed => warnings.push(Warning {
                setting: "innodb_flush_log_at_trx_commit",
                value: flush.to_owned(),
                consequence: "the last commits can be lost with the power of the server",
            }),
        }
    }
    if get("innodb_doublewrite").eq_ignore_ascii_case("off") {
        warnings.push(Warning {
            setting: "innodb_doublewrite",
            value: "OFF".to_owned(),
            consequence: "pages can be torn when the power of the server fails, unless the file system prevents it",
        });
    }
    if get("log_bin").eq_ignore_ascii_case("on") {
        if get("binlog_format").eq_ignore_ascii_case("statement") {
            problems.push(
                "binlog_format is STATEMENT, which InnoDB refuses with READ COMMITTED; set ROW".to_owned(),
            );
        }
        if get("sync_binlog") != "1" {
            warnings.push(Warning {
                setting: "sync_binlog",
                value: get("sync_binlog").to_owned(),
                consequence: "after a power failure the binary log decides what was committed, and its end can be lost",
            });
        }
    }
    let waits_before_reads = get("wsrep_sync_wait").parse::<u32>().unwrap_or(0) & 1 == 1;
    if get("wsrep_on").eq_ignore_ascii_case("on") && !waits_before_reads {
        warnings.push(Warning {
            setting: "wsrep_sync_wait",
            value: get("wsrep_sync_wait").to_owned(),
            consequence: "a client that comes from another node of the cluster may be ahead of this one, and is then \
                          told to fetch everything anew; set 1",
        });
    }
    let mode = get("sql_mode");
    if !mode.split(',').any(|mode| matches!(mode, "STRICT_TRANS_TABLES" | "STRICT_ALL_TABLES")) {
        problems.push(format!("sql_mode is {mode:?}: without STRICT_TRANS_TABLES values are cut silently"));
    }
    let isolation = [get("transaction_isolation"), get("tx_isolation")].concat();
    if isolation.starts_with("READ-UNCOMMITTED") {
        problems.push(
            "the isolation level is READ UNCOMMITTED: reads would see what is not committed".to_owned(),
        );
    }
    for name in ["character_set_client", "character_set_connection", "character_set_results"] {
        if get(name) != "utf8mb4" {
            problems
                .push(format!("{name} is {:?}, not utf8mb4: text would be changed on its way", get(name)));
        }
    }
    if !get("autocommit").eq_ignore_ascii_case("on") {
        problems.push("autocommit is off: reads would keep transactions open".to_owned());
    }
    for setting in ["foreign_key_checks", "unique_checks"] {
        if !get(setting).eq_ignore_ascii_case("on") {
            warnings.push(Warning {
                setting,
                value: get(setting).to_owned(),
                consequence: "constraints of your tables are not checked in this session",
            });
        }
    }
    let packet = get("max_allowed_packet").parse::<u64>().unwrap_or(0);
    if packet < MIN_PACKET {
        problems.push(format!(
            "max_allowed_packet is {packet}: {MIN_PACKET} is the least that holds every record"
        ));
    }
    if !problems.is_empty() {
        let error = fastsync_core::Error::new(ErrorKind::Config, "open", problems.join("; "));
        return Err(error);
    }
    Ok(Checked {
        dialect: version.spelling(),
        // Half for what is bound, the rest for texts and headers; a larger statement is no faster.
        packet: usize::try_from(packet / 2).unwrap_or(usize::MAX).min(8 << 20),
        case_sensitive: get("lower_case_table_names") == "0",
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> HashMap<String, String> {
        [
            ("version", "10.11.19-MariaDB"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("innodb_doublewrite", "ON"),
            ("log_bin", "OFF"),
            ("sync_binlog", "0"),
            ("sql_mode", "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"),
            ("tx_isolation", "REPEATABLE-READ"),
            ("character_set_client", "utf8mb4"),
            ("character_set_connection", "utf8mb4"),
            ("character_set_results", "utf8mb4"),
            ("autocommit", "ON"),
            ("foreign_key_checks", "ON"),
            ("unique_checks", "ON"),
            ("max_allowed_packet", "16777216"),
            ("lower_case_table_names", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn a_sound_server_is_taken_without_a_word() {
        let server = judge(&sound(), true, true, &MySqlConfig::new()).unwrap();
        assert_eq!((server.warnings.len(), server.packet), (0, 8 << 20));
    }

    #[test]
    fn each_bad_setting_is_refused_by_name() {
        let bad = [
            ("version", "10.4.1-MariaDB", "10.6.0"),
            ("innodb_flush_log_at_trx_commit", "2", "innodb_flush_log_at_trx_commit"),
            ("sql_mode", "NO_ENGINE_SUBSTITUTION", "STRICT_TRANS_TABLES"),
            // Each server has one of these two.
            ("tx_isolation", "READ-UNCOMMITTED", "READ UNCOMMITTED"),
            ("transaction_isolation", "READ-UNCOMMITTED", "READ UNCOMMITTED"),
            ("character_set_client", "latin1", "character_set_client"),
            ("character_set_connection", "latin1", "character_set_connection"),
            ("character_set_results", "latin1", "character_set_results"),
            ("autocommit", "OFF", "autocommit"),
            ("max_allowed_packet", "1048576", "max_allowed_packet"),
        ];
        let mut all = sound();
        for (name, value, part) in bad {
            let mut settings = sound();
            settings.insert(name.to_owned(), value.to_owned());
            all.insert(name.to_owned(), value.to_owned());
            let error = judge(&settings, true, true, &MySqlConfig::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(part), "{part} is missing in {error}");
        }
        let error = judge(&all, false, false, &MySqlConfig::new()).unwrap_err();
        for part in bad.iter().map(|(_, _, part)| *part).chain(["InnoDB", "no database"]) {
            assert!(error.message().contains(part), "{part} is missing in {error}");
        }
    }

    #[test]
    fn weak_settings_are_warnings_by_name() {
        let mut settings = sound();
        for (name, value) in [
            ("innodb_flush_log_at_trx_commit", "0"),
            ("innodb_doublewrite", "OFF"),
            ("log_bin", "ON"),
            ("foreign_key_checks", "OFF"),
            ("unique_checks", "OFF"),
            // As good as STRICT_TRANS_TABLES.
            ("sql_mode", "STRICT_ALL_TABLES"),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let config = MySqlConfig::new().durability(Durability::Relaxed);
        let warnings = judge(&settings, true, true, &config).unwrap().warnings;
        let names: Vec<_> = warnings.iter().map(|warning| warning.setting).collect();
        let all =
            ["innodb_flush_log_at_trx_commit", "innodb_doublewrite", "sync_binlog", "foreign_key_checks"];
        assert_eq!(names, [all.as_slice(), &["unique_checks"]].concat());
        settings.insert("wsrep_on".to_owned(), "ON".to_owned());
        for (value, count) in [("0", 6), ("1", 5), ("2", 6), ("7", 5)] {
            settings.insert("wsrep_sync_wait".to_owned(), value.to_owned());
            assert_eq!(judge(&settings, true, true, &config).unwrap().warnings.len(), count, "{value}");
        }
        settings.insert("binlog_format".to_owned(), "STATEMENT".to_owned());
        let error = judge(&settings, true, true, &config).unwrap_err();
        assert!(error.message().contains("binlog_format"));
    }
}
