//! TODO
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod error;
pub mod model;
pub mod object;
pub mod query;
pub mod schema;
pub mod source;

pub use error::{Error, ErrorKind, Result};
pub use model::*;
pub use object::{FieldValue, IdValue, SyncableObject};
pub use query::{Comparison, Filter, Order, Query};
pub use schema::{FieldKind, FieldSchema, MAX_RECORD_BYTES, TypeSchema, TypeSchemaBuilder, ZoneRestriction};
pub use source::SyncableDataSource;
