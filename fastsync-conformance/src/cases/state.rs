//! Small durable values.

use super::prelude::*;

fn set(entry: &str, value: &[u8]) -> StateWrite {
    StateWrite::set(entry, Some(value.to_vec()))
}

async fn write(f: &Fixture, state: Vec<StateWrite>) {
    f.apply(Commit { state, ..f.local(vec![]) }).await;
}

pub(crate) async fn entries_are_set_replaced_and_removed(f: Fixture) {
    assert_eq!(f.state("cursor").await, None);
    let bytes: Vec<_> = (0..=255).collect();
    write(&f, vec![set("cursor", &bytes), set("empty", b"")]).await;
    assert_eq!(f.state("cursor").await, Some(bytes));
    assert_eq!(f.state("empty").await, Some(vec![]));
    write(&f, vec![set("cursor", b"2"), StateWrite::set("empty", None), StateWrite::set("none", None)]).await;
    assert_eq!(f.state("cursor").await, Some(b"2".to_vec()));
    assert_eq!(f.state("empty").await, None);
}

pub(crate) async fn entries_can_be_expected(f: Fixture) {
    write(&f, vec![set("cursor", b"a")]).await;
    let table = [
        ("cursor", ExpectState::Anything, true),
        ("cursor", ExpectState::Absent, false),
        ("cursor", ExpectState::Value(b"a".to_vec()), true),
        ("cursor", ExpectState::Value(b"A".to_vec()), false),
        ("cursor", ExpectState::Value(b"a\0".to_vec()), false),
        ("cursor", ExpectState::Value(vec![]), false),
        ("none", ExpectState::Anything, true),
        ("none", ExpectState::Absent, true),
        ("none", ExpectState::Value(vec![]), false),
    ];
    for (entry, expect, holds) in table {
        let current = f.state(entry).await;
        let write = StateWrite { key: entry.to_owned(), expect: expect.clone(), value: current.clone() };
        let commit = Commit { state: vec![write], ..f.local(vec![]) };
        if holds {
            f.apply(commit).await;
        } else {
            let (_, conflicts) = f.conflicts(commit).await;
            assert_eq!(conflicts.len(), 1, "{entry} {expect:?}");
            assert_eq!((conflicts[0].key.as_str(), &conflicts[0].current), (entry, &current));
        }
    }
}

pub(crate) async fn entries_are_listed_by_prefix(f: Fixture) {
    let keys = ["a", "a%", "a%b", "a_b", "aXb", "A%", "b/1", "b/10", "b/2", "é/1", "\u{10ffff}"];
    write(&f, keys.iter().map(|entry| set(entry, entry.as_bytes())).collect()).await;
    let table: [(&str, &[&str]); 7] = [
        ("a%", &["a%", "a%b"]),
        ("a_", &["a_b"]),
        ("b/", &["b/1", "b/10", "b/2"]),
        ("é", &["é/1"]),
        ("\u{10ffff}", &["\u{10ffff}"]),
        ("c", &[]),
        ("A", &["A%"]),
    ];
    for (prefix, expected) in table {
        let found = f.source().entries(prefix).await.expect("states succeeds");
        let expected: Vec<_> =
            expected.iter().map(|entry| ((*entry).to_owned(), entry.as_bytes().to_vec())).collect();
        assert_eq!(found, expected, "prefix {prefix:?}");
    }
    let all = f.source().entries("").await.expect("states succeeds");
    let mut sorted = keys;
    sorted.sort_unstable();
    assert_eq!(all.iter().map(|(entry, _)| entry.as_str()).collect::<Vec<_>>(), sorted);
}

pub(crate) async fn keys_are_bytes(f: Fixture) {
    let keys = ["cursor", "Cursor", "cursor ", "cursór", "curso\u{301}r"];
    write(&f, keys.iter().map(|entry| set(entry, entry.as_bytes())).collect()).await;
    for entry in keys {
        assert_eq!(f.state(entry).await.as_deref(), Some(entry.as_bytes()));
    }
    write(&f, vec![StateWrite::set("CURSOR", None)]).await;
    assert_eq!(f.source().entries("").await.expect("states succeeds").len(), keys.len());
}

pub(crate) async fn keys_have_a_length_limit(f: Fixture) {
    let longest = "k".repeat(MAX_STATE_KEY_BYTES);
    write(&f, vec![set(&longest, b"1")]).await;
    assert_eq!(f.state(&longest).await.as_deref(), Some(&b"1"[..]));
    for bad in [String::new(), format!("{longest}k")] {
        let record = f.customer("c-1", "Anna Berg");
        let commit = Commit { state: vec![set(&bad, b"1")], ..f.push(vec![put(&record)]) };
        assert_eq!(f.refused(commit).await.kind(), ErrorKind::InvalidInput);
        assert_eq!(f.get(&record.key).await, None);
    }
}

pub(crate) async fn values_may_be_large(f: Fixture) {
    let value: Vec<_> = (0..600_000_u32).flat_map(|n| n.to_le_bytes().into_iter().take(1)).collect();
    write(&f, vec![set("quarantine/1", &value)]).await;
    assert!(f.state("quarantine/1").await == Some(value));
}
