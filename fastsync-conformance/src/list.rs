//! The one list of cases.

/// Calls a macro with every case: `runner group { case, ... }`. The tests and [`run_all`](crate::run_all) are
/// made from it.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_case {
    ([$($callback:tt)*] [$($argument:tt)*]) => {
        $($callback)* ! {
            [$($argument)*]
            run_single get {
                records_come_in_the_order_of_ids,
                absent_ids_are_left_out,
                only_this_zone_and_type_are_found,
                tombstones_are_included,
                thousands_of_ids_are_found,
            }
        }
    };
}

/// Makes one `#[test]` per case, in a module `conformance` (or of the name given first). The expression makes
/// the harness and is evaluated once per test.
#[macro_export]
macro_rules! conformance_tests {
    ($module:ident, $make:expr $(,)?) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $crate::__for_each_case!([$crate::__tests] [$make]);
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
        $($crate::__test_group!([$make] $runner $group $cases);)*
    };
}

/// One group of [`__tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! __test_group {
    ([$make:expr] $runner:ident $group:ident { $($case:ident),* $(,)? }) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::$runner(|| $make, $crate::cases::$group::$case);
                }
            )*
        }
    };
}
