//! Filters and orders as SQL, over the user's table, which is called `u`.

use fastsync_core::{Comparison, Error, ErrorKind, FieldName, Filter, Order, Result, Value};

use crate::sql::column::Holds;
use crate::sql::dialect::Dialect;
use crate::sql::kind::Type;
use crate::sql::statement::{Arguments, Sql, quoted};
use crate::text::after_prefix;

/// Appends a condition.
///
/// Below a negation an unknown (null) must count as false, elsewhere it does anyway; a plain
/// comparison lets the server use an index.
///
/// # Errors
/// `Unsupported` if a later release of the core has a filter that is not known here.
pub fn push_filter<A: Arguments>(sql: &mut Sql<A>, kind: &Type, filter: &Filter) -> Result<()> {
    Writer { dialect: kind.dialect(), kind }.condition(sql, filter, false)
}

/// The expressions of an order; the id is the last of them.
#[must_use]
pub fn order_by(kind: &Type, order: &[Order]) -> String {
    let [up, down] = kind.dialect().orders;
    let direction = |by: &Order| if by.descending { down } else { up };
    let fields = order.iter().map(|by| format!("{} {}", kind.comparable(&by.field), direction(by)));
    fields.chain([kind.comparable(kind.schema.id_field())]).collect::<Vec<_>>().join(", ")
}

/// The most conditions that are joined in a chain.
const MAX_JOINED: usize = 64;

struct Writer<'a> {
    dialect: &'a Dialect,
    kind: &'a Type,
}

impl Writer<'_> {
    fn condition<A: Arguments>(&self, sql: &mut Sql<A>, filter: &Filter, negated: bool) -> Result<()> {
        let (open, close) = if negated { self.dialect.known() } else { ("(", ")") };
        match filter {
            Filter::All => drop(sql.push(self.dialect.truth(true))),
            Filter::And(filters) => self.join(sql, filters, negated, (" AND ", true))?,
            Filter::Or(filters) => self.join(sql, filters, negated, (" OR ", false))?,
            Filter::Not(inner) => {
                sql.push("NOT (");
                self.condition(sql, inner, true)?;
                sql.push(")");
            }
            Filter::IsNull(field) => drop(sql.push("(").push(&self.kind.comparable(field)).push(" IS NULL)")),
            Filter::Compare(field, comparison, value) => {
                let operator = match comparison {
                    Comparison::Equal => " = ",
                    Comparison::NotEqual => " <> ",
                    Comparison::Less => " < ",
                    Comparison::LessOrEqual => " <= ",
                    Comparison::Greater => " > ",
                    Comparison::GreaterOrEqual => " >= ",
                    _ => return Err(unsupported()),
                };
                let (column, holds) = self.operand(field, std::slice::from_ref(value));
                sql.push(open).push(&column).push(operator).push(self.dialect.mark(holds));
                sql.add((holds, value)).push(close);
            }
            Filter::In(field, values) => self.list(sql, field, values, (open, close)),
            Filter::StartsWith(field, text) => {
                // As a range, which an index serves. LIKE would do so as well, but MariaDB ends its range at U+FFFF and
                // misses what comes after.
                let column = self.text(field);
                sql.push(open).push(&column).push(" >= ").push_bind(text.as_str());
                if let Some(end) = after_prefix(text) {
                    sql.push(" AND ").push(&column).push(" < ").push_bind(end.as_str());
                }
                sql.push(close);
            }
            Filter::Contains(field, text) if let Some(form) = self.dialect.contains => {
                let condition = form.replace("{}", &self.kind.comparable(field));
                sql.push(open).push(&condition).add(text.as_str());
                sql.push(close);
            }
            Filter::Contains(field, text) => {
                let pattern = format!("%{}%", pattern(text));
                sql.push(open).push(&self.text(field)).push(" LIKE ").push_bind(pattern.as_str());
                sql.push(" ESCAPE '!'").push(close);
            }
            _ => return Err(unsupported()),
        }
        Ok(())
    }

    fn join<A: Arguments>(
        &self,
        sql: &mut Sql<A>,
        filters: &[Filter],
        negated: bool,
        (with, of_none): (&str, bool),
    ) -> Result<()> {
        if filters.is_empty() {
            sql.push(self.dialect.truth(of_none));
            return Ok(());
        }
        if filters.len() > MAX_JOINED {
            // A tree: databases limit how deep an expression is, and a long chain is one.
            let (left, right) = filters.split_at(filters.len() / 2);
            sql.push("(");
            self.join(sql, left, negated, (with, of_none))?;
            sql.push(with);
            self.join(sql, right, negated, (with, of_none))?;
            sql.push(")");
            return Ok(());
        }
        for (at, part) in filters.iter().enumerate() {
            sql.push(if at == 0 { "(" } else { with });
            self.condition(sql, part, negated)?;
        }
        sql.push(")");
        Ok(())
    }

    fn list<A: Arguments>(
        &self,
        sql: &mut Sql<A>,
        field: &FieldName,
        values: &[Value],
        (open, close): (&str, &str),
    ) {
        if values.is_empty() {
            sql.push(self.dialect.truth(false));
            return;
        }
        let (column, holds) = self.operand(field, values);
        let mark = self.dialect.mark(holds);
        let add = |sql: &mut Sql<A>| {
            sql.add_all(values.iter().map(|value| (holds, value)));
        };
        sql.push(open).push(&column);
        if self.dialect.has_arrays() {
            // A cast of one value is one of an array with this behind it.
            let of_arrays = if mark == "?" { "" } else { "[]" };
            sql.push(" = ANY (").push(mark).push(of_arrays).push(")").in_arrays(1, add);
        } else {
            sql.push(" IN (").push(&vec![mark; values.len()].join(",")).push(")");
            add(sql);
        }
        sql.push(close);
    }

    /// A column that compares with all of these values, and what they are bound as.
    fn operand(&self, field: &FieldName, values: &[Value]) -> (String, Holds) {
        let holds = self.kind.holds(field);
        if !self.kind.compares_otherwise(field) && values.iter().all(|value| holds.compares(value)) {
            return (self.kind.comparable(field), holds);
        }
        (self.text(field), Holds::Text(u64::MAX))
    }

    /// A column as text.
    fn text(&self, field: &FieldName) -> String {
        let holds = self.kind.holds(field);
        if holds.is_text() {
            return self.kind.comparable(field);
        }
        self.dialect.as_text(holds, &format!("u.{}", quoted(field)))
    }
}

/// A text as a pattern that means itself.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "query", "this data source does not know the filter")
}
