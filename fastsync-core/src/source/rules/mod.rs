//! What every data source decides alike, apart from where its records are: no input, no output, no clock.
//!
//! A data source looks things up and writes them; what that comes to is said here once. [`entry`](super::entry) has the forms
//! of what it stores, [`upgrade`](super::upgrade) the steps from earlier ones.
//!
//! | question | rule |
//! |---|---|
//! | may a reader go on, and what is said at the end of a page | [`ZoneState`], [`Reading`] |
//! | does another record fit on the page | [`Room`] |
//! | is a record an own push of the reader's | [`SkipOwn::covers`](super::SkipOwn::covers) |
//! | is there what a write expects | [`Expect::holds`](super::Expect::holds), [`ExpectState::holds`](super::ExpectState::holds) |
//! | which writes stop a commit, and which are left out | [`Verdict`] |
//! | which staged write of a key counts | [`LastWrites`] |
//! | in which order are writes done, where tables refer to each other | [`Phase`] |
//! | what an action leaves of a record | [`change_of_put`], [`acknowledged`] |
//! | what a session has written, for its positions and its audit entry | [`Tally`] |
//! | how a large batch is cut | [`cut`] |
//! | what preparing a type comes to | [`register`], [`Registered`], [`NotedType`] |
//! | which types there are, and what is said of another one | [`TypeTable`], [`unknown_type`] |

mod actions;
mod last_writes;
mod phase;
mod register;
mod room;
mod tally;
mod type_table;
mod verdict;
mod zone;

pub use actions::{acknowledged, change_of_put};
pub use last_writes::LastWrites;
pub use phase::Phase;
pub use register::{NotedType, Registered, in_order, refuse, register};
pub use room::{Room, cut};
pub use tally::Tally;
pub use type_table::{TypeTable, unknown_type};
pub use verdict::Verdict;
pub use zone::{Reading, ZoneState};
