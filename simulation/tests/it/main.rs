//! The integration tests of `simulation`, in one program: each further program is linked anew.

mod convergence;
mod differential;
mod following;
mod mutants;
mod races;
mod regressions;
