//! A pull of 100,000 records with both ends in this process, again and again, for a profiler:
//! `perf record -g target/release/profile-pull`.

use anyhow::Result;
use benches::profile::{Direction, main as run};

fn main() -> Result<()> {
    run(Direction::Pull)
}
