//! What the facade shows, and what its derive macro writes.
#![cfg(feature = "derive")]

mod derive;
mod prelude;
