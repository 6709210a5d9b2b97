//! From sled's errors to ours: the only place.

use fastsync_core::ErrorKind;
use fastsync_dao_kit::kv::Fail;

pub(crate) fn native(error: sled::Error) -> Fail {
    let (kind, message) = match error {
        sled::Error::Corruption { .. } => (ErrorKind::Corrupt, "the store is damaged"),
        // What sled calls a bug of its own is what it cannot explain, which so far was always damage.
        sled::Error::ReportableBug(_) | sled::Error::CollectionNotFound(_) => {
            (ErrorKind::Corrupt, "sled finds the store in a state that it never leaves")
        }
        sled::Error::Unsupported(_) => (ErrorKind::Config, "sled does not support this store"),
        sled::Error::Io(error) => return error.into(),
    };
    Fail::Native(kind, message, Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_error_of_sleds_has_its_kind() {
        let table = [
            (sled::Error::Corruption { at: None, bt: () }, ErrorKind::Corrupt),
            (sled::Error::ReportableBug("x".into()), ErrorKind::Corrupt),
            (sled::Error::Unsupported("x".into()), ErrorKind::Config),
            (io::Error::from(io::ErrorKind::StorageFull).into(), ErrorKind::StorageFull),
        ];
        for (error, kind) in table {
            let error = native(error).into_error("sled", "commit");
            assert_eq!((error.kind(), error.operation(), error.backend()), (kind, "commit", Some("sled")));
        }
    }
}
