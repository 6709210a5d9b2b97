//! The options of a proof.

use simulation::args::Args;
use simulation::pace::Budget;
use simulation::storage::{OnDisk, StorageKind};

fn parse(line: &str) -> Result<Args, String> {
    Args::parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn the_options_are_read() {
    let args = parse("--long --seed 7").unwrap();
    assert_eq!((args.long, args.seed, args.budget(1, 2)), (true, 7, Budget::Count(2)));
    assert_eq!(parse("--count 5").unwrap().budget(1, 2), Budget::Count(5));
    assert_eq!(parse("--long --seconds 5").unwrap().budget(1, 2), Budget::Seconds(5));
    assert!(parse("--count 5 --seconds 5").is_err());
    let one = parse("--case 3 --seed 7").unwrap();
    assert_eq!((one.seed, one.case), (7, Some(3)));
    assert!(one.no_case("there are none").is_err() && args.no_case("there are none").is_ok());
    assert!(parse("--case 3").is_err(), "a case of a seed that nobody knows");
    assert_eq!(parse("--store sled").unwrap().on_disk(), Ok(OnDisk::Sled));
    assert_eq!(parse("").unwrap().on_disk(), Ok(OnDisk::Sqlite));
    assert_eq!(
        parse("--store mongo --database").map(|args| (args.storage(), args.database)),
        Ok((Ok(StorageKind::Mongo), true))
    );
    assert!(parse("--store").is_err() && parse("--store paper").unwrap().on_disk().is_err());
    assert_eq!(parse("--child a --b").unwrap().child.unwrap(), ["a", "--b"]);
    assert!(parse("--seed").is_err() && parse("--seed x").is_err() && parse("--what").is_err());
}
