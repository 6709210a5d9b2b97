//! Data sources with a name of their own.

/// Makes a type that wraps another data source a data source: `KvDataSource` of the feature `kv`, or `SqlDataSource` of `sql`.
///
/// The package that calls it depends on `fastsync-core`.
#[macro_export]
macro_rules! data_source {
    ($source:ty) => {
        $crate::data_source! { $source =>
            prepare(types: &[::fastsync_core::TypeSchema]) -> ();
            plan(types: &[::fastsync_core::TypeSchema]) -> ::std::vec::Vec<::fastsync_core::source::PlannedChange>;
            get(
                type_name: &::fastsync_core::TypeName, zone: &::fastsync_core::Zone, ids: &[::fastsync_core::ObjectId]
            ) -> ::std::vec::Vec<::fastsync_core::Record>;
            find(query: &::fastsync_core::Query) -> ::std::vec::Vec<::fastsync_core::Record>;
            count(query: &::fastsync_core::Query) -> u64;
            changes(request: &::fastsync_core::source::ChangesRequest) -> ::fastsync_core::source::Changes;
            point(zone: &::fastsync_core::Zone, position: ::fastsync_core::Position)
                -> ::std::option::Option<::fastsync_core::source::Point>;
            pending(after: u64, limit: usize) -> ::std::vec::Vec<::fastsync_core::Record>;
            count_pending() -> u64;
            zones(type_name: &::fastsync_core::TypeName) -> ::std::vec::Vec<::fastsync_core::Zone>;
            stage(
                session: ::fastsync_core::SessionId, sequence: u64, writes: ::std::vec::Vec<::fastsync_core::source::Write>
            ) -> ();
            unstage(session: ::std::option::Option<::fastsync_core::SessionId>) -> ();
            commit(commit: ::fastsync_core::source::Commit) -> ::fastsync_core::source::CommitOutcome;
            commit_in_turn(commit: ::fastsync_core::source::Commit, turn: ::fastsync_core::source::Turn)
                -> ::fastsync_core::source::CommitOutcome;
            session(id: ::fastsync_core::SessionId) -> ::std::option::Option<::fastsync_core::SessionSummary>;
            sessions(zone: &::fastsync_core::Zone, after: ::fastsync_core::Position, limit: usize)
                -> ::std::vec::Vec<::fastsync_core::SessionSummary>;
            state(key: &str) -> ::std::option::Option<::std::vec::Vec<u8>>;
            states(prefix: &str) -> ::std::vec::Vec<(::std::string::String, ::std::vec::Vec<u8>)>;
            purge(zone: &::fastsync_core::Zone, through: ::fastsync_core::Position) -> u64;
        }
    };
    ($source:ty => $($method:ident($($name:ident: $type:ty),*) -> $returned:ty;)*) => {
        #[$crate::async_trait]
        impl ::fastsync_core::SyncableDataSource for $source {
            fn backend(&self) -> &'static str {
                ::fastsync_core::SyncableDataSource::backend(&self.0)
            }
            $(
                async fn $method(&self, $($name: $type),*) -> ::fastsync_core::Result<$returned> {
                    ::fastsync_core::SyncableDataSource::$method(&self.0, $($name),*).await
                }
            )*
        }
    };
}
