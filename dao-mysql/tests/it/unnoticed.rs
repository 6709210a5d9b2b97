//! Foreign keys and triggers that change rows of types by themselves are refused by name; all others stay.

use crate::common::*;
use fastsync_core::source::Preparation;
use fastsync_core::*;

fn family() -> Vec<TypeSchema> {
    vec![
        TypeSchema::builder("parents", "id").priority(1).build().unwrap(),
        TypeSchema::builder("children", "id").field("parent", FieldKind::Text).priority(2).build().unwrap(),
    ]
}

/// A database with the tables of the family, a table of the user's own, and these statements run after them.
async fn refusal(statements: &[&str]) -> Option<Option<String>> {
    let database = database()?;
    open(&database).await.prepare(&family(), Preparation::Apply).await.unwrap();
    let exact = exact(&database).await;
    let text = format!("VARCHAR(255) CHARACTER SET utf8mb4 COLLATE {exact}");
    database
        .sql(format!(
            "ALTER TABLE children MODIFY parent {text} NOT NULL;
             CREATE TABLE own (id {text} PRIMARY KEY, parent {text}) ENGINE = InnoDB"
        ))
        .await;
    for statement in statements {
        database.sql((*statement).to_owned()).await;
    }
    let source = open(&database).await;
    let planned = source.plan(&family()).await.err();
    let refused = source.prepare(&family(), Preparation::Apply).await.err();
    assert_eq!(planned.as_ref().map(Error::message), refused.as_ref().map(Error::message));
    assert!(refused.as_ref().is_none_or(|error| error.kind() == ErrorKind::Config));
    Some(refused.map(|error| error.message().to_owned()))
}

/// Fails if rows of a type can go or change without a commit: no client would hear of it.
#[tokio::test]
async fn what_changes_rows_of_types_by_itself_is_refused_by_name() {
    let cases = [
        (
            "ALTER TABLE children ADD CONSTRAINT kin FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE",
            "table children: the foreign key kin to parents has ON DELETE CASCADE",
        ),
        (
            "ALTER TABLE children ADD CONSTRAINT kin FOREIGN KEY (parent) REFERENCES own (id) ON UPDATE CASCADE",
            "table children: the foreign key kin to own has ON UPDATE CASCADE",
        ),
        (
            "CREATE TRIGGER sweep AFTER DELETE ON parents FOR EACH ROW DELETE FROM children WHERE parent = OLD.id",
            "table children: the trigger sweep on parents writes to it",
        ),
        (
            "CREATE TRIGGER more AFTER INSERT ON own FOR EACH ROW INSERT INTO parents (id) VALUES (NEW.id)",
            "table parents: the trigger more on own writes to it",
        ),
        (
            "CREATE TRIGGER tidy BEFORE INSERT ON children FOR EACH ROW SET NEW.parent = TRIM(NEW.parent)",
            "table children: the trigger tidy changes values as they are written",
        ),
    ];
    for (statement, expected) in cases {
        let Some(refused) = refusal(&[statement]).await else { return };
        let message = refused.expect(expected);
        assert!(message.contains(expected), "{message}");
    }
}

/// Fails if what is no danger is refused.
#[tokio::test]
async fn what_changes_other_tables_or_only_looks_stays() {
    let statements = [
        "ALTER TABLE children ADD FOREIGN KEY (parent) REFERENCES parents (id)",
        "ALTER TABLE own ADD FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE",
        "CREATE TRIGGER noted AFTER UPDATE ON children FOR EACH ROW INSERT INTO own (id) VALUES (NEW.id)",
        "CREATE TRIGGER tidied BEFORE INSERT ON own FOR EACH ROW SET NEW.parent = NULL",
    ];
    let Some(refused) = refusal(&statements).await else { return };
    assert_eq!(refused, None);
}
