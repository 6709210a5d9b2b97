//! The tests that a data source's author makes of the cases.

/// Makes one `#[test]` per case, in a module `conformance` (or of the name given first). The expression makes
/// the harness and is evaluated once per test.
#[macro_export]
macro_rules! conformance_tests {
    ($module:ident, $make:expr $(,)?) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $crate::__for_each_case!([$crate::__tests][$make]);
        }
    };
    ($make:expr $(,)?) => {
        $crate::conformance_tests!(conformance, $make);
    };
}

/// The tests of [`conformance_tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ([$make:expr] $($runner:ident $group:ident $cases:tt)*) => {
        $($crate::__test_group!([$make] $group $cases);)*
    };
}

/// One group of [`__tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! __test_group {
    ([$make:expr] $group:ident { $($case:ident: $sentence:literal),* $(,)? }) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::run_case(
                        concat!(stringify!($group), "::", stringify!($case)),
                        &mut || ::std::sync::Arc::new($make),
                    );
                }
            )*
        }
    };
}
