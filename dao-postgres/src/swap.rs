//! Rows that exchange unique values: each is refused as long as another one has what it is to get.
//!
//! The server checks unique keys row by row, unless they are declared as deferrable. So the refused rows first lose their unique values, and are then written again.
//! That happens behind a savepoint of the commit's transaction, so nobody ever sees what a row has in between.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use fastsync_core::source::{Action, OnMismatch};
use fastsync_core::{Decimal, FieldKind, Record, Value};
use fastsync_dao_kit::sql::{Digits, Run};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::attempt::Attempt;
use crate::columns::{Column, Limit, columns};
use crate::native::Native;
use crate::registry::Type;
use crate::rows::Refused;
use crate::sql::{Schema, Sql, bytes, control, quoted, text};
use crate::store::Store;

impl Attempt<'_> {
    /// Writes refused rows that may only be in each other's way; gives those that are refused all the same, whose rows are
    /// as they were.
    pub(crate) async fn exchange(
        &self,
        connection: &mut PgConnection,
        refused: Vec<Refused>,
    ) -> Run<Vec<Refused>> {
        let mut waiting = refused;
        let mut clashing = Vec::new();
        while !waiting.is_empty() {
            control(connection, "SAVEPOINT fastsync_exchange").await?;
            let mut left = waiting.clone();
            if vacate(self.store, connection, &waiting).await? {
                left = self.until_in_vain(connection, left).await?;
            }
            if left.is_empty() {
                control(connection, "RELEASE SAVEPOINT fastsync_exchange").await?;
                break;
            }
            // The rows that stay refused keep their values, which may be in the way of the others.
            control(connection, "ROLLBACK TO SAVEPOINT fastsync_exchange").await?;
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

    async fn until_in_vain(&self, connection: &mut PgConnection, refused: Vec<Refused>) -> Run<Vec<Refused>> {
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

/// Takes the unique values of the refused rows away, as far as the user's other rules let it; answers whether any was.
async fn vacate(store: &Store, connection: &mut PgConnection, refused: &[Refused]) -> Run<bool> {
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
            control(connection, "SAVEPOINT fastsync_vacate").await?;
            match way.statement(&store.schema, record, n, stand_in).execute(connection).await {
                Ok(done) => is_freed |= done.rows_affected() > 0,
                // A check of the user's, or a column that is too narrow. In the end the row keeps what it has.
                Err(fail) if fail.refusal().is_some() => {
                    let back = "ROLLBACK TO SAVEPOINT fastsync_vacate; RELEASE SAVEPOINT fastsync_vacate";
                    control(connection, back).await?;
                    continue;
                }
                Err(fail) => return Err(fail),
            }
            control(connection, "RELEASE SAVEPOINT fastsync_vacate").await?;
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
    kind: Arc<Type>,
    /// Parameters: the columns, the id, then the zone key if the type is restricted.
    sql: String,
    /// With their places in a body.
    columns: Vec<(usize, FieldKind, Column)>,
}

impl Vacating {
    /// None if no unique key has a field.
    async fn of(store: &Store, connection: &mut PgConnection, kind: &Arc<Type>) -> Run<Option<Self>> {
        let (schema, table) = (&store.schema, kind.schema.name().as_str());
        let keys = unique_keys(schema, connection, table).await?;
        let links = Links::of(schema, connection, table).await?;
        let mut found = columns(connection, schema, table).await?;
        let mut fields = Vec::new();
        for (at, field) in kind.schema.fields().iter().enumerate() {
            if let Some(place) = found.iter().position(|column| column.name == field.name.as_str()) {
                fields.push((at, field.kind, found.swap_remove(place)));
            }
        }
        let mut chosen = BTreeSet::new();
        let of_the_id = |name: &String| name == kind.schema.id_field().as_str() || name == "zone";
        for key in keys.iter().filter(|key| key.is_empty() || !key.iter().all(of_the_id)) {
            let cost = |kind: FieldKind, column: &Column| links.cost(kind, column);
            let of_key = fields.iter().filter(|(.., column)| key.contains(&column.name));
            match of_key.min_by_key(|(_, kind, column)| cost(*kind, column)) {
                // One column is enough.
                Some((at, ..)) => drop(chosen.insert(*at)),
                // It is over an expression, which can be of any field.
                None => chosen.extend(
                    fields.iter().filter(|(_, kind, column)| cost(*kind, column) < 3).map(|(at, ..)| *at),
                ),
            }
        }
        fields.retain(|(at, ..)| chosen.contains(at));
        if fields.is_empty() {
            return Ok(None);
        }
        let set: Vec<_> = fields
            .iter()
            .map(|(.., column)| {
                let cast = column.native.map_or("", Native::cast);
                format!("{} = ?{cast}", quoted(&column.name))
            })
            .collect();
        let zone = if kind.is_restricted() { " AND u.zone = ?" } else { "" };
        let (id, set) = (kind.id(), set.join(", "));
        let sql = format!("UPDATE {} AS u SET {set} WHERE {id} = ANY (?){zone}", kind.table);
        Ok(Some(Self { kind: Arc::clone(kind), sql, columns: fields }))
    }

    /// For the `n`th row.
    fn statement(&self, schema: &Schema, record: &Record, n: u32, stand_in: StandIn) -> Sql {
        let mut sql = schema.sql(self.sql.as_str());
        for (at, kind, column) in &self.columns {
            let next = record.body.as_ref().and_then(|body| body.get(*at));
            let native = column.native.unwrap_or(Native::Text);
            let value = in_between(*kind, native, column, next, n, stand_in);
            let mut bytes = Vec::new();
            let is_there = native.write(&value, &mut bytes);
            sql.add_bytes(native.oids().0, is_there.then_some(bytes));
        }
        sql.add_built(self.kind.ids([&record.key.id]));
        if let Some(key) = record.key.zone.key() {
            sql.add(key);
        }
        sql
    }
}

/// What the `n`th row has in a column, which is to get `next`.
fn in_between(
    kind: FieldKind,
    native: Native,
    column: &Column,
    next: Option<&Value>,
    n: u32,
    stand_in: StandIn,
) -> Value {
    let is_odd = stand_in == StandIn::Odd;
    if column.nullable && is_odd {
        return Value::Null;
    }
    let n = i64::from(n);
    match (kind, native) {
        (FieldKind::Boolean, _) => Value::Bool(n % 2 == 0),
        (kind, native) if kind.is_integer() => {
            let lowest = match native.width() {
                2 => i16::MIN.into(),
                4 => i32::MIN.into(),
                _ => i64::MIN,
            };
            let odd = lowest.saturating_add(n);
            Value::Integer(if is_odd { odd } else { odd.saturating_add(1).saturating_neg() })
        }
        (FieldKind::Real, _) => {
            #[allow(clippy::cast_precision_loss, reason = "the counts of rows are small")]
            let far = f64::MAX / (2.0 + n as f64);
            Value::Real(if is_odd { -far } else { far })
        }
        (FieldKind::Decimal, _) => {
            let whole = match column.limit {
                Some(Limit::Digits(Digits { whole, .. })) => whole,
                _ => Decimal::MAX_DIGITS.into(),
            };
            let digits = u32::try_from(whole).unwrap_or(0).min(Decimal::MAX_DIGITS - 1);
            let far = 10_i128.pow(digits) - 1 - i128::from(n);
            Decimal::new(if is_odd { -far } else { far }, 0).map_or(Value::Null, Value::Decimal)
        }
        (_, Native::Uuid) => {
            Value::Text(Uuid::from_u128(u128::MAX - u128::from(n.unsigned_abs())).to_string())
        }
        (_, Native::Date) => Value::Text(format!("{:04}-12-31", n.rem_euclid(10_000))),
        (_, Native::Time) => Value::Text(format!("23:59:59.{:06}000", n.rem_euclid(1_000_000))),
        (_, Native::Timestamp | Native::Timestamptz) => {
            Value::Text(format!("{:04}-12-31T23:59:59.000000000Z", n.rem_euclid(10_000)))
        }
        (kind, _) => {
            let room = match column.limit {
                Some(Limit::Characters(most)) => most,
                _ => usize::MAX,
            };
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

/// The columns of each unique key but the primary one; none of one over an expression.
async fn unique_keys(
    schema: &Schema,
    connection: &mut PgConnection,
    table: &str,
) -> Run<Vec<BTreeSet<String>>> {
    let select = "SELECT i.indexrelid, a.attname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid \
                  JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND i.indexprs IS NULL \
                  WHERE n.nspname = ? AND c.relname = ? AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary";
    let mut keys: BTreeMap<Vec<u8>, BTreeSet<String>> = BTreeMap::new();
    for row in schema.sql(select).bind(schema.name()).bind(table).all(connection).await? {
        let key = keys.entry(bytes(&row, 0)?.unwrap_or_default().to_vec()).or_default();
        if bytes(&row, 1)?.is_some() {
            key.insert(text(&row, 1)?.to_owned());
        }
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
    async fn of(schema: &Schema, connection: &mut PgConnection, table: &str) -> Run<Self> {
        let select = "SELECT CASE WHEN k.conrelid = c.oid AND a.attnum = ANY (k.conkey) THEN a.attname::text END, \
                      CASE WHEN k.confrelid = c.oid AND a.attnum = ANY (k.confkey) THEN a.attname::text END \
                      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 \
                      JOIN pg_constraint AS k ON k.contype = 'f' AND (k.conrelid = c.oid OR k.confrelid = c.oid) \
                      WHERE n.nspname = ? AND c.relname = ?";
        let mut links = Self { referring: BTreeSet::new(), referred: BTreeSet::new() };
        for row in schema.sql(select).bind(schema.name()).bind(table).all(connection).await? {
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
}
