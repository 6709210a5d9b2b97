//! One release of an application: its type, behind an interface that the cases share.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use fastsync_core::*;

/// An object of either release.
#[derive(Clone, PartialEq)]
pub(super) struct Item {
    pub(super) id: ObjectId,
    pub(super) body: Vec<Value>,
}

/// Shows the values too: they are samples, and a report without them helps nobody.
impl Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.body.iter().map(|value| match value {
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => value.to_string(),
            Value::Decimal(value) => value.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::Json(text) => text.clone(),
            Value::Bytes(bytes) => format!("{bytes:?}"),
            Value::Null => "null".to_owned(),
        });
        write!(f, "{} ({})", self.id, shown.collect::<Vec<_>>().join(", "))
    }
}

/// How a device reaches a server that is started.
pub(super) type Link = Arc<dyn Transport>;

/// A server with what is stored on it.
pub(super) struct ServerEnd {
    pub(super) manager: SyncManager<Server>,
    pub(super) objects: Box<dyn Objects>,
}

/// A device with what is stored on it.
pub(super) struct DeviceEnd {
    pub(super) manager: SyncManager<Client>,
    pub(super) objects: Box<dyn Objects>,
}

/// Behind one type, so that the cases are compiled once and not for each pair of types.
#[async_trait]
pub(super) trait Release: Send + Sync {
    fn schema(&self) -> &TypeSchema;
    fn sample(&self, n: u64) -> Result<Item>;
    /// The item as the type gives it back.
    fn read(&self, item: Item) -> Result<Item>;
    /// What the migration to this release makes of an item that has its fields already, with the values of the fields that
    /// the type had.
    fn migrated(&self, item: Item, former: Vec<(FieldName, Value)>) -> Result<Item>;
    /// Opens a store without anything to exchange.
    async fn open(&self, source: Arc<dyn SyncableDataSource>, role: StoreRole) -> Result<Box<dyn Objects>>;
    async fn serve(&self, source: Arc<dyn SyncableDataSource>) -> Result<ServerEnd>;
    async fn device(&self, source: Arc<dyn SyncableDataSource>, link: Link) -> Result<DeviceEnd>;
}

/// What is stored at one end.
#[async_trait]
pub(super) trait Objects: Send + Sync {
    async fn put(&self, item: &Item) -> Result<()>;
    async fn remove(&self, id: &ObjectId) -> Result<()>;
    /// All of them, by id.
    async fn all(&self) -> Result<Vec<Item>>;
}

pub(super) type Sample<T> = Box<dyn Fn(u64) -> T + Send + Sync>;

/// A release that is known by its type.
pub(super) struct Typed<T> {
    schema: TypeSchema,
    sample: Option<Sample<T>>,
    migration: Option<Migration>,
}

impl<T: SyncableObject> Typed<T> {
    pub(super) fn new(sample: Option<Sample<T>>, migration: Option<Migration>) -> Result<Self> {
        Ok(Self { schema: T::schema()?, sample, migration })
    }

    async fn open_store(&self, builder: StoreBuilder) -> Result<Store> {
        let builder = builder.register::<T>();
        match &self.migration {
            Some(migration) => builder.migrate::<T>(migration.clone()).open().await,
            None => builder.open().await,
        }
    }

    fn repository(&self, store: &Store) -> Known<T> {
        Known { store: store.clone(), zone: self.zone(), object: PhantomData }
    }

    fn zone(&self) -> Zone {
        match self.schema.restriction() {
            ZoneRestriction::Global => Zone::Global,
            ZoneRestriction::Restricted => team(),
        }
    }
}

/// The objects of a type, which may be global or restricted.
struct Known<T> {
    store: Store,
    zone: Zone,
    object: PhantomData<fn() -> T>,
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), zone: self.zone.clone(), object: PhantomData }
    }
}

impl<T: SyncableObject> SyncableRepository for Known<T> {
    type Object = T;

    fn store(&self) -> &Store {
        &self.store
    }

    fn zone(&self) -> Zone {
        self.zone.clone()
    }
}

#[allow(clippy::expect_used, reason = "the name is well formed")]
fn team() -> Zone {
    Zone::restricted("team").expect("a zone")
}

fn item<T: SyncableObject>(object: &T) -> Result<Item> {
    Ok(Item { id: object.id()?, body: object.to_body()? })
}

#[async_trait]
impl<T: SyncableObject> Release for Typed<T> {
    fn schema(&self) -> &TypeSchema {
        &self.schema
    }

    fn sample(&self, n: u64) -> Result<Item> {
        match &self.sample {
            Some(sample) => item(&sample(n)),
            None => super::sample::sample(&self.schema, n),
        }
        .and_then(|item| self.read(item))
    }

    fn read(&self, mut sample: Item) -> Result<Item> {
        self.schema.admit_id(&sample.id)?;
        self.schema.admit(&mut sample.body)?;
        let mut read = item(&T::from_body(&sample.id, sample.body)?)?;
        self.schema.admit(&mut read.body)?;
        Ok(read)
    }

    fn migrated(&self, there: Item, former: Vec<(FieldName, Value)>) -> Result<Item> {
        let Some(migration) = &self.migration else { return Ok(there) };
        let names = self.schema.fields().iter().map(|field| field.name.as_str());
        let had = |name: &FieldName| migration.had_fields().any(|had| had == name.as_str());
        let former = former.iter().filter(|(name, _)| had(name));
        let former = former.map(|(name, value)| (name.as_str(), value.clone()));
        let values = names.zip(there.body).chain(former);
        item(&migration.try_on::<T>(&there.id, values)?).and_then(|item| self.read(item))
    }

    async fn open(&self, source: Arc<dyn SyncableDataSource>, role: StoreRole) -> Result<Box<dyn Objects>> {
        let builder = match role {
            StoreRole::Server => Store::server(source),
            _ => Store::client(source),
        };
        Ok(Box::new(self.repository(&self.open_store(builder).await?)))
    }

    async fn serve(&self, source: Arc<dyn SyncableDataSource>) -> Result<ServerEnd> {
        let store = self.open_store(Store::server(source)).await?;
        let objects = self.repository(&store);
        let manager = SyncManager::server(&store)
            .register(objects.clone(), LastWriterWins)
            .zones(|_: &SyncContext| ZoneAccess::none().read_write(Zone::Global).read_write(team()))
            .build()
            .await?;
        Ok(ServerEnd { manager, objects: Box::new(objects) })
    }

    async fn device(&self, source: Arc<dyn SyncableDataSource>, link: Link) -> Result<DeviceEnd> {
        let store = self.open_store(Store::client(source)).await?;
        let objects = self.repository(&store);
        let manager =
            SyncManager::client(&store).register(objects.clone(), LastWriterWins).transport(link).build()?;
        Ok(DeviceEnd { manager, objects: Box::new(objects) })
    }
}

#[async_trait]
impl<T: SyncableObject> Objects for Known<T> {
    async fn put(&self, item: &Item) -> Result<()> {
        let object = T::from_body(&item.id, item.body.clone())?;
        match self.find_by_id(&item.id).await? {
            Some(_) => self.update(&object).await,
            None => self.add(&object).await,
        }
    }

    async fn remove(&self, id: &ObjectId) -> Result<()> {
        SyncableRepositoryExt::remove(self, id).await.map(drop)
    }

    async fn all(&self) -> Result<Vec<Item>> {
        let mut items = self.get_all().await?.iter().map(item).collect::<Result<Vec<_>>>()?;
        items.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(items)
    }
}
