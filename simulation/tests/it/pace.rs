//! How long a run goes on.

use simulation::counts::Counts;
use simulation::pace::{Budget, Pace};

#[test]
fn a_run_goes_on_until_its_budget_is_used_and_enough_has_happened() {
    let mut counts = Counts::default();
    let some = vec![("conflicts", 1)];
    let (count, time) = (Pace::begin(Budget::Count(3), some.clone()), Pace::begin(Budget::Seconds(7), some));
    assert!(count.goes_on_at(900, 2, &counts) && time.goes_on_at(6, 900, &counts));
    // Too little happened: it goes on, but not for ever.
    assert!(count.goes_on_at(0, 3, &counts) && time.goes_on_at(7, 1, &counts));
    assert!(!count.goes_on_at(0, 30, &counts) && !time.goes_on_at(300, 1, &counts));
    counts.note("conflicts");
    assert!(!count.goes_on_at(0, 3, &counts) && !time.goes_on_at(7, 1, &counts));
    assert!(time.goes_on_at(300, 0, &counts), "one case is run however slow the machine");
}
