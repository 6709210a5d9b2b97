//! What to tell a person when something fails.

use fastsync_core::{Error, ErrorKind};

use crate::Place;

/// The error in words that help. Local edits are never lost by any of them, and that is worth saying.
pub(crate) fn describe(error: &anyhow::Error, place: &Place) -> String {
    let Some(cause) = error.downcast_ref::<Error>() else { return format!("{error:#}") };
    let server = &place.server;
    let safe = "Your edits are safe and wait here";
    match cause.kind() {
        // Something answers, and not in the words of our server: a network's sign-in page, or another service.
        ErrorKind::Unavailable
            if cause.context().any(|(name, status)| name == "status" && status != "503") =>
        {
            format!(
                "There is no to-do server at {server} ({}). {safe}; try again later, or check --server.",
                cause.message()
            )
        }
        ErrorKind::Unavailable if cause.backend() == Some("http") => {
            format!("The server at {server} cannot be reached. {safe}; try `todo sync` again later.")
        }
        ErrorKind::Timeout => {
            format!("The server at {server} did not answer in time. {safe}; try `todo sync` again later.")
        }
        ErrorKind::Unauthorized => {
            format!("The server at {server} does not know this token. {safe}; check --token or TODO_TOKEN.")
        }
        ErrorKind::UnknownZone => {
            format!("The server at {server} does not share this list with you. {safe}.")
        }
        ErrorKind::Protocol | ErrorKind::Unsupported => {
            format!("There is no to-do server at {server} ({}). {safe}; check --server.", cause.message())
        }
        ErrorKind::ClockSkew => {
            format!(
                "The clock of this computer is far ahead of the server's. {safe}; set the clock and sync again."
            )
        }
        ErrorKind::UpgradeRequired => {
            format!("The server is of another version. {safe}; update this program.")
        }
        ErrorKind::Config if cause.operation() == "build" => {
            format!("The server's address {server} cannot be used: {}.", cause.message())
        }
        // `{:#}` adds the causes, one after the other.
        _ => format!("{error:#}"),
    }
}
