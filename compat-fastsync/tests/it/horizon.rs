//! What is remembered of pushes is forgotten after a while.

use std::time::Duration;

use crate::support::old_client::*;
use crate::support::*;
use fastsync_compat::CompatLimits;
use fastsync_core::source::StateWrite;
use fastsync_core::*;

const DAY: u64 = 24 * 3_600;

async fn entries(world: &World) -> Vec<String> {
    let entries = world.store.source().entries("fastsync-compat/").await.unwrap();
    entries.into_iter().map(|(key, _)| key).filter(|key| !key.ends_with("/periods")).collect()
}

async fn remembering(days: u64) -> World {
    let limits = CompatLimits::default().with_memory(Duration::from_secs(days * DAY));
    world_with(MemoryDataSource::new(), ServerWins, limits).await
}

/// Pushes by another user, so that what is old is removed.
async fn others_push(world: &World, pushes: u64) {
    let mut other = OldClient::new(world, "other@away", Dialect::TypeScript);
    for n in 0..pushes {
        other.add_item("same", &format!("{n}"));
        assert!(other.push().await);
    }
}

/// Fails if entries stay for ever, or go before their time.
#[tokio::test]
async fn what_was_pushed_is_remembered_for_a_period_at_least_and_two_at_most() {
    let world = remembering(30).await;
    let mut ada = OldClient::new(&world, "ada@home", Dialect::TypeScript);
    for n in 0..300 {
        ada.add_item(&format!("{n}"), "x");
    }
    assert!(ada.push().await);
    assert_eq!(entries(&world).await.len(), 300);
    world.clock.advance(29 * DAY);
    others_push(&world, 30).await;
    ada.rename("7", "follows its own");
    assert!(ada.push().await);
    assert_eq!(world.name_of("ada@home", "7").await.as_deref(), Some("follows its own"));
    world.clock.advance(61 * DAY);
    others_push(&world, 100).await;
    assert!(entries(&world).await.len() <= 2, "{:?}", entries(&world).await);
}

/// Entries of an earlier release, which kept them for ever: they are read, and then forgotten too.
#[tokio::test]
async fn what_was_remembered_before_there_were_periods_counts_and_goes() {
    let before = remembering(30).await;
    let mut ada = OldClient::new(&before, "ada@home", Dialect::TypeScript);
    ada.add_item("1", "a");
    ada.add_item("2", "b");
    assert!(ada.push().await);
    let mut old = vec![StateWrite::set("fastsync-compat/periods", None)];
    for key in entries(&before).await {
        let value = before.store.source().entry(&key).await.unwrap();
        let (_, name) = key.rsplit_once('/').unwrap();
        old.push(StateWrite::set(format!("fastsync-compat/pushed/{name}"), value));
        old.push(StateWrite::set(key, None));
    }
    assert!(before.store.write_state(old).await.unwrap());
    // The next release on the same store.
    let world = forgiving(&before);
    ada.world = world.clone();
    ada.rename("1", "follows its own");
    assert!(ada.push().await);
    assert_eq!(world.name_of("ada@home", "1").await.as_deref(), Some("follows its own"));
    world.clock.advance(100 * DAY);
    others_push(&world, 100).await;
    let left = entries(&world).await;
    assert!(left.iter().all(|key| !key.contains("/pushed/")), "{left:?}");
}
