//! Requests, at the server's end.

use fastsync_core::protocol::Requirements;
use fastsync_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::format::Format;
use crate::message::Message;

/// Reads a request.
///
/// # Errors
/// `UpgradeRequired` or `Unsupported` if it is of another protocol version, or requires a feature that is not known here: then it
/// may have any form. `InvalidInput`, with the place, if it is not a message of the protocol.
pub fn request<T: Message>(format: Format, bytes: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    struct Probe {
        metadata: Requirements,
    }
    format.decode(bytes).map_err(|error| {
        let probe = error.is_well_formed().then(|| format.decode_plain::<Probe>(bytes).ok()).flatten();
        match probe.map(|probe| probe.metadata.check()) {
            Some(Err(later)) => later,
            _ => Error::new(ErrorKind::InvalidInput, "decode", error.to_string()),
        }
    })
}
