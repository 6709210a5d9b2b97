//! The integration tests of `fastsync-compat`, in one program: each further program is linked anew.

mod conflicts;
mod cuts;
mod dialects;
mod edits;
mod flaws;
mod golden;
mod horizon;
mod http;
mod import;
mod limits;
mod memo;
mod mixed;
mod pulls;
mod refusals;
mod slow_links;
mod support;
mod swap;
mod tombstones;
mod unknown_fields;
mod unreadable;
