//! The guide. Its pages are in `docs/guide`; their examples run as doctests of this crate.

#[doc = include_str!("guide/getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("guide/embedded-store.md")]
pub mod embedded_store {}

#[doc = include_str!("guide/the-sync-model.md")]
pub mod the_sync_model {}

#[doc = include_str!("guide/conflicts.md")]
pub mod conflicts {}

#[doc = include_str!("guide/changing-your-types.md")]
pub mod changing_your_types {}

#[doc = include_str!("guide/from-sqlite-to-mysql.md")]
pub mod from_sqlite_to_mysql {}

#[doc = include_str!("guide/testing-your-app.md")]
pub mod testing_your_app {}

#[doc = include_str!("guide/writing-a-data-source.md")]
pub mod writing_a_data_source {}

#[doc = include_str!("guide/an-engine-of-your-own.md")]
pub mod an_engine_of_your_own {}

#[doc = include_str!("guide/mongodb.md")]
pub mod mongodb {}

#[doc = include_str!("guide/postgres.md")]
pub mod postgres {}

#[doc = include_str!("guide/moving-from-fastsync.md")]
pub mod moving_from_fastsync {}
