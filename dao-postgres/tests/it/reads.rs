//! Reads of several statements see one state.

use std::pin::Pin;

use crate::common::*;
use fastsync_core::source::*;
use fastsync_core::*;
use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::{AssertSqlSafe, raw_sql};

type Reading = Pin<Box<dyn Future<Output = Vec<Record>> + Send>>;

/// A read has begun and waits for a table, which is changed meanwhile. Fails if its statements see a state
/// each, or read without a transaction.
#[tokio::test]
async fn a_read_sees_the_state_in_which_it_began() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    let keys: Vec<_> = (0..600).map(|n| format!("i{n:03}")).collect();
    let edit = |key: &String| Write {
        action: Action::Put { record: item(key, "0"), pending: true },
        ..put(item(key, ""))
    };
    apply(&source, keys.iter().map(edit).collect()).await;
    // More than one statement asks for.
    let wanted: Vec<_> =
        keys.iter().map(|key| id(key)).chain((0..600).map(|n| id(&format!("x{n}")))).collect();
    let readings: [fn(PostgresDataSource, Vec<ObjectId>) -> Reading; 3] = [
        |source, ids| Box::pin(async move { source.get(&name("items"), &Zone::Global, &ids).await.unwrap() }),
        |source, _| Box::pin(async move { source.pending_after(0, 1_000).await.unwrap() }),
        |source, _| Box::pin(async move { page(&source, &request(&Zone::Global)).await.records }),
    ];
    let mut stranger = database.stranger().await;
    for (round, reading) in readings.into_iter().enumerate() {
        raw_sql("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").execute(&mut stranger).await.unwrap();
        let reading = tokio::spawn(reading(source.clone(), wanted.clone()));
        database.until_waits("SELECT%\"items\"%").await;
        let later = format!("UPDATE items SET name = '{}'; COMMIT", round + 1);
        raw_sql(AssertSqlSafe(later)).execute(&mut stranger).await.unwrap();
        let found = soon(reading).await.unwrap();
        assert_eq!(names(&found), vec![round.to_string().as_str(); 600], "of reading {round}");
    }
}
