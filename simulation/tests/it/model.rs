//! What the simulated types merge.

use simulation::model::{tally, union};

#[test]
fn texts_merge_without_loss_in_any_order() {
    let (left, right) = ("#1 #3 a=2 b=9", "#2 #3 a=10");
    assert_eq!(union(left, right), "#1 #2 #3 a=10 b=9");
    assert_eq!(union(left, right), union(right, left));
    assert_eq!((tally(left, "b"), tally(left, "c")), (9, 0));
}
