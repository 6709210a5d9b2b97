//! What the macro refuses, and how it says so.

#[test]
fn errors_are_helpful() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass.rs");
    cases.compile_fail("tests/ui/fail_*.rs");
}
