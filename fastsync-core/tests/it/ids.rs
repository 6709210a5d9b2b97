//! Operations by the id as the type has it.

use fastsync_core::*;
use uuid::Uuid;

/// An id of the application's own: a country and a number.
#[derive(Debug, Clone, PartialEq)]
struct Plate(String, u16);

impl IdValue for Plate {
    fn to_object_id(&self) -> Result<ObjectId> {
        ObjectId::new(format!("{}-{}", self.0, self.1))
    }
    fn from_object_id(id: &ObjectId) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::InvalidInput, "decode", "an id is not a plate");
        let (country, number) = id.as_str().split_once('-').ok_or_else(wrong)?;
        Ok(Self(country.to_owned(), number.parse().map_err(|_| wrong())?))
    }
}

macro_rules! of_id {
    ($($object:ident: $id:ty),*) => {$(
        #[derive(Debug, Clone, PartialEq, SyncableObject)]
        struct $object {
            #[syncable(id)]
            key: $id,
            text: String,
        }
    )*};
}

of_id!(ByText: String, ByUuid: Uuid, ByNumber: i64, ByObjectId: ObjectId, ByPlate: Plate);

async fn store() -> Store {
    let builder = Store::client(MemoryDataSource::new()).register::<ByText>().register::<ByUuid>();
    let builder = builder.register::<ByNumber>().register::<ByObjectId>().register::<ByPlate>();
    builder.open().await.unwrap()
}

/// Fails if an operation does not take the id as the field has it, or an `ObjectId` as before.
#[tokio::test]
async fn every_operation_takes_the_types_own_id() {
    macro_rules! check {
        ($store:expr, $object:ident, $key:expr) => {
            let objects = Repository::<$object>::new(&$store);
            let object = $object { key: $key, text: "a".into() };
            let id = object.id().unwrap();
            objects.add(&object).await.unwrap();
            assert_eq!(objects.find_by_id(&object.key).await.unwrap(), Some(object.clone()));
            assert_eq!(objects.find_by_id(&id).await.unwrap(), Some(object.clone()));
            assert_eq!(objects.find_by_id(id.as_str()).await.unwrap(), Some(object.clone()));
            let change = |object: &mut $object| object.text = "b".into();
            assert!(objects.modify(&object.key, change).await.unwrap().is_some());
            let mut edit = $store.edit();
            assert!(objects.stage_modify(&mut edit, &object.key, change).await.unwrap().is_some());
            assert!(
                objects.stage_remove(&mut edit, &object.key).is_err(),
                "one session edits an object once"
            );
            assert!(objects.remove(&object.key).await.unwrap());
            assert_eq!(objects.remove_many(std::slice::from_ref(&object.key)).await.unwrap(), 0);
            assert_eq!(objects.remove_many(&[id.as_str()]).await.unwrap(), 0);
            assert_eq!(objects.remove_many(&[id]).await.unwrap(), 0);
        };
    }
    let store = store().await;
    check!(store, ByText, "t-1".into());
    check!(store, ByUuid, Uuid::from_u128(7));
    check!(store, ByNumber, -7);
    check!(store, ByObjectId, ObjectId::new("o-1").unwrap());
    check!(store, ByPlate, Plate("ZH".into(), 12));
}

/// Fails if an id that the type cannot have looks like an object that is not there.
#[tokio::test]
async fn what_cannot_be_an_id_is_refused_with_the_field() {
    let store = store().await;
    let refused = |error: Error, field: &str| {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(field), "{error}");
    };
    let texts = Repository::<ByText>::new(&store);
    refused(texts.find_by_id("").await.unwrap_err(), "ByText.key");
    refused(texts.remove(&"x".repeat(256)).await.unwrap_err(), "ByText.key");
    let uuids = Repository::<ByUuid>::new(&store);
    let error = uuids.find_by_id("seven").await.unwrap_err();
    assert!(error.to_string().contains("[id: seven]"), "{error}");
    refused(error, "ByUuid.key");
    refused(uuids.modify(&7, |_: &mut ByUuid| ()).await.unwrap_err(), "ByUuid.key");
    let numbers = Repository::<ByNumber>::new(&store);
    refused(numbers.find_by_id(&ObjectId::new("07").unwrap()).await.unwrap_err(), "ByNumber.key");
    refused(numbers.remove_many(&["7", "x"]).await.unwrap_err(), "ByNumber.key");
    refused(numbers.stage_remove(&mut store.edit(), &Uuid::nil()).unwrap_err(), "ByNumber.key");
}

/// Fails if a repository behind a pointer lacks the operations.
#[tokio::test]
async fn a_repository_of_any_sort_has_the_operations() {
    let store = store().await;
    let objects: Box<dyn SyncableRepository<Object = ByText>> = Box::new(Repository::<ByText>::new(&store));
    objects.add(&ByText { key: "a".into(), text: String::new() }).await.unwrap();
    assert!(objects.modify("a", |object| object.text.push('x')).await.unwrap().is_some());
    assert_eq!(objects.count(Selection::all()).await.unwrap(), 1);
}
