//! The property test in a smaller number, with the cases that once failed kept in `proptest-regressions/`.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use simulation::convergence::{cases, run_case};

proptest! {
    #![proptest_config(ProptestConfig {
        // Thousands are run by `cargo xtask prove convergence`.
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/convergence.txt"))),
        max_shrink_iters: 4_096,
        ..ProptestConfig::default()
    })]

    #[test]
    fn replicas_end_equal_whatever_happens(case in cases(2)) {
        if let Err(problem) = run_case(&case, None) {
            return Err(TestCaseError::fail(problem));
        }
    }
}
