//! Data sources with a name of their own.

/// Makes a type that wraps another data source a data source: `KvDataSource` of the feature `kv`, or `SqlDataSource` of `sql`.
///
/// The package that calls it depends on `fastsync-core`.
#[macro_export]
macro_rules! data_source {
    ($source:ty) => {
        $crate::data_source! { $source =>
            prepare(types: &[::fastsync_core::TypeSchema], how: ::fastsync_core::source::Preparation)
                -> ::std::vec::Vec<::fastsync_core::source::PlannedChange>;
            get(
                type_name: &::fastsync_core::TypeName, zone: &::fastsync_core::Zone, ids: &[::fastsync_core::ObjectId]
            ) -> ::std::vec::Vec<::fastsync_core::Record>;
            find(query: &::fastsync_core::Query) -> ::fastsync_core::source::Found;
            changes(request: &::fastsync_core::source::ChangesRequest) -> ::fastsync_core::source::Changes;
            pending(request: &::fastsync_core::source::PendingRequest) -> ::fastsync_core::source::Found;
            zones(type_name: &::fastsync_core::TypeName) -> ::std::vec::Vec<::fastsync_core::Zone>;
            stage(
                session: ::fastsync_core::SessionId, sequence: u64, writes: ::std::vec::Vec<::fastsync_core::source::Write>
            ) -> ();
            commit(commit: ::fastsync_core::source::Commit, turn: ::fastsync_core::source::Turn)
                -> ::fastsync_core::source::CommitOutcome;
            sessions(request: &::fastsync_core::source::AuditRequest)
                -> ::std::vec::Vec<::fastsync_core::SessionSummary>;
            state(range: &::fastsync_core::source::StateRange)
                -> ::std::vec::Vec<(::std::string::String, ::std::vec::Vec<u8>)>;
            purge(what: &::fastsync_core::source::Purge) -> u64;
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
