//! The nouns: ids, names, zones, values, records, sessions, positions, cursors and clocks.

mod bits;
mod clock;
mod decimal;
mod id;
pub(crate) mod moment;
mod name;
mod record;
mod session;
mod value;
mod zone;

pub(crate) use clock::edit_order;
pub use clock::{Clock, Hlc, HybridClock, Random, SystemClock, SystemRandom, Timestamp};
pub use decimal::Decimal;
pub use id::{DeviceId, ObjectId, SessionId};
pub use name::{FieldName, TypeName};
pub use record::{Incarnation, Record, RecordKey, Revision, SyncMetadata};
pub use session::{Author, Position, SessionKind, SessionSummary, Tag};
pub(crate) use value::ValueVisitor;
pub use value::{MAX_JSON_DEPTH, Value};
pub use zone::{Zone, ZoneKey};
