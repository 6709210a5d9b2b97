#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod prelude;

#[doc(inline)]
pub use fastsync_core::*;
// In place of the one of the core: what it writes names this crate.
#[cfg(feature = "derive")]
#[doc(inline)]
pub use fastsync_derive::SyncableObjectOfFacade as SyncableObject;

#[cfg(feature = "codec")]
pub use fastsync_codec as codec;
#[cfg(feature = "mongo")]
pub use fastsync_dao_mongo as mongo;
#[cfg(feature = "mysql")]
pub use fastsync_dao_mysql as mysql;
#[cfg(feature = "postgres")]
pub use fastsync_dao_postgres as postgres;
#[cfg(feature = "redb")]
pub use fastsync_dao_redb as redb;
#[cfg(feature = "sled")]
pub use fastsync_dao_sled as sled;
#[cfg(feature = "sqlite")]
pub use fastsync_dao_sqlite as sqlite;
#[cfg(any(feature = "http-client", feature = "http-server"))]
pub use fastsync_transport_http as http;

/// The examples of the repository's home page, tested.
#[cfg(all(doctest, feature = "codec", feature = "derive", feature = "http-server"))]
#[doc = include_str!("../../fastsync-core/README.md")]
struct HomePage;
