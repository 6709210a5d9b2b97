//! Objects one after the other: pages that go on behind an object, in SQL.

use std::sync::{Arc, Mutex};

use fastsync_core::source::{Found, Layer};
use fastsync_core::*;
use fastsync_dao_sqlite::SqliteDataSource;
use futures_util::TryStreamExt as _;

use crate::common::{Fixture, open};

const MANY: u32 = 25_000;
const PAGE: usize = 1_000;

#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: String,
    rank: Option<i64>,
    share: f64,
    flag: bool,
    name: String,
}

impl SyncableObject for Row {
    const ZONES: Option<ZoneRestriction> = Some(ZoneRestriction::Global);

    fn schema() -> Result<TypeSchema> {
        TypeSchema::builder("rows", "id")
            .nullable_field("rank", FieldKind::Integer)
            .field("share", FieldKind::Real)
            .field("flag", FieldKind::Boolean)
            .field("name", FieldKind::Text)
            .build()
    }
    fn id(&self) -> Result<ObjectId> {
        ObjectId::new(&self.id)
    }
    fn to_body(&self) -> Result<Vec<Value>> {
        Ok(vec![
            self.rank.map_or(Value::Null, Value::Integer),
            self.share.into(),
            self.flag.into(),
            self.name.as_str().into(),
        ])
    }
    fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
        let [rank, share, flag, name] = <[Value; 4]>::try_from(body).unwrap();
        let id = id.as_str().to_owned();
        Ok(Self {
            id,
            rank: Option::from_value(rank)?,
            share: f64::from_value(share)?,
            flag: bool::from_value(flag)?,
            name: String::from_value(name)?,
        })
    }
}

fn row(n: u32) -> Row {
    Row {
        id: format!("{}-{n}", ["a", "A", "é"][n as usize % 3]),
        rank: (!n.is_multiple_of(5)).then_some(i64::from(n % 7) - 3),
        share: f64::from(n % 3) / 3.0,
        flag: n.is_multiple_of(2),
        name: format!("{}", n % 11),
    }
}

/// Keeps how much each query found.
#[derive(Debug, Clone)]
struct Counting {
    inner: SqliteDataSource,
    pages: Arc<Mutex<Vec<usize>>>,
}

impl Layer for Counting {
    type Inner = SqliteDataSource;

    fn inner(&self) -> &SqliteDataSource {
        &self.inner
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let found = SyncableDataSource::find(&self.inner, query).await?;
        self.pages.lock().unwrap().push(found.records.len());
        Ok(found)
    }
}

async fn rows(fixture: &Fixture, count: u32) -> (Counting, Repository<Row>) {
    let source = Counting { inner: open(&fixture.path()), pages: Arc::default() };
    let store = Store::server(source.clone()).register::<Row>().open().await.unwrap();
    let rows = Repository::new(&store);
    rows.add_many(&(0..count).map(row).collect::<Vec<_>>()).await.unwrap();
    (source, rows)
}

/// Fails if an object is passed over or comes twice, or if more than a page is read at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_objects_come_each_once_in_bounded_pages() {
    let fixture = Fixture::new();
    let (source, rows) = rows(&fixture, MANY).await;
    let mut ids = Vec::new();
    let mut stream = rows.stream(Selection::all());
    while let Some(row) = stream.try_next().await.unwrap() {
        ids.push(row.id);
    }
    assert_eq!(ids.len(), MANY as usize);
    assert!(ids.is_sorted_by(|a, b| a < b), "each once, by the bytes of the id");
    let pages = source.pages.lock().unwrap();
    assert!(pages.iter().all(|found| *found <= PAGE));
    assert!(pages.len() <= MANY as usize / PAGE + 1, "{} pages", pages.len());
}

/// Fails if SQLite goes on elsewhere than where it stopped: at ties, at null, in descending order.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_the_order_of_the_query() {
    let fixture = Fixture::new();
    let (_, rows) = rows(&fixture, 2_300).await;
    let by = |fields: &[(&str, bool)]| {
        fields.iter().fold(Selection::all(), |selection, (field, descending)| {
            if *descending { selection.order_by_descending(field) } else { selection.order_by(field) }
                .unwrap()
        })
    };
    for selection in [
        by(&[]),
        by(&[("rank", false)]),
        by(&[("rank", true)]),
        by(&[("flag", true), ("share", false)]),
        by(&[("name", true), ("rank", true)]),
        by(&[("share", false), ("id", true)]),
        by(&[("rank", false)]).offset(7).limit(2_100),
    ] {
        let expected = rows.query(selection.clone()).await.unwrap();
        let streamed: Vec<_> = rows.stream(selection.clone()).try_collect().await.unwrap();
        assert!(streamed == expected, "{selection:?}");
    }
}
