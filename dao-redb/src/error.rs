//! From redb's errors to ours: the only place.

use fastsync_core::ErrorKind;
use fastsync_dao_kit::kv::Fail;

pub(crate) fn native(error: impl Into<redb::Error>) -> Fail {
    let error = error.into();
    let (kind, message) = match error {
        redb::Error::Io(error) => return error.into(),
        redb::Error::DatabaseAlreadyOpen => {
            (ErrorKind::Unavailable, "the store is open already, here or in another process: one at a time")
        }
        redb::Error::UpgradeRequired(_) => {
            (ErrorKind::Unsupported, "an earlier major version of redb wrote the store")
        }
        redb::Error::ValueTooLarge(_) => (ErrorKind::InvalidInput, "a value is larger than redb takes"),
        // The table is made when the store is, so it is there and of its type.
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_) => (ErrorKind::Corrupt, "the store is damaged or none of ours"),
        _ => (ErrorKind::Backend, "reading or writing the store failed"),
    };
    Fail::Native(kind, message, Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_error_of_redbs_has_its_kind() {
        let table = [
            (redb::Error::Corrupted("x".into()), ErrorKind::Corrupt),
            (redb::Error::DatabaseAlreadyOpen, ErrorKind::Unavailable),
            (redb::Error::UpgradeRequired(1), ErrorKind::Unsupported),
            (redb::Error::PreviousIo, ErrorKind::Backend),
            (io::Error::from(io::ErrorKind::StorageFull).into(), ErrorKind::StorageFull),
        ];
        for (error, kind) in table {
            let error = native(error).into_error("redb", "commit");
            assert_eq!((error.kind(), error.operation(), error.backend()), (kind, "commit", Some("redb")));
        }
    }
}
