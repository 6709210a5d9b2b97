//! The integration tests of `fastsync-compat`, in one program: each further program is linked anew.

mod conflicts;
mod dialects;
mod edits;
mod flaws;
mod golden;
mod http;
mod limits;
mod memo;
mod mixed;
mod pulls;
mod support;
mod swap;
