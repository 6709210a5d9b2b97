//! Objects one after the other, page by page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fastsync_core::source::{Found, Layer};
use fastsync_core::*;
use futures_util::{StreamExt as _, TryStreamExt as _};

const MANY: usize = 25_000;
const PAGE: usize = 1_000;

#[derive(Debug, Clone, PartialEq, SyncableObject)]
#[syncable(name = "rows")]
struct Row {
    #[syncable(id)]
    id: u32,
    rank: Option<i64>,
    share: f64,
    flag: Option<bool>,
    name: String,
}

fn row(id: u32) -> Row {
    Row {
        id,
        rank: (!id.is_multiple_of(5)).then_some(i64::from(id % 7) - 3),
        share: f64::from(id % 3) / 3.0,
        flag: (!id.is_multiple_of(4)).then_some(id.is_multiple_of(2)),
        name: format!("{}", id % 11),
    }
}

/// Keeps how much each query found.
#[derive(Debug, Clone, Default)]
struct Counting {
    inner: MemoryDataSource,
    pages: Arc<Mutex<Vec<usize>>>,
}

impl Layer for Counting {
    type Inner = MemoryDataSource;

    fn inner(&self) -> &MemoryDataSource {
        &self.inner
    }

    async fn find(&self, query: &Query) -> Result<Found> {
        let found = SyncableDataSource::find(&self.inner, query).await?;
        self.pages.lock().unwrap().push(found.records.len());
        Ok(found)
    }
}

/// A server's repository with so many rows.
async fn rows(count: u32) -> (Counting, Repository<Row>) {
    let source = Counting::default();
    let store = Store::server(source.clone()).register::<Row>().open().await.unwrap();
    let rows = Repository::new(&store);
    rows.add_many(&(0..count).map(row).collect::<Vec<_>>()).await.unwrap();
    source.pages.lock().unwrap().clear();
    (source, rows)
}

async fn streamed(rows: &Repository<Row>, selection: Selection) -> Vec<Row> {
    rows.stream(selection).try_collect().await.unwrap()
}

/// Fails if an object is passed over or comes twice, or if more than a page is read at once.
#[tokio::test]
async fn many_objects_come_each_once_in_bounded_pages() {
    let (source, rows) = rows(u32::try_from(MANY).unwrap()).await;
    let mut seen = HashMap::new();
    let mut stream = rows.stream(Selection::all());
    while let Some(row) = stream.try_next().await.unwrap() {
        *seen.entry(row.id).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), MANY);
    assert!(seen.values().all(|times| *times == 1));
    let pages = source.pages.lock().unwrap();
    assert!(pages.iter().all(|found| *found <= PAGE));
    assert!(pages.len() <= MANY / PAGE + 1, "{} pages", pages.len());
}

/// Fails if going on behind an object differs from the order in which the data source reads: for ties, for null, for booleans,
/// for descending orders.
#[tokio::test]
async fn a_stream_has_the_order_of_the_query() {
    let (_, rows) = rows(2_300).await;
    let by = |order: Vec<Order>| order.into_iter().fold(Selection::all(), Selection::ordered);
    for selection in [
        Selection::all(),
        by(vec![Row::RANK.ascending().unwrap()]),
        by(vec![Row::RANK.descending().unwrap()]),
        by(vec![Row::FLAG.ascending().unwrap()]),
        by(vec![Row::FLAG.descending().unwrap(), Row::SHARE.ascending().unwrap()]),
        by(vec![Row::NAME.descending().unwrap(), Row::RANK.descending().unwrap()]),
        by(vec![
            Row::SHARE.descending().unwrap(),
            Row::FLAG.ascending().unwrap(),
            Row::RANK.ascending().unwrap(),
        ]),
        Selection::all().order_by_descending("id").unwrap(),
        by(vec![Row::NAME.ascending().unwrap()]).order_by_descending("id").unwrap(),
        Selection::matching(Filter::Or(vec![Row::RANK.is_null().unwrap(), Row::FLAG.equal(true).unwrap()]))
            .ordered(Row::RANK.descending().unwrap()),
        by(vec![Row::RANK.ascending().unwrap()]).offset(7).limit(2_100),
        Selection::all().limit(1_000),
        Selection::all().limit(0),
        Selection::all().offset(9_999),
    ] {
        let expected = rows.query(selection.clone()).await.unwrap();
        assert!(streamed(&rows, selection.clone()).await == expected, "{selection:?}");
    }
}

/// Fails if more is read than was asked for, or if the last page is asked for twice.
#[tokio::test]
async fn a_stream_reads_no_more_than_it_gives() {
    let (source, rows) = rows(1_700).await;
    for (selection, pages) in [
        (Selection::all(), &[1_000, 700][..]),
        (Selection::all().limit(1_000), &[1_000]),
        (Selection::all().limit(1_100), &[1_000, 100]),
        (Selection::all().offset(1_500), &[200]),
    ] {
        streamed(&rows, selection).await;
        assert_eq!(*std::mem::take(&mut *source.pages.lock().unwrap()), *pages);
    }
    drop(rows.stream(Selection::all()));
    assert!(source.pages.lock().unwrap().is_empty(), "nothing is read before it is polled");
}

/// Fails if what changes meanwhile comes twice, or hides what does not change.
#[tokio::test]
async fn objects_that_change_meanwhile_do_not_come_twice() {
    let (_, rows) = rows(2_500).await;
    let mut stream = rows.stream(Selection::all());
    let mut seen = Vec::new();
    while let Some(row) = stream.try_next().await.unwrap() {
        if seen.is_empty() {
            rows.update(&Row { name: "seen".into(), ..row.clone() }).await.unwrap();
            rows.remove(&"9").await.unwrap();
            rows.add(&Row { id: 9_000, ..row.clone() }).await.unwrap();
        }
        seen.push(row);
    }
    let mut ids: Vec<_> = seen.iter().map(|row| row.id).filter(|id| ![9, 9_000].contains(id)).collect();
    ids.sort_unstable();
    let untouched: Vec<_> = (0..2_500).filter(|id| *id != 9).collect();
    assert_eq!(ids, untouched);
    assert_eq!(seen.iter().filter(|row| row.id == 0).count(), 1);
}

/// Fails if an object that cannot be read ends the stream, or vanishes from it.
#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_the_stream_goes_on() {
    #[derive(SyncableObject)]
    #[syncable(name = "rows")]
    struct Narrow {
        #[syncable(id)]
        id: u32,
        rank: Option<i8>,
        share: f64,
        flag: Option<bool>,
        name: String,
    }
    // The schema says the same, and the type reads less of it.
    #[derive(Debug)]
    struct Strict;
    impl SyncableObject for Strict {
        fn schema() -> Result<TypeSchema> {
            Row::schema()
        }
        fn id(&self) -> Result<ObjectId> {
            ObjectId::new("x")
        }
        fn to_body(&self) -> Result<Vec<Value>> {
            Ok(Vec::new())
        }
        fn from_body(id: &ObjectId, body: Vec<Value>) -> Result<Self> {
            Narrow::from_body(id, body).map(|row| {
                let _ = (row.id, row.rank, row.share, row.flag, row.name);
                Self
            })
        }
    }
    let source = MemoryDataSource::new();
    let store = Store::server(source).register::<Row>().open().await.unwrap();
    let rows = Repository::<Row>::new(&store);
    rows.add_many(&[row(1), Row { rank: Some(1_000), ..row(2) }, row(3)]).await.unwrap();
    let read: Vec<_> = Repository::<Strict>::new(&store).stream(Selection::all()).collect().await;
    assert!(read[0].is_ok() && read[2].is_ok() && read.len() == 3);
    let error = read[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains('2'), "{error}");
}

/// Fails if an error is repeated for ever, or the selection is not checked.
#[tokio::test]
async fn an_error_of_the_query_is_the_last_item() {
    let (_, rows) = rows(3).await;
    let read: Vec<_> = rows.stream(Selection::all().order_by("missing").unwrap()).collect().await;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidInput);
    let store = Store::server(MemoryDataSource::new()).register::<Other>().open().await.unwrap();
    let read: Vec<_> = Repository::<Row>::new(&store).stream(Selection::all()).collect().await;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].as_ref().unwrap_err().kind(), ErrorKind::UnknownType);
}

#[derive(SyncableObject)]
struct Other {
    #[syncable(id)]
    id: String,
}
