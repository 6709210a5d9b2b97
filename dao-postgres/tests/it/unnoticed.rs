//! Foreign keys and triggers that change rows of types by themselves are refused by name; all others stay.

use crate::common::*;
use fastsync_core::source::Preparation;
use fastsync_core::*;
use fastsync_dao_postgres::PostgresDataSource;
use fastsync_dao_postgres::sqlx::postgres::PgPoolOptions;

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
    let own = "CREATE TABLE own (id text COLLATE \"C\" PRIMARY KEY, parent text COLLATE \"C\")";
    database.sql(own).await;
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
    let trigger = |name: &str, when: &str, body: &str| {
        format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;
             CREATE TRIGGER {name} {when} FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
    };
    let cases = [
        (
            "ALTER TABLE children ADD CONSTRAINT kin FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE"
                .to_owned(),
            "table children: the foreign key kin to parents has ON DELETE CASCADE",
        ),
        (
            "ALTER TABLE children ADD CONSTRAINT kin FOREIGN KEY (parent) REFERENCES own (id) ON UPDATE SET NULL".to_owned(),
            "table children: the foreign key kin to own has ON UPDATE SET NULL",
        ),
        (
            trigger("sweep", "AFTER DELETE ON parents", "DELETE FROM children WHERE parent = OLD.id"),
            "table children: the trigger sweep on parents writes to it",
        ),
        (
            trigger("more", "AFTER INSERT ON own", "INSERT INTO parents (id) VALUES (NEW.id)"),
            "table parents: the trigger more on own writes to it",
        ),
        (
            trigger("tidy", "BEFORE INSERT ON children", "NEW.parent := trim(NEW.parent)"),
            "table children: the trigger tidy changes values as they are written",
        ),
        (
            "ALTER TABLE children SET UNLOGGED".to_owned(),
            "table children is UNLOGGED",
        ),
        (
            "CREATE RULE quiet AS ON DELETE TO children DO INSTEAD NOTHING".to_owned(),
            "table children has rules",
        ),
    ];
    for (statement, expected) in cases {
        let Some(refused) = refusal(&[&statement]).await else { return };
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
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO own (id) VALUES (NEW.id); RETURN NULL; END $$;
         CREATE TRIGGER noted AFTER UPDATE ON children FOR EACH ROW EXECUTE FUNCTION noted()",
        "CREATE FUNCTION tidied() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.parent := NULL; RETURN NEW; END $$;
         CREATE TRIGGER tidied BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION tidied()",
    ];
    let Some(refused) = refusal(&statements).await else { return };
    assert_eq!(refused, None);
}

/// Row-level security hides rows of the role that it is active for. Fails if it is taken, or refused for whom it means nothing.
#[tokio::test]
async fn row_level_security_is_refused_where_it_is_active() {
    let Some(database) = database() else { return };
    let source = open(&database).await;
    source.prepare(&family(), Preparation::Apply).await.unwrap();
    let role = format!("role_of_{}", database.name());
    database
        .sql(format!(
            "CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
             ALTER TABLE children ENABLE ROW LEVEL SECURITY"
        ))
        .await;
    source.prepare(&family(), Preparation::Apply).await.unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(database.options().username(&role));
    let error = PostgresDataSource::new(pool)
        .await
        .unwrap()
        .prepare(&family(), Preparation::Apply)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("table children: row-level security is active"), "{error}");
    database.sql(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

/// A trigger that leaves a row out says nothing. Fails if its write is taken for done.
#[tokio::test]
async fn a_row_that_a_trigger_leaves_out_is_a_conflict() {
    let Some(database) = database() else { return };
    let source = with_items(&database).await;
    database
        .sql(
            "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN IF NEW.name = 'no' THEN RETURN NULL; END IF; RETURN NEW; END $$;
             CREATE TRIGGER quiet BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION quiet()",
        )
        .await;
    let refused = conflicts(&source, vec![put(item("a", "yes")), put(item("b", "no"))]).await;
    assert_eq!(refused.iter().map(|c| c.write.action.key().id.as_str()).collect::<Vec<_>>(), ["b"]);
}
