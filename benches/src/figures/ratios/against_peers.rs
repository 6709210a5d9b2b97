//! Ours beside the peers, from what the last runs of `cargo xtask peers` and of `workloads` have kept.

use benches::report::thousands;

use super::checks::{Bound, Checks, Found};
use crate::figures::kept::{Kept, Line};

/// A workload, and how far ours has to be ahead.
const AHEAD: [(&str, f64); 7] =
    [("W1", 3.0), ("W2", 1.5), ("W3 A", 1.0), ("W3 B", 1.0), ("W4", 1.0), ("W5 push", 1.0), ("W5 pull", 1.0)];

const OURS: &str = "SQLite - SQLite";

pub(super) fn check(checks: &mut Checks, kept: &Kept) {
    let lines = kept.lines();
    for (workload, ahead) in AHEAD {
        let (ours, peers): (Vec<&Line>, Vec<&Line>) =
            lines.iter().filter(|line| line.workload == workload).partition(|line| !line.is_peer);
        let ours = ours.into_iter().filter(|line| line.who == OURS);
        // The crowd of W5 is the same for any number of records. W3 has 100 changes however many records are in step, and
        // more of those are not in the favour of ours.
        let same = |ours: &Line, peer: &Line| match workload {
            "W5 push" | "W5 pull" => true,
            "W3 A" | "W3 B" => ours.n >= peer.n,
            _ => ours.n == peer.n,
        };
        let largest = ours.filter(|ours| peers.iter().any(|peer| same(ours, peer))).max_by_key(|line| line.n);
        let Some(ours) = largest else {
            let why = "`cargo xtask peers` and `cargo xtask bench workloads` have kept nothing to compare";
            checks.not_measured(workload, "fastest peer", Bound::AtLeast(ahead), why);
            continue;
        };
        // Pages of a database are no records: who sends them is shown, and raced only where records are made.
        let is_raced = |peer: &Line| peer.row_wise || workload == "W1";
        for raced in [true, false] {
            // Of those that ours can be compared with, the ones that were measured with most.
            let most = peers.iter().filter(|peer| same(ours, peer)).map(|peer| peer.n).max();
            let rivals =
                peers.iter().filter(|peer| Some(peer.n) == most).filter(|peer| is_raced(peer) == raced);
            let Some(fastest) = rivals.max_by(|a, b| ratio(b, ours).total_cmp(&ratio(a, ours))) else {
                continue;
            };
            let what = format!("{workload}, {OURS}, {}", ours.n);
            let of = if fastest.n == ours.n { String::new() } else { format!(" with {} records", fastest.n) };
            let against = format!("{}{of}, as last measured", fastest.who);
            let found = Found { ours: figure(ours), theirs: figure(fastest), ratio: ratio(fastest, ours) };
            if raced {
                checks.measured(&what, &against, Bound::AtLeast(ahead), found);
            } else {
                checks.unbound(&what, &against, found, "it sends pages of its database, not records");
            }
        }
    }
}

/// How many times as fast ours is.
fn ratio(peer: &Line, ours: &Line) -> f64 {
    if ours.unit == "ms" { peer.value / ours.value } else { ours.value / peer.value }
}

fn figure(line: &Line) -> String {
    if line.unit == "ms" { format!("{:.2} ms", line.value) } else { format!("{} /s", thousands(line.value)) }
}

#[cfg(test)]
mod tests {
    use benches::report::Report;
    use serde_json::json;

    use super::*;

    fn verdicts(kept: &Kept) -> Vec<(String, String)> {
        let mut checks = Checks::new(Report::new("ratios", json!({})));
        check(&mut checks, kept);
        checks.verdicts()
    }

    fn of<'a>(found: &'a [(String, String)], against: &str) -> Vec<&'a str> {
        let rows = found.iter().filter(|(who, _)| who.starts_with(against));
        rows.map(|(_, verdict)| &**verdict).collect()
    }

    #[test]
    fn what_is_not_there_is_not_measured() {
        let found = verdicts(&Kept([].into()));
        assert_eq!(found.len(), AHEAD.len());
        assert!(found.iter().all(|(_, verdict)| verdict == "not measured"));
    }

    #[test]
    fn the_fastest_that_sends_records_counts() {
        let ours = json!({ "figures": { "lines": [
            { "pair": OURS, "workload": "W2", "n": 7, "value": 20.0, "unit": "records/s" },
            { "pair": OURS, "workload": "W4", "n": 7, "value": 2.0, "unit": "ms" },
        ] } });
        let peer = |name: &str, workload: &str, rate: Option<u32>, row_wise: bool| {
            json!({ "peer": name, "version": "1", "workload": workload, "n": 7, "seconds": 0.001,
                    "records_per_second": rate, "row_wise": row_wise })
        };
        let peers = json!({ "figures": [
            peer("slow", "w2", Some(1), true), peer("fast", "w2", Some(19), true), peer("pages", "w2", Some(99), false),
            peer("fast", "w4a", None, true),
        ] });
        let kept = Kept([("workloads".to_owned(), ours), ("peers".to_owned(), peers)].into());
        let found = verdicts(&kept);
        assert!(of(&found, "slow 1").is_empty());
        assert_eq!(of(&found, "fast 1"), ["missed", "missed"]);
        assert_eq!(of(&found, "pages 1"), ["not required"]);
    }

    #[test]
    fn changes_are_compared_with_fewer_records_in_step_and_pages_race_nobody() {
        let ours = |workload: &str, value: f64, unit: &str| json!({ "pair": OURS, "workload": workload, "n": 7, "value": value, "unit": unit });
        let ours =
            json!({ "figures": { "lines": [ours("W3 A", 2.0, "ms"), ours("W5 pull", 9.0, "records/s")] } });
        let peer = |name: &str, workload: &str, n: u64, seconds: f64, rate: Option<u32>| {
            json!({ "peer": name, "version": "1", "workload": workload, "n": n, "seconds": seconds,
                    "records_per_second": rate, "row_wise": name != "pages" })
        };
        let peers = json!({ "figures": [
            peer("small", "w3a", 2, 0.001, None), peer("near", "w3a", 3, 0.004, None), peer("large", "w3a", 8, 0.001, None),
            peer("rows", "w5_pull", 4, 1.0, Some(8)), peer("pages", "w5_pull", 4, 1.0, Some(99)),
        ] });
        let found = verdicts(&Kept([("workloads".to_owned(), ours), ("peers".to_owned(), peers)].into()));
        assert_eq!(of(&found, "near 1 with 3 records"), ["kept"]);
        assert!(of(&found, "small").is_empty() && of(&found, "large").is_empty());
        assert_eq!((of(&found, "rows 1"), of(&found, "pages 1")), (vec!["kept"], vec!["not required"]));
    }
}
