//! The names that most programs need: `use fastsync::prelude::*;`.
//!
//! It brings `Result` of this crate, which takes a second parameter like the standard library's if you give one.

pub use crate::{
    Client, Error, ErrorKind, Field, Filter, LastWriterWins, LoopbackTransport, MemoryDataSource, ObjectId,
    PredefinedRules, Repository, Result, Selection, Server, ServerWins, Store, SyncContext, SyncManager,
    SyncableObject, SyncableRepository, SyncableRepositoryExt, TimestampOrdering, Transport, Zone,
    ZoneAccess, ZonePolicy,
};
