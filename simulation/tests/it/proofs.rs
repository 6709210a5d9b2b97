//! The names of the proofs.

use simulation::proofs::{PROOFS, named};

#[test]
fn a_proof_is_found_by_its_name() {
    for proof in PROOFS {
        assert_eq!(named(Some(proof.name)).map(|found| found.name), Ok(proof.name));
    }
    let problem = named(Some("convergences")).map(|found| found.name).unwrap_err();
    assert!(problem.contains("convergence, client-crash, "), "{problem}");
    assert!(named(None).is_err());
}
