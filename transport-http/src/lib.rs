#![doc = include_str!("../README.md")]
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
mod coding;
mod format;
mod gzip;
#[cfg(feature = "server")]
mod pace;
pub mod status;
mod wire;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "client")]
pub use client::{HttpTransport, HttpTransportBuilder};
pub use format::Format;
#[cfg(feature = "server")]
pub use server::{
    Authenticate, Intake, IntakeError, Limits, Listener, ServeConfig, SyncService, bearer_token, serve,
};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
