//! `cargo xtask prove differential`: the same random operations on every data source lead to the same.

use std::process::ExitCode;

use super::{block_on, refused};
use crate::args::Args;
use crate::differential::{Subject, minimum, run as compare};
use crate::report::Report;
use crate::storage::StorageKind;

pub(super) const NAME: &str = "differential";

pub(super) fn run(args: Args) -> ExitCode {
    block_on(2, async {
        let operations = args.target(2_000, 50_000);
        let mut subjects = vec![Subject::memory()];
        for kind in StorageKind::ALL {
            match kind.skip(NAME) {
                None => match Subject::new(kind).await {
                    Ok(subject) => subjects.push(subject),
                    Err(problem) => return refused(&format!("{}: {problem}", kind.name())),
                },
                Some(true) => return ExitCode::FAILURE,
                Some(false) => {}
            }
        }
        println!("{NAME}: {operations} operations, seed {}", args.seed);
        let report = Report::begin(NAME, args.seed);
        let outcome = compare(args.seed, operations, subjects).await;
        report.end(outcome, &minimum(operations))
    })
}
