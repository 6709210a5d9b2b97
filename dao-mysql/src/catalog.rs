//! What the server says of tables.

use std::collections::{BTreeMap, BTreeSet};

use fastsync_core::TypeName;
use fastsync_dao_kit::sql::{
    Column, Digits, Holds, Link as _, Row as _, Run, Sql, Table, Uniques, foreign_key_problems,
    trigger_problems,
};

use crate::driver::{MySqlAnswer, MySqlLink};

/// The table of a type of this name. `case_sensitive`: whether table names keep their case.
pub(crate) async fn table(link: &mut MySqlLink, name: &TypeName, case_sensitive: bool) -> Run<Option<Table>> {
    // Without regard to case, whatever the server makes of it: two tables must not differ in it alone.
    let select = "SELECT table_name, table_type, COALESCE(engine, '') FROM information_schema.tables \
                  WHERE table_schema = DATABASE() AND LOWER(table_name) = LOWER(?)";
    let rows = link.all(Sql::new(select).bind(name.as_str())).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (found, kind, engine) = (row.text(0)?, row.text(1)?, row.text(2)?);
    let problem = if kind != "BASE TABLE" {
        Some(format!("type {name}: the database has another thing of this name ({kind} {found})"))
    } else if found != name.as_str() && case_sensitive {
        Some(format!("type {name}: the table is called {found}"))
    } else if !engine.eq_ignore_ascii_case("InnoDB") {
        Some(format!("table {name}: the engine is {engine}, which has no transactions; InnoDB has"))
    } else {
        None
    };
    let columns = if problem.is_none() { columns(link, name.as_str()).await? } else { Vec::new() };
    Ok(Some(Table { problem, columns, flaws: Vec::new() }))
}

/// Whether a table is there.
pub(crate) async fn is_there(link: &mut MySqlLink, table: &str) -> Run<bool> {
    let select = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?";
    Ok(!link.all(Sql::new(select).bind(table)).await?.is_empty())
}

/// The columns of a table; none if it is not there.
pub(crate) async fn columns(link: &mut MySqlLink, table: &str) -> Run<Vec<Column>> {
    let select = "SELECT column_name, data_type, column_type, character_set_name, collation_name, \
                  CAST(COALESCE(character_maximum_length, 0) AS UNSIGNED), is_nullable = 'YES', \
                  column_default IS NOT NULL, extra, column_key = 'PRI', \
                  CAST(COALESCE(numeric_precision, 0) AS UNSIGNED), CAST(COALESCE(numeric_scale, 0) AS UNSIGNED) \
                  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? \
                  ORDER BY ordinal_position";
    link.all(Sql::new(select).bind(table)).await?.iter().map(column).collect()
}

fn column(row: &MySqlAnswer) -> Run<Column> {
    let text_or_none = |at| row.bytes(at).map(|found| found.map(String::from_utf8_lossy).unwrap_or_default());
    let data_type = row.text(1)?.to_ascii_lowercase();
    let full_type = row.text(2)?.to_ascii_lowercase();
    let (charset, collation) = (text_or_none(3)?, text_or_none(4)?.into_owned());
    let (precision, scale) = (row.number(10)?, row.number(11)?);
    let extra = row.text(8)?.to_ascii_lowercase();
    let text = match &*charset {
        "" => String::new(),
        charset => format!(" CHARACTER SET {charset} COLLATE {collation}"),
    };
    let digits = Digits { whole: precision.saturating_sub(scale), scale };
    Ok(Column {
        name: row.text(0)?.to_owned(),
        stored: row.text(0)?.to_owned(),
        holds: holds(&data_type, full_type.contains("unsigned"), row.number(5)?, digits),
        declared: format!("{full_type}{text}"),
        key_type: (data_type != "varchar").then_some("VARCHAR"),
        text_problem: (charset != "utf8mb4")
            .then(|| format!("has character set {charset}, utf8mb4 is needed")),
        full_type,
        collation,
        nullable: row.number(6)? == 1,
        // MySQL says `DEFAULT_GENERATED` of a column whose default is an expression.
        has_default: row.number(7)? == 1 || extra.contains("auto_increment"),
        is_generated: extra.contains("virtual generated")
            || extra.contains("stored generated")
            || extra.contains("persistent"),
        is_primary: row.number(9)? == 1,
    })
}

fn holds(data_type: &str, is_unsigned: bool, length: u64, digits: Digits) -> Holds {
    match data_type {
        "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Holds::Text(length),
        "char" => Holds::Padded(length),
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Holds::Bytes(length),
        _ if is_unsigned => Holds::Other,
        "tinyint" => Holds::Whole(i8::MIN.into()),
        "smallint" => Holds::Whole(i16::MIN.into()),
        "mediumint" => Holds::Whole(-(1 << 23)),
        "int" => Holds::Whole(i32::MIN.into()),
        "bigint" => Holds::Whole(i64::MIN),
        "double" => Holds::Real,
        "decimal" => Holds::Decimal(digits),
        _ => Holds::Other,
    }
}

/// The unique keys of a table, and the columns that foreign keys are about.
pub(crate) async fn uniques(link: &mut MySqlLink, table: &str) -> Run<Uniques> {
    let select = "SELECT index_name, column_name FROM information_schema.statistics \
                  WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0 AND index_name <> 'PRIMARY'";
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in link.all(Sql::new(select).bind(table)).await? {
        keys.entry(row.text(0)?.to_owned()).or_default().insert(row.text(1)?.to_owned());
    }
    let select = "SELECT IF(table_name = ?, column_name, NULL), \
                  IF(referenced_table_name = ?, referenced_column_name, NULL) \
                  FROM information_schema.key_column_usage WHERE table_schema = DATABASE() \
                  AND referenced_table_name IS NOT NULL AND (table_name = ? OR referenced_table_name = ?)";
    let mut uniques = Uniques { keys: keys.into_values().collect(), ..Uniques::default() };
    for row in link.all(Sql::new(select).bind(table).bind(table).bind(table).bind(table)).await? {
        for (at, names) in [&mut uniques.referring, &mut uniques.referred].into_iter().enumerate() {
            if row.bytes(at)?.is_some() {
                names.insert(row.text(at)?.to_owned());
            }
        }
    }
    Ok(uniques)
}

/// Foreign keys and triggers that would change rows of types without a commit, in words.
pub(crate) async fn unnoticed(link: &mut MySqlLink, types: &BTreeSet<&str>) -> Run<Vec<String>> {
    let mut problems = Vec::new();
    let is_type = |name: &str| types.iter().find(|table| table.eq_ignore_ascii_case(name));
    let sql = "SELECT table_name, constraint_name, referenced_table_name, CONCAT('ON DELETE ', delete_rule), \
               CONCAT('ON UPDATE ', update_rule) FROM information_schema.referential_constraints \
               WHERE constraint_schema = DATABASE()";
    for row in link.all(Sql::new(sql)).await? {
        let Some(table) = is_type(row.text(0)?) else { continue };
        let foreign_key = format!("{} to {}", row.text(1)?, row.text(2)?);
        problems.extend(foreign_key_problems(table, &foreign_key, [row.text(3)?, row.text(4)?]));
    }
    let sql = "SELECT trigger_name, event_object_table, action_statement FROM information_schema.triggers \
               WHERE trigger_schema = DATABASE()";
    for row in link.all(Sql::new(sql)).await? {
        let (trigger, on, body) = (row.text(0)?, row.text(1)?, row.text(2)?);
        problems.extend(trigger_problems(types, trigger, on, body));
        if let Some(table) = is_type(on).filter(|_| sets_new(body)) {
            problems.push(format!(
                "table {table}: the trigger {trigger} changes values as they are written (SET NEW): no client would hear of it; \
                 leave it out, and set them in the application"
            ));
        }
    }
    Ok(problems)
}

/// Whether a trigger changes the row that is written.
fn sets_new(body: &str) -> bool {
    let words: Vec<_> = body.to_ascii_uppercase().split_whitespace().map(str::to_owned).collect();
    words.windows(2).any(|pair| {
        let is_row = |word: &str| word.starts_with("NEW.") || word.starts_with("`NEW`.");
        matches!(pair, [set, new] if (set == "SET" || set.ends_with(',')) && is_row(new))
    })
}

#[cfg(test)]
mod tests {
    use super::sets_new;

    #[test]
    fn a_trigger_that_changes_its_row_is_told_from_one_that_reads_it() {
        for body in ["SET NEW.a = 1", "BEGIN SET @x = 1, new.a = 2; END", "set\n  `NEW`.`a` = 1"] {
            assert!(sets_new(body), "{body}");
        }
        for body in ["INSERT INTO log VALUES (NEW.a)", "SET @a = NEW.a", "UPDATE log SET newest = NEW.a"] {
            assert!(!sets_new(body), "{body}");
        }
    }
}
