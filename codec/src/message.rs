//! What can be sent.

use fastsync_core::protocol::{Compact, PullReply, PullRequest, PushReply, PushRequest};
use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize, Serializer};

/// A message of the protocol: a request to push or to pull, or its reply. The protocol has no others, so nothing else implements it.
pub trait Message: Serialize + DeserializeOwned + Send + Sync + form::Form {}

pub(crate) mod form {
    use super::{DeserializeOwned, Deserializer, Serialize, Serializer};

    /// A message in the form that binary formats send.
    pub trait Form: Serialize + DeserializeOwned {
        /// About how many rows it has, for the size of its buffer.
        fn rows(&self) -> usize;
        /// Writes it.
        ///
        /// # Errors
        /// Those of the format.
        fn write_compact<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error>;
        /// Reads it.
        ///
        /// # Errors
        /// Those of the format.
        fn read_compact<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
    }
}

macro_rules! messages {
    ($($message:ty: |$it:ident| $rows:expr;)+) => {$(
        impl Message for $message {}

        impl form::Form for $message {
            fn rows(&self) -> usize {
                let $it = self;
                $rows
            }

            fn write_compact<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                Compact(self).serialize(out)
            }

            fn read_compact<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <Compact<Self> as serde::Deserialize>::deserialize(from).map(|Compact(message)| message)
            }
        }
    )+};
}

messages! {
    PushRequest: |request| request.payload.len();
    PullRequest: |_request| 0;
    PushReply: |reply| match reply {
        Self::Processed(receipt) => receipt.exceptions.len() + receipt.current.len(),
        _ => 0,
    };
    PullReply: |reply| match reply {
        Self::Page(page) => page.payload.len(),
        _ => 0,
    };
}
