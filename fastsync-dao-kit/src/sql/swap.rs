//! Rows that exchange unique values: each is refused as long as another one has what it is to get.
//!
//! Servers check unique keys row by row. So the refused rows first lose their unique values, and are then written again.
//! That happens behind a savepoint of the commit's transaction, so nobody ever sees what a row has in between.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use fastsync_core::source::{Action, OnMismatch};
use fastsync_core::{Decimal, FieldKind, Record, Value};
use uuid::Uuid;

use crate::sql::attempt::Attempt;
use crate::sql::column::{Column, Holds};
use crate::sql::dialect::Dialect;
use crate::sql::driver::{Database, Link as _, Uniques};
use crate::sql::fail::Run;
use crate::sql::kind::Type;
use crate::sql::rows::{Refused, tried};
use crate::sql::statement::{Arguments, Sql, quoted};
use crate::sql::store::Store;

impl<D: Database> Attempt<'_, D> {
    /// Writes refused rows that may only be in each other's way; gives those that are refused all the same, whose rows are
    /// as they were.
    pub(crate) async fn exchange(&self, link: &mut D::Link, refused: Vec<Refused>) -> Run<Vec<Refused>> {
        let mut waiting = refused;
        let mut clashing = Vec::new();
        while !waiting.is_empty() {
            link.savepoint("SAVEPOINT fastsync_exchange").await?;
            let mut left = waiting.clone();
            if vacate(self.store, link, &waiting).await? {
                left = self.until_in_vain(link, left).await?;
            }
            if left.is_empty() {
                link.savepoint("RELEASE SAVEPOINT fastsync_exchange").await?;
                break;
            }
            // The rows that stay refused keep their values, which may be in the way of the others.
            link.savepoint("ROLLBACK TO SAVEPOINT fastsync_exchange").await?;
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

    async fn until_in_vain(&self, link: &mut D::Link, refused: Vec<Refused>) -> Run<Vec<Refused>> {
        let mut left = refused;
        loop {
            let before = left.len();
            left = self.again(link, left).await?;
            if left.is_empty() || left.len() == before {
                return Ok(left);
            }
        }
    }
}

/// Takes the unique values of the refused rows away, as far as the user's other rules let it; answers whether any was.
async fn vacate<D: Database>(store: &Store<D>, link: &mut D::Link, refused: &[Refused]) -> Run<bool> {
    let mut ways: BTreeMap<u64, Option<Vacating>> = BTreeMap::new();
    let mut is_freed = false;
    for (n, Refused { item, .. }) in (0_u32..).zip(refused) {
        let Action::Put { record, .. } = &item.write.action else { continue };
        if record.is_deleted() {
            continue;
        }
        let way = match ways.entry(item.kind.n) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let table = item.kind.schema.name().as_str();
                let uniques = store.database.uniques(link, table).await?;
                let columns = store.database.columns(link, table).await?;
                new.insert(Vacating::new(link.dialect(), &item.kind, &uniques, columns))
            }
        };
        let Some(way) = way else { continue };
        for stand_in in [StandIn::Odd, StandIn::Alike] {
            match tried(link, way.statement(record, n, stand_in), false).await {
                Ok(done) => is_freed |= done.rows > 0,
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
pub enum StandIn {
    /// A value that hardly anybody has.
    Odd,
    /// One that resembles what the row is to get, for checks that want such values.
    Alike,
}

/// How the unique values of a type's rows are taken away: null where a column may be null, else a value that nothing else
/// has.
#[derive(Debug)]
pub struct Vacating {
    /// Parameters: the columns, the id, then the zone key if the type is restricted.
    sql: String,
    id_holds: Holds,
    /// With their places in a body.
    columns: Vec<(usize, FieldKind, Column)>,
}

impl Vacating {
    /// `found`: the columns of the type's table. `None` if no unique key has a field.
    #[must_use]
    pub fn new(dialect: &Dialect, kind: &Type, uniques: &Uniques, mut found: Vec<Column>) -> Option<Self> {
        let mut fields = Vec::new();
        for (at, field) in kind.schema.fields().iter().enumerate() {
            if let Some(place) = found.iter().position(|column| column.name == field.name.as_str()) {
                let mut column = found.swap_remove(place);
                // What refers to it would follow it, and be null for good.
                column.nullable &= !uniques.referred.contains(&column.name);
                fields.push((at, field.kind, column));
            }
        }
        let mut chosen = BTreeSet::new();
        let of_the_id = |name: &String| name == kind.schema.id_field().as_str() || name == "zone";
        for key in uniques.keys.iter().filter(|key| !key.iter().all(of_the_id)) {
            let of_key = fields.iter().filter(|(.., column)| key.contains(&column.name));
            match of_key.min_by_key(|(_, kind, column)| uniques.cost(*kind, column)) {
                // One column is enough.
                Some((at, ..)) => {
                    chosen.insert(*at);
                }
                // It is over an expression, which can be of any field.
                None => chosen.extend(
                    fields
                        .iter()
                        .filter(|(_, kind, column)| uniques.cost(*kind, column) < 3)
                        .map(|(at, ..)| *at),
                ),
            }
        }
        fields.retain(|(at, ..)| chosen.contains(at));
        if fields.is_empty() {
            return None;
        }
        let set = fields.iter();
        let set =
            set.map(|(.., column)| format!("{} = {}", quoted(&column.name), dialect.mark(column.holds)));
        let set: Vec<_> = set.collect();
        let zone = kind.if_restricted(" AND `zone` = ?");
        let update = format!("{} SET {} WHERE {} = ?{zone}", kind.table(), set.join(", "), kind.id());
        let form = if uniques.must_be_loose(&fields) { dialect.forms.loose_update } else { "UPDATE {}" };
        let sql = form.replace("{}", &update);
        Some(Self { sql, id_holds: kind.id_holds, columns: fields })
    }

    /// The statement for the `n`th row, which is to be as this record.
    #[must_use]
    pub fn statement<A: Arguments>(&self, record: &Record, n: u32, stand_in: StandIn) -> Sql<A> {
        let mut sql = Sql::new(self.sql.as_str());
        for (at, kind, column) in &self.columns {
            let next = record.body.as_ref().and_then(|body| body.get(*at));
            sql.add((column.holds, &in_between(*kind, column, next, n, stand_in)));
        }
        sql.add((self.id_holds, record.key.id.as_str()));
        if let Some(key) = record.key.zone.key() {
            sql.add(key);
        }
        sql
    }
}

/// What the `n`th row has in a column, which is to get `next`.
pub(crate) fn in_between(
    kind: FieldKind,
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
    match column.holds {
        Holds::Uuid => {
            return Value::Text(
                Uuid::from_u128(u128::MAX.saturating_sub(n.unsigned_abs().into())).to_string(),
            );
        }
        Holds::Date => return Value::Text(format!("{:04}-12-31", n.rem_euclid(10_000))),
        Holds::Time(_) => return Value::Text(format!("23:59:59.{:06}000", n.rem_euclid(1_000_000))),
        Holds::Local(_) | Holds::Instant(_) => {
            return Value::Text(format!("{:04}-12-31T23:59:59.000000000Z", n.rem_euclid(10_000)));
        }
        _ => {}
    }
    match kind {
        FieldKind::Boolean => match column.holds {
            Holds::Whole(lowest) => Value::Integer(lowest.saturating_add(n)),
            _ => Value::Bool(is_odd),
        },
        kind if kind.is_integer() => {
            let lowest = if let Holds::Whole(lowest) = column.holds { lowest } else { i64::MIN };
            let highest = !lowest;
            Value::Integer(if is_odd { lowest.saturating_add(n) } else { highest.saturating_sub(n) })
        }
        FieldKind::Real => {
            #[allow(clippy::cast_precision_loss, reason = "the counts of rows are small")]
            let far = f64::MAX / (2.0 + n as f64);
            Value::Real(if is_odd { -far } else { far })
        }
        FieldKind::Decimal => {
            let digits = u32::try_from(column.digits().whole).unwrap_or(0).min(Decimal::MAX_DIGITS - 1);
            let far = 10_i128.saturating_pow(digits).saturating_sub(1).saturating_sub(n.into());
            Decimal::new(if is_odd { far.saturating_neg() } else { far }, 0)
                .map_or(Value::Null, Value::Decimal)
        }
        kind => {
            let room = usize::try_from(column.length()).unwrap_or(usize::MAX);
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

impl Uniques {
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
