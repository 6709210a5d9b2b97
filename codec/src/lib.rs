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

mod coding;
mod decode;
mod fault;
mod format;
mod gzip;
mod message;
mod request;
#[cfg(feature = "zstd")]
mod zstd;

pub use coding::{Coding, UnpackError};
pub use decode::DecodeError;
pub use fault::Fault;
pub use format::Format;
pub use message::Message;
pub use request::request;
