//! The derive macro writes paths into this crate: no program needs `fastsync-core` beside it.

use fastsync::{FieldKind, ObjectId, SyncableObject, Value};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Done,
}

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "tasks", version = 2)]
struct Task {
    #[syncable(id)]
    id: String,
    title: String,
    #[syncable(text)]
    state: State,
    #[syncable(json)]
    tags: Option<Vec<String>>,
    #[syncable(default = 1)]
    priority: i64,
    #[syncable(skip)]
    selected: bool,
}

/// The path of the crate may be any other that leads to it.
#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(crate = "renamed::sync")]
struct Renamed {
    #[syncable(id)]
    id: ObjectId,
    note: Option<String>,
}

mod renamed {
    pub(super) use fastsync as sync;
}

#[test]
fn a_type_is_written_and_read_through_the_facade() -> fastsync::Result<()> {
    let task = Task {
        id: "t-1".into(),
        title: "bread".into(),
        state: State::Open,
        tags: Some(vec!["food".into()]),
        priority: 3,
        selected: false,
    };
    let body = task.to_body()?;
    assert_eq!(body.get(1), Some(&Value::Text("open".into())));
    assert_eq!(Task::from_body(&task.id()?, body)?, task);
    let schema = Task::schema()?;
    assert_eq!((schema.version(), schema.fields().len()), (2, 4));
    assert!(Task::TITLE.equal("bread").is_ok());
    Ok(())
}

#[test]
fn the_crate_may_have_another_name() -> fastsync::Result<()> {
    let schema = Renamed::schema()?;
    assert_eq!(schema.fields().first().map(|field| field.kind), Some(FieldKind::Text));
    Ok(())
}
