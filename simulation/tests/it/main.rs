//! The integration tests of `simulation`, in one program: each further program is linked anew.

mod args;
mod convergence;
mod differential;
mod following;
mod in_place;
mod migrations;
mod model;
mod mutants;
mod pace;
mod proofs;
mod races;
mod regressions;
