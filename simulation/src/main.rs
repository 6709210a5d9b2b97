//! The proofs, in one program: `simulation NAME` and its options, as `cargo xtask prove NAME` starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    simulation::proofs::main(std::env::args().skip(1))
}
