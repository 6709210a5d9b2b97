//! Ways to keep the sync data of records in SQLite, in plain SQL without anything around it.
//!
//! Each layout does the same work: a server commits sessions of new rows and reads them back in feed order; a client
//! commits new rows as pending, reads them in the order of their commits, and notes that they were confirmed.

mod run;
mod sql;

pub use run::{Figures, measure};
pub use sql::{LAYOUTS, Layout};
