#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
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

mod body;
mod headers;
#[cfg(feature = "server")]
mod pace;
pub mod status;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "client")]
pub use client::{HttpTransport, HttpTransportBuilder};
pub use fastsync_codec::Format;
#[cfg(feature = "server")]
pub use server::{
    Authenticate, Intake, IntakeError, Limits, Listener, ServeConfig, SyncService, bearer_token, serve,
};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
