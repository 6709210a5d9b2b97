//! What an action leaves of a record.

use crate::model::{Incarnation, Revision};

/// The change of a record that was put: 0 if nothing of it waits to be pushed, else the one that it brought or, where that is
/// 0, the number of the commit.
#[must_use]
pub const fn change_of_put(pending: bool, brought: u64, commit: u64) -> u64 {
    match (pending, brought) {
        (false, _) => 0,
        (true, 0) => commit,
        (true, brought) => brought,
    }
}

/// The revision and the change of a record that was acknowledged, of its life, its revision and its change before, and those
/// of the acknowledgement: another life keeps its revision, and another edit goes on waiting.
#[must_use]
pub fn acknowledged(
    before: (Incarnation, Revision, u64),
    acknowledgement: (Incarnation, Revision, u64),
) -> (Revision, u64) {
    let ((life, revision, change), (pushed_life, pushed_as, pushed)) = (before, acknowledgement);
    let revision = if life == pushed_life { pushed_as } else { revision };
    (revision, if change == pushed { 0 } else { change })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_waits_under_its_own_change_or_the_commits() {
        let all = [(false, 0), (false, 7), (true, 0), (true, 7)];
        assert_eq!(all.map(|(pending, brought)| change_of_put(pending, brought, 9)), [0, 0, 9, 7]);
    }

    #[test]
    fn an_acknowledgement_is_for_one_life_and_one_edit() {
        let (life, revision) = (Incarnation::from_bits, Revision::from_bits);
        let before = (life(1), revision(10), 4);
        let after = |life, change| acknowledged(before, (life, revision(20), change));
        assert_eq!(after(life(1), 4), (revision(20), 0));
        assert_eq!(after(life(1), 3), (revision(20), 4));
        assert_eq!(after(life(2), 4), (revision(10), 0));
        assert_eq!(after(life(2), 5), (revision(10), 4));
    }
}
