//! The small integers that stand for names in the sync tables.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use rusqlite::{Row, ToSql};

use crate::connection::Store;
use crate::error::{Fail, Run};

/// How many names one connection remembers.
const MAX_NAMES: usize = 16_384;

/// Both directions between a name and its number. Numbers never change, so what was read once stays true.
#[derive(Debug)]
pub(crate) struct Names<T> {
    /// Finds a number, gives one, and finds a name.
    sql: [&'static str; 3],
    known: RefCell<(HashMap<T, i64>, HashMap<i64, T>)>,
}

impl<T: Clone + Eq + Hash> Names<T> {
    pub(crate) fn new(sql: [&'static str; 3]) -> Self {
        Self { sql, known: RefCell::default() }
    }

    fn note(&self, name: &T, n: i64) {
        if self.known.borrow().1.len() >= MAX_NAMES {
            self.clear();
        }
        let (numbers, names) = &mut *self.known.borrow_mut();
        numbers.insert(name.clone(), n);
        names.insert(n, name.clone());
    }

    /// Forgets numbers that a transaction may have given in vain.
    pub(crate) fn clear(&self) {
        let (numbers, names) = &mut *self.known.borrow_mut();
        numbers.clear();
        names.clear();
    }

    /// The number of a name, if it has one. `stored`: the name as the table has it.
    pub(crate) fn number<S: ToSql>(
        &self,
        store: &Store,
        name: &T,
        stored: impl FnOnce() -> S,
    ) -> Run<Option<i64>> {
        if let Some(n) = self.known.borrow().0.get(name) {
            return Ok(Some(*n));
        }
        let n = store.one(self.sql[0], [stored()], |row| row.get(0))?;
        if let Some(n) = n {
            self.note(name, n);
        }
        Ok(n)
    }

    pub(crate) fn number_or_new<S: ToSql>(
        &self,
        store: &Store,
        name: &T,
        stored: impl Fn() -> S,
    ) -> Run<i64> {
        if let Some(n) = self.number(store, name, &stored)? {
            return Ok(n);
        }
        store.run(self.sql[1], [stored()])?;
        let n = store.connection.last_insert_rowid();
        self.note(name, n);
        Ok(n)
    }

    pub(crate) fn name(&self, store: &Store, n: i64, read: impl Fn(&Row<'_>) -> Run<T>) -> Run<T> {
        if let Some(name) = self.known.borrow().1.get(&n) {
            return Ok(name.clone());
        }
        let found = store.all(self.sql[2], [n], read)?.pop();
        let name = found.ok_or_else(|| Fail::corrupt("the index names a number that nothing has"))?;
        self.note(&name, n);
        Ok(name)
    }
}
