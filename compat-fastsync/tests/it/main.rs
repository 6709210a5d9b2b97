//! The integration tests of `fastsync-compat`, in one program: each further program is linked anew.

mod conflicts;
mod dialects;
mod flaws;
mod golden;
mod http;
mod mixed;
mod support;
mod swap;
