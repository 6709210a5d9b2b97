//! Foreign keys and triggers that change rows of types by themselves are refused by name; all others stay.

use crate::common::*;
use fastsync_core::source::Preparation;
use fastsync_core::*;

const PARENTS: &str = "CREATE TABLE parents (id TEXT PRIMARY KEY);";
const CHILDREN: &str =
    "CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents(id));";

/// What [`SyncableDataSource::prepare`] and `plan` say of these tables; both refuse, or neither does.
async fn refusal(tables: &str) -> Option<String> {
    let fixture = Fixture::new();
    fixture.sql().execute_batch(tables).unwrap();
    let source = open(&fixture.path());
    let planned = source.plan(&family()).await.err();
    let refused = source.prepare(&family(), Preparation::Apply).await.err();
    assert_eq!(planned.as_ref().map(Error::message), refused.as_ref().map(Error::message));
    let refused = refused?;
    assert_eq!(refused.kind(), ErrorKind::Config);
    Some(refused.message().to_owned())
}

/// Fails if rows of a type can go or change without a commit: no client would hear of it, and an edit of such an object would
/// wait for ever.
#[tokio::test]
async fn what_changes_rows_of_types_by_itself_is_refused_by_name() {
    let own = "CREATE TABLE own (id TEXT PRIMARY KEY);";
    let referring =
        |rule: &str| CHILDREN.replace("REFERENCES parents(id)", &format!("REFERENCES parents(id) {rule}"));
    let refused = [
        (
            format!("{PARENTS}{}", referring("ON DELETE CASCADE")),
            "foreign key to parents has ON DELETE CASCADE",
        ),
        (format!("{PARENTS}{}", referring("ON DELETE SET NULL")), "has ON DELETE SET NULL"),
        (format!("{PARENTS}{}", referring("ON UPDATE CASCADE")), "has ON UPDATE CASCADE"),
        (format!("{PARENTS}{}", referring("ON DELETE SET DEFAULT")), "has ON DELETE SET DEFAULT"),
        (
            format!("{own}{PARENTS}{}", CHILDREN.replace("parents(id)", "own(id) ON DELETE CASCADE")),
            "table children: the foreign key to own has ON DELETE CASCADE",
        ),
        (
            format!(
                "{PARENTS}{CHILDREN}CREATE TRIGGER sweep AFTER DELETE ON parents BEGIN \
                 DELETE FROM Children WHERE parent = old.id; END"
            ),
            "table children: the trigger \"sweep\" on \"parents\" writes to it",
        ),
        (
            format!(
                "{own}{PARENTS}{CHILDREN}CREATE TRIGGER \"BEGIN me\" AFTER INSERT ON own BEGIN \
                 INSERT INTO parents VALUES (new.id); END"
            ),
            "table parents: the trigger \"BEGIN me\" on \"own\" writes to it",
        ),
    ];
    for (tables, expected) in refused {
        let message = refusal(&tables).await.expect(expected);
        assert!(message.contains(expected), "{message}");
    }
}

/// Fails if what is no danger is refused.
#[tokio::test]
async fn what_changes_other_tables_or_only_looks_stays() {
    let tables = format!(
        "{PARENTS}{CHILDREN}
         CREATE TABLE own (id TEXT PRIMARY KEY, parent TEXT REFERENCES parents(id) ON DELETE CASCADE);
         CREATE TRIGGER \"update children\" AFTER UPDATE OF parent ON children BEGIN
             UPDATE own SET parent = new.parent WHERE id IN (SELECT id FROM children); END;
         CREATE TRIGGER looks BEFORE DELETE ON parents WHEN EXISTS (SELECT 1 FROM children) BEGIN
             SELECT RAISE(ABORT, 'DELETE FROM children first'); END;"
    );
    assert_eq!(refusal(&tables).await, None);
}

/// Fails if such a rule is found when a table is adopted and never again.
#[tokio::test]
async fn a_rule_that_comes_later_is_refused_too() {
    let fixture = Fixture::new();
    fixture.sql().execute_batch(&format!("{PARENTS}{CHILDREN}")).unwrap();
    open(&fixture.path()).prepare(&family(), Preparation::Apply).await.unwrap();
    let later = "CREATE TRIGGER sweep AFTER DELETE ON parents BEGIN DELETE FROM children; END";
    fixture.sql().execute_batch(later).unwrap();
    // Also where the type whose rows would go is not prepared this time.
    let [parents, children] = family();
    for types in [vec![parents.clone(), children], vec![parents]] {
        let error = open(&fixture.path()).prepare(&types, Preparation::Apply).await.unwrap_err();
        assert!(error.message().contains("sweep"), "{error}");
    }
}
