//! A whole server over tables of its own with constraints: what they refuse reaches the device as a refusal
//! of that object, and everything else goes on.

use std::sync::Arc;

use crate::common::*;
use fastsync_core::protocol::PushMode;
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) person: String,
}

macro_rules! object_of_one_text {
    ($object:ident, $table:literal, $field:ident, $priority:literal) => {
        impl SyncableObject for $object {
            fn schema() -> Result<TypeSchema> {
                let builder = TypeSchema::builder($table, "id").field(stringify!($field), FieldKind::Text);
                builder.priority($priority).build()
            }
            fn id(&self) -> Result<ObjectId> {
                ObjectId::new(&self.id)
            }
            fn to_body(&self) -> Result<Vec<Value>> {
                Ok(vec![self.$field.as_str().into()])
            }
            fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
                let [Value::Text($field)] = <[Value; 1]>::try_from(body).unwrap() else { panic!("not text") };
                Ok(Self { id: id.as_str().to_owned(), $field })
            }
        }
    };
}

object_of_one_text!(Person, "people", email, 1);
object_of_one_text!(Order, "orders", person, 2);

pub(crate) fn person(id: &str, email: &str) -> Person {
    Person { id: id.into(), email: email.into() }
}

pub(crate) fn order(id: &str, person: &str) -> Order {
    Order { id: id.into(), person: person.into() }
}

/// What a conflict of two people becomes: the email of both, joined; so it may clash with a third one's.
fn joined(conflict: ObjectConflict<Person>) -> Result<Resolution<Person>> {
    let (Some(server), Some(client)) = (conflict.server.object, conflict.client.object) else {
        return Ok(Resolution::Client);
    };
    Ok(Resolution::Merged(person(&server.id, &format!("{}{}", server.email, client.email))))
}

pub(crate) struct End<Side> {
    pub(crate) sync: SyncManager<Side>,
    pub(crate) people: Repository<Person>,
    pub(crate) orders: Repository<Order>,
}

impl<Side: Send + Sync> End<Side> {
    pub(crate) async fn ids(&self) -> (Vec<String>, Vec<String>) {
        let people = self.people.get_all().await.unwrap().into_iter().map(|person| person.id).collect();
        (people, self.orders.get_all().await.unwrap().into_iter().map(|order| order.id).collect())
    }
}

/// Tables that users made: no email twice, and no order of nobody.
pub(crate) const TABLES: &str = "
    CREATE TABLE people (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE);
    CREATE TABLE orders (id TEXT PRIMARY KEY, person TEXT NOT NULL REFERENCES people(id));";

/// A server over such tables.
async fn server(fixture: &Fixture) -> End<Server> {
    server_over(fixture, TABLES).await
}

pub(crate) async fn server_over(fixture: &Fixture, tables: &str) -> End<Server> {
    fixture.sql().execute_batch(tables).unwrap();
    let source: SqliteDataSource = open(&fixture.path());
    let store = Store::server(source).register::<Person>().register::<Order>().open().await.unwrap();
    let (people, orders) = (Repository::new(&store), Repository::new(&store));
    let sync = SyncManager::server(&store)
        .register(people.clone(), PredefinedRules::new(joined))
        .register(orders.clone(), LastWriterWins)
        .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global))
        .build()
        .await
        .unwrap();
    End { sync, people, orders }
}

/// A device whose own storage has no constraints.
async fn device(server: &End<Server>, user: &str, mode: PushMode) -> End<Client> {
    device_on(Arc::new(MemoryDataSource::new()), server, user, mode).await
}

pub(crate) async fn device_on(
    source: Arc<dyn SyncableDataSource>,
    server: &End<Server>,
    user: &str,
    mode: PushMode,
) -> End<Client> {
    let store = Store::client(source).register::<Person>().register::<Order>().open().await.unwrap();
    let (people, orders) = (Repository::new(&store), Repository::new(&store));
    let sync = SyncManager::client(&store)
        .register(people.clone(), LastWriterWins)
        .register(orders.clone(), LastWriterWins)
        .transport(LoopbackTransport::new(server.sync.clone(), SyncContext::new(user)))
        .push_mode(mode)
        .build()
        .unwrap();
    End { sync, people, orders }
}

/// The ids and codes of what was refused.
async fn refused(device: &End<Client>) -> Vec<(String, String)> {
    let refused = device.sync.rejected().await.unwrap();
    refused.into_iter().map(|edit| (edit.key.id.as_str().to_owned(), edit.code)).collect()
}

fn constraint(id: &str) -> Vec<(String, String)> {
    vec![(id.to_owned(), "constraint".to_owned())]
}

fn named<const N: usize>(ids: [&str; N]) -> Vec<String> {
    ids.map(str::to_owned).into()
}

/// Fails if a refusal of the database is taken for a conflict of versions, for a failure of the whole push,
/// or for nothing.
#[tokio::test]
async fn what_a_unique_column_refuses_is_refused_and_the_rest_is_stored() {
    for mode in [PushMode::PerObject, PushMode::Atomic] {
        let fixture = Fixture::new();
        let server = server(&fixture).await;
        let a = device(&server, "ada", mode).await;
        let b = device(&server, "bob", mode).await;
        a.people.add(&person("a", "one@x")).await.unwrap();
        a.sync.sync().await.unwrap();

        b.people.add(&person("b", "one@x")).await.unwrap();
        b.people.add(&person("c", "three@x")).await.unwrap();
        let report = b.sync.sync().await.unwrap();
        assert_eq!(report.push.rejected, 1, "{mode:?}");
        assert_eq!(refused(&b).await, constraint("b"), "{mode:?}");
        let edit = b.sync.rejected().await.unwrap().remove(0);
        assert!(edit.message.contains("UNIQUE") && edit.server.is_none(), "{mode:?}: {edit:?}");
        b.sync.sync().await.unwrap();
        assert_eq!(server.ids().await.0, ["a", "c"], "{mode:?}");
        assert_eq!(
            server.people.find_by_id(&ObjectId::new("a").unwrap()).await.unwrap().unwrap().email,
            "one@x"
        );

        // Corrected, it goes through, and everyone has it.
        b.people.update(&person("b", "two@x")).await.unwrap();
        b.sync.sync().await.unwrap();
        a.sync.sync().await.unwrap();
        assert_eq!(refused(&b).await, [], "{mode:?}");
        for ids in [server.ids().await, a.ids().await, b.ids().await] {
            assert_eq!(ids.0, ["a", "b", "c"], "{mode:?}");
        }
    }
}

/// Fails if the order of a missing person is stored, or a person is deleted who has orders; or if both are
/// refused that come together.
#[tokio::test]
async fn what_a_foreign_key_refuses_is_refused() {
    let fixture = Fixture::new();
    let server = server(&fixture).await;
    let a = device(&server, "ada", PushMode::PerObject).await;
    let b = device(&server, "bob", PushMode::PerObject).await;
    // Together, whatever was written first.
    a.orders.add(&order("o", "a")).await.unwrap();
    a.people.add(&person("a", "one@x")).await.unwrap();
    a.orders.add(&order("lost", "nobody")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    assert_eq!(refused(&a).await, constraint("lost"));
    assert_eq!(server.ids().await, (named(["a"]), named(["o"])));
    assert_eq!(b.ids().await, (named(["a"]), named(["o"])));

    let one = ObjectId::new("a").unwrap();
    b.people.remove(&one).await.unwrap();
    b.sync.sync().await.unwrap();
    assert_eq!(refused(&b).await, constraint("a"));
    assert_eq!(server.ids().await.0, ["a"]);
    let edits = b.sync.rejected().await.unwrap();
    b.sync.retry_rejected(&edits).await.unwrap();
    b.orders.remove(&ObjectId::new("o").unwrap()).await.unwrap();
    b.sync.sync().await.unwrap();
    assert_eq!(refused(&b).await, []);
    assert_eq!(server.ids().await, (vec![], vec![]));
}

/// Fails if what a handler makes of two versions is stored past a constraint, or if its refusal is asked of
/// it for ever.
#[tokio::test]
async fn what_a_handler_makes_is_refused_by_a_constraint_too() {
    let fixture = Fixture::new();
    let server = server(&fixture).await;
    let a = device(&server, "ada", PushMode::PerObject).await;
    let b = device(&server, "bob", PushMode::PerObject).await;
    for new in [person("p", "x"), person("taken", "yz")] {
        a.people.add(&new).await.unwrap();
    }
    a.sync.sync().await.unwrap();
    b.sync.sync().await.unwrap();
    a.people.update(&person("p", "y")).await.unwrap();
    a.sync.sync().await.unwrap();
    b.people.update(&person("p", "z")).await.unwrap();
    b.people.add(&person("fine", "f")).await.unwrap();
    let report = b.sync.push().await.unwrap();
    assert_eq!((report.rejected, report.applied), (1, 1), "{report:?}");
    assert_eq!(refused(&b).await, constraint("p"));
    let stored = server.people.find_by_id(&ObjectId::new("p").unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.email, "y", "as it was");
}
