//! Rows that exchange unique values: each is refused as long as another one has what it is to get.
//!
//! InnoDB checks unique keys row by row. So the refused rows first lose their unique values, and are then written again.
//! That happens behind a savepoint of the commit's transaction, so nobody ever sees what a row has in between.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use fastsync_core::source::{Action, OnMismatch};
use fastsync_core::{Decimal, FieldKind, Record, Value};
use sqlx::MySqlConnection;

use crate::attempt::Attempt;
use crate::codec::add_value;
use crate::columns::{Column, columns};
use crate::dialect::Family;
use crate::error::Run;
use crate::registry::Type;
use crate::rows::Refused;
use crate::sql::{Sql, bytes, quoted, text};
use crate::store::Store;

impl Attempt<'_> {
    /// Writes refused rows that may only be in each other's way; gives those that are refused all the same, whose rows are
    /// as they were.
    pub(crate) async fn exchange(
        &self,
        connection: &mut MySqlConnection,
        refused: Vec<Refused>,
    ) -> Run<Vec<Refused>> {
        let mut waiting = refused;
        let mut clashing = Vec::new();
        while !waiting.is_empty() {
            run(connection, "SAVEPOINT fastsync_exchange").await?;
            let mut left = waiting.clone();
            if vacate(self.store, connection, &waiting).await? {
                left = self.until_in_vain(connection, left).await?;
            }
            if left.is_empty() {
                run(connection, "RELEASE SAVEPOINT fastsync_exchange").await?;
                break;
            }
            // The rows that stay refused keep their values, which may be in the way of the others.
            run(connection, "ROLLBACK TO SAVEPOINT fastsync_exchange").await?;
            let in_vain: HashSet<_> = left.iter().map(|refused| refused.item.at).collect();
            waiting.retain(|refused| !in_vain.contains(&refused.item.at));
            let stops = left.iter().any(|refused| refused.item.write.on_mismatch == OnMismatch::Abort);
            clashing.append(&mut left);
            if stops {
                break;
            }
        }
        Ok(clashing)
    }

    async fn until_in_vain(
        &self,
        connection: &mut MySqlConnection,
        refused: Vec<Refused>,
    ) -> Run<Vec<Refused>> {
        let mut left = refused;
        loop {
            let before = left.len();
            left = self.again(connection, left).await?;
            if left.is_empty() || left.len() == before {
                return Ok(left);
            }
        }
    }
}

/// Through the text protocol: MySQL prepares no statement about savepoints.
async fn run(connection: &mut MySqlConnection, statement: &'static str) -> Run<()> {
    sqlx::raw_sql(statement).execute(connection).await?;
    Ok(())
}

/// Takes the unique values of the refused rows away, as far as the user's other rules let it; answers whether any was.
async fn vacate(store: &Store, connection: &mut MySqlConnection, refused: &[Refused]) -> Run<bool> {
    let mut ways: BTreeMap<u64, Option<Vacating>> = BTreeMap::new();
    let mut is_freed = false;
    for (n, Refused { item, .. }) in (0_u32..).zip(refused) {
        let Action::Put { record, .. } = &item.write.action else { continue };
        if record.is_deleted() {
            continue;
        }
        let way = match ways.entry(item.kind.n) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Vacating::of(store, connection, &item.kind).await?),
        };
        let Some(way) = way else { continue };
        for stand_in in [StandIn::Odd, StandIn::Alike] {
            match way.statement(record, n, stand_in).execute(connection).await {
                Ok(done) => is_freed |= done.rows_affected() > 0,
                // A check of the user's, or a column that is too narrow. In the end the row keeps what it has.
                Err(fail) if fail.refusal().is_some() => continue,
                Err(fail) => return Err(fail),
            }
            break;
        }
    }
    Ok(is_freed)
}

/// What a column that cannot be null has in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StandIn {
    /// A value that hardly anybody has.
    Odd,
    /// One that resembles what the row is to get, for checks that want such values.
    Alike,
}

/// How the unique values of a type's rows are taken away.
struct Vacating {
    /// Parameters: the columns, the id, then the zone key if the type is restricted.
    sql: String,
    /// With their places in a body.
    columns: Vec<(usize, FieldKind, Column)>,
}

impl Vacating {
    /// None if no unique key has a field.
    async fn of(store: &Store, connection: &mut MySqlConnection, kind: &Arc<Type>) -> Run<Option<Self>> {
        let table = kind.schema.name().as_str();
        let keys = unique_keys(connection, table).await?;
        let links = Links::of(connection, table).await?;
        let mut found = columns(connection, table).await?;
        let mut fields = Vec::new();
        for (at, field) in kind.schema.fields().iter().enumerate() {
            if let Some(place) = found.iter().position(|column| column.name == field.name.as_str()) {
                let mut column = found.swap_remove(place);
                // What refers to it would follow it, and be null for good.
                column.nullable &= !links.referred.contains(&column.name);
                fields.push((at, field.kind, column));
            }
        }
        let mut chosen = BTreeSet::new();
        let of_the_id = |name: &String| name == kind.schema.id_field().as_str() || name == "zone";
        for key in keys.iter().filter(|key| !key.iter().all(of_the_id)) {
            let of_key = fields.iter().filter(|(.., column)| key.contains(&column.name));
            match of_key.min_by_key(|(_, kind, column)| links.cost(*kind, column)) {
                // One column is enough.
                Some((at, ..)) => {
                    chosen.insert(*at);
                }
                // It is over an expression, which can be of any field.
                None => chosen.extend(
                    fields
                        .iter()
                        .filter(|(_, kind, column)| links.cost(*kind, column) < 3)
                        .map(|(at, ..)| *at),
                ),
            }
        }
        fields.retain(|(at, ..)| chosen.contains(at));
        if fields.is_empty() {
            return Ok(None);
        }
        let set: Vec<_> = fields.iter().map(|(.., column)| format!("{} = ?", quoted(&column.name))).collect();
        let zone = if kind.is_restricted() { " AND `zone` = ?" } else { "" };
        let update = format!("{} SET {} WHERE {} = ?{zone}", kind.table(), set.join(", "), kind.id());
        let sql = match store.server.dialect.family {
            _ if !links.must_be_loose(&fields) => format!("UPDATE {update}"),
            Family::MariaDb => format!("SET STATEMENT foreign_key_checks = 0 FOR UPDATE {update}"),
            Family::MySql => format!("UPDATE /*+ SET_VAR(foreign_key_checks = OFF) */ {update}"),
        };
        Ok(Some(Self { sql, columns: fields }))
    }

    /// For the `n`th row.
    fn statement(&self, record: &Record, n: u32, stand_in: StandIn) -> Sql {
        let mut sql = Sql::new(self.sql.as_str());
        for (at, kind, column) in &self.columns {
            let next = record.body.as_ref().and_then(|body| body.get(*at));
            add_value(&mut sql, &in_between(*kind, column, next, n, stand_in));
        }
        sql.add(record.key.id.as_str());
        if let Some(key) = record.key.zone.key() {
            sql.add(key);
        }
        sql
    }
}

/// What the `n`th row has in a column, which is to get `next`.
fn in_between(kind: FieldKind, column: &Column, next: Option<&Value>, n: u32, stand_in: StandIn) -> Value {
    if column.nullable {
        return Value::Null;
    }
    let is_odd = stand_in == StandIn::Odd;
    let n = i64::from(n);
    match kind {
        FieldKind::Boolean => Value::Integer(lowest(column).saturating_add(n)),
        kind if kind.is_integer() && is_odd => Value::Integer(lowest(column).saturating_add(n)),
        kind if kind.is_integer() => Value::Integer((-1 - lowest(column)).saturating_sub(n)),
        FieldKind::Real => {
            #[allow(clippy::cast_precision_loss, reason = "the counts of rows are small")]
            let far = f64::MAX / (2.0 + n as f64);
            Value::Real(if is_odd { -far } else { far })
        }
        FieldKind::Decimal => {
            let digits = u32::try_from(column.digits.whole).unwrap_or(0).min(Decimal::MAX_DIGITS - 1);
            let far = 10_i128.pow(digits) - 1 - i128::from(n);
            Decimal::new(if is_odd { -far } else { far }, 0).map_or(Value::Null, Value::Decimal)
        }
        kind => {
            let room = usize::try_from(column.length).unwrap_or(usize::MAX);
            let text = match next {
                Some(Value::Text(text)) if !is_odd => alike(text, n, room),
                _ if room < 32 => format!("~{n:x}"),
                _ => format!("~fastsync {n:x}"),
            };
            if kind == FieldKind::Bytes { Value::Bytes(text.into_bytes()) } else { Value::Text(text) }
        }
    }
}

/// A text with a number at its end, and no longer than there is room.
fn alike(text: &str, n: i64, room: usize) -> String {
    let end = format!("~{n:x}");
    let kept = text.chars().take(room.saturating_sub(end.len()));
    kept.chain(end.chars()).collect()
}

/// The least whole number of a column.
fn lowest(column: &Column) -> i64 {
    match column.data_type.as_str() {
        "tinyint" => i8::MIN.into(),
        "smallint" => i16::MIN.into(),
        "mediumint" => -(1 << 23),
        "int" => i32::MIN.into(),
        _ => i64::MIN,
    }
}

/// The columns of each unique key but the primary one. A part that is an expression has no name.
async fn unique_keys(connection: &mut MySqlConnection, table: &str) -> Run<Vec<BTreeSet<String>>> {
    let select = "SELECT index_name, column_name FROM information_schema.statistics \
                  WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0 AND index_name <> 'PRIMARY'";
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in Sql::new(select).bind(table).all(connection).await? {
        keys.entry(text(&row, 0)?.to_owned()).or_default().insert(text(&row, 1)?.to_owned());
    }
    Ok(keys.into_values().collect())
}

/// The columns of a table that foreign keys are about.
struct Links {
    /// They refer to rows of other tables.
    referring: BTreeSet<String>,
    /// Other rows refer to them.
    referred: BTreeSet<String>,
}

impl Links {
    async fn of(connection: &mut MySqlConnection, table: &str) -> Run<Self> {
        let select = "SELECT IF(table_name = ?, column_name, NULL), \
                      IF(referenced_table_name = ?, referenced_column_name, NULL) \
                      FROM information_schema.key_column_usage WHERE table_schema = DATABASE() \
                      AND referenced_table_name IS NOT NULL AND (table_name = ? OR referenced_table_name = ?)";
        let mut links = Self { referring: BTreeSet::new(), referred: BTreeSet::new() };
        let sql = Sql::new(select).bind(table).bind(table).bind(table).bind(table);
        for row in sql.all(connection).await? {
            for (at, names) in [&mut links.referring, &mut links.referred].into_iter().enumerate() {
                if bytes(&row, at)?.is_some() {
                    names.insert(text(&row, at)?.to_owned());
                }
            }
        }
        Ok(links)
    }

    /// How much speaks against taking the values of a column away.
    fn cost(&self, kind: FieldKind, column: &Column) -> u8 {
        match kind {
            _ if self.referred.contains(&column.name) => 5,
            _ if column.nullable => 0,
            FieldKind::Boolean | FieldKind::Json => 4,
            _ if self.referring.contains(&column.name) => 3,
            kind if kind.is_integer() || matches!(kind, FieldKind::Real | FieldKind::Decimal) => 2,
            _ => 1,
        }
    }

    /// Whether the row must refer to nothing in between. Its last write is checked again; what refers to it would not be.
    fn must_be_loose(&self, columns: &[(usize, FieldKind, Column)]) -> bool {
        let is_in = |names: &BTreeSet<String>, column: &Column| names.contains(&column.name);
        columns.iter().any(|(.., column)| !column.nullable && is_in(&self.referring, column))
            && !columns.iter().any(|(.., column)| is_in(&self.referred, column))
    }
}
