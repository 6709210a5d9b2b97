//! The integration tests of `fastsync-derive`, in one program: each further program is linked anew.

mod accepted;
mod derive;
mod fields;
mod hygiene;
mod ui;
