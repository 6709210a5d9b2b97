//! What the macro refuses, and how it says so.

#[test]
fn errors_are_helpful() {
    let cases = trybuild::TestCases::new();
    // What is to compile is in `accepted.rs`: one case that passes, and all dependencies are built here, not only checked.
    cases.compile_fail("tests/ui/fail_*.rs");
}
