//! Random operations, and what comes of them.

use fastsync_core::source::{
    Action, Changes, ChangesRequest, Clear, Commit, CommitOutcome, Expect, ExpectState, OnMismatch,
    PageLimits, Point, SkipOwn, StateWrite, SyncableDataSourceExt as _, Write, Writes,
};
use fastsync_core::{
    Author, Comparison, DeviceId, ErrorKind, FieldKind, FieldName, Filter, Hlc, Incarnation, ObjectId, Order,
    Position, Query, Random as _, Record, RecordKey, Revision, SessionId, SessionKind, SessionSummary,
    SyncMetadata, SyncableDataSource, Tag, Timestamp, TypeName, TypeSchema, Value, Zone,
};
use uuid::Uuid;

use super::subject::Edits;
use crate::counts::Counts;
use crate::random::Seeded;

/// One call, in terms that all data sources share: a change is the place of its local commit in the run.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each is a method of the data source")]
pub enum Operation {
    Commit(Box<Commit>),
    Stage(SessionId, u64, Vec<Write>),
    Unstage(Option<SessionId>),
    Purge(Zone, Position),
    Get(TypeName, Zone, Vec<ObjectId>),
    Find(Query),
    Count(Query),
    Changes(ChangesRequest),
    Session(SessionId),
    Sessions(Zone, Position, usize),
    States(String),
}

/// What came of an operation.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Commit(Box<CommitOutcome>),
    Done,
    Count(u64),
    Records(Vec<Record>),
    Changes(Changes),
    Sessions(Vec<SessionSummary>),
    States(Vec<(String, Vec<u8>)>),
    Refused(ErrorKind),
}

pub(super) fn count(counts: &mut Counts, operation: &Operation, outcome: &Outcome) {
    match outcome {
        Outcome::Count(purged) if matches!(operation, Operation::Purge(..)) => {
            counts.add("tombstones purged", *purged);
        }
        Outcome::Commit(outcome) => counts.note(match **outcome {
            CommitOutcome::Applied(_) => "commits applied",
            CommitOutcome::Conflicts { .. } => "commits that conflicted",
            CommitOutcome::Duplicate(_) => "duplicates",
        }),
        Outcome::Changes(Changes::Page(_)) => counts.note("pages of changes"),
        Outcome::Changes(Changes::ResetRequired(_)) => counts.note("resets required"),
        Outcome::Refused(_) => counts.note("refused operations"),
        _ => {}
    }
}

fn name(text: &str) -> TypeName {
    TypeName::new(text).expect("a type name")
}

/// The types of a run: the zone's kind decides which ones a record can have.
pub(super) fn types() -> Vec<TypeName> {
    ["notes", "places", "Rows"].map(name).to_vec()
}

/// In another order than that of their texts.
const INSTANTS: [&str; 4] = [
    "2026-11-21T10:00:00Z",
    "2026-11-21T10:00:00.5Z",
    "2026-11-21T12:00:00+05:30",
    "2026-11-20T23:00:00-11:00",
];

/// A global type, and two restricted ones whose priorities are not in the order of their names.
pub(super) fn schemas() -> Vec<TypeSchema> {
    let builders = [
        TypeSchema::builder("notes", "id").priority(3),
        TypeSchema::builder("places", "key").priority(9).restricted(),
        TypeSchema::builder("Rows", "id").priority(1).restricted(),
    ];
    let fields = |builder: fastsync_core::TypeSchemaBuilder| {
        builder
            .field("text", FieldKind::Text)
            .field("whole", FieldKind::Integer)
            .nullable_field("real", FieldKind::Real)
            .nullable_field("data", FieldKind::Bytes)
            .nullable_field("size", FieldKind::Decimal)
            .nullable_field("at", FieldKind::Instant)
            .build()
            .expect("a schema")
    };
    builders.map(fields).to_vec()
}

/// The zones of a run.
pub(super) fn zones() -> Vec<Zone> {
    let restricted = |key: &str| Zone::restricted(key).expect("a zone");
    vec![Zone::Global, restricted("a"), restricted("A"), restricted("a b\u{e9}")]
}

/// Ids that collations and careless keys confuse, UUIDs, and plain ones.
fn id(n: u64) -> ObjectId {
    const ODD: [&str; 10] = ["a", "A", "a ", "é", "e\u{301}", "007", "7", "a\u{1f4a1}", "ab", "\u{10ffff}"];
    let text = match n {
        0..10 => ODD[usize::try_from(n).expect("small")].to_owned(),
        10..25 => Uuid::from_u128(u128::from(n) << 77).to_string(),
        _ => format!("plain-{n}"),
    };
    ObjectId::new(text).expect("an id")
}

const IDS: u64 = 40;

const DEVICES: u64 = 3;
/// A purge close behind the last page is made every so many operations, whatever chance brings.
const PURGE_EVERY: u64 = 300;

fn device(n: u64) -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(u128::from(n % DEVICES) + 1))
}

/// Makes operations. It remembers what earlier ones led to, so that the next ones often meet something.
pub(super) struct Maker {
    random: Seeded,
    at: u64,
    /// Sessions with staged batches.
    staged: Vec<SessionId>,
    committed: Vec<Commit>,
    points: Vec<(Zone, Point)>,
}

impl Maker {
    pub(super) fn new(random: Seeded) -> Self {
        Self { random, at: 0, staged: Vec::new(), committed: Vec::new(), points: Vec::new() }
    }

    fn pick<T: Clone>(&self, of: &[T]) -> Option<T> {
        if of.is_empty() {
            return None;
        }
        let at = self.random.below(of.len() as u64);
        Some(of[usize::try_from(at).expect("small")].clone())
    }

    fn session(&mut self) -> SessionId {
        SessionId::from_uuid(Uuid::from_u128(u128::from(self.random.next_u64()) << 64 | u128::from(self.at)))
    }

    fn zone(&self) -> Zone {
        self.pick(&zones()).expect("there are zones")
    }

    /// A type, rarely one whose records cannot be in the zone.
    fn kind(&self, zone: &Zone) -> TypeName {
        if self.random.percent(1) {
            return self.pick(&types()).expect("there are types");
        }
        match zone {
            Zone::Global => name("notes"),
            Zone::Restricted(_) => self.pick(&[name("places"), name("Rows")]).expect("two"),
        }
    }

    fn value(&self, field: u64) -> Value {
        let n = self.random.below(6);
        match field {
            0 => ["", "a", "A", "é", "ab", "b\u{1f600}"][usize::try_from(n).expect("small")].into(),
            1 => Value::Integer([0, 1, -1, i64::MIN, i64::MAX, 7][usize::try_from(n).expect("small")]),
            2 if n < 2 => Value::Null,
            2 => Value::Real([0.5, -0.0, 1e300, 5e-324][usize::try_from(n - 2).expect("small")]),
            3..=5 if n < 2 => Value::Null,
            4 => ["9", "10.0", "-0.50", "1234567890123456789.000000001"]
                [usize::try_from(n - 2).expect("small")]
            .into(),
            5 => INSTANTS[usize::try_from(n - 2).expect("small")].into(),
            _ => Value::Bytes(vec![0, 255, u8::try_from(n).expect("small")]),
        }
    }

    /// A value of a field that is not null.
    fn operand(&self, field: u64) -> Value {
        loop {
            let value = self.value(field);
            if value != Value::Null {
                return value;
            }
        }
    }

    /// Rarely, and mostly some way behind what was last read: a purge makes the readers of before start over.
    fn purge(&self, at_most_behind: u64) -> Operation {
        let zone = self.zone();
        let seen = self.points.iter().rev().find(|(of, _)| *of == zone);
        let position = seen.map_or(0, |(_, point)| point.position.0);
        Operation::Purge(zone, Position(position.saturating_sub(self.random.below(at_most_behind))))
    }

    /// The next operation, for a state of which `source` tells.
    pub(super) async fn next(&mut self, source: &dyn SyncableDataSource, edits: &Edits) -> Operation {
        self.at += 1;
        // By chance alone a short run may purge nothing that was there.
        if self.at.is_multiple_of(PURGE_EVERY) {
            return self.purge(10);
        }
        match self.random.below(100) {
            0..38 => Operation::Commit(Box::new(self.commit(source, edits).await)),
            38..41 => match self.pick(&self.committed) {
                Some(commit) => Operation::Commit(Box::new(commit)),
                None => Operation::States(String::new()),
            },
            41..50 => {
                let session = match self.pick(&self.staged).filter(|_| self.random.percent(60)) {
                    Some(session) => session,
                    None => self.session(),
                };
                self.staged.push(session);
                let writes = self.writes(source, edits, true).await;
                Operation::Stage(session, self.random.below(5), writes)
            }
            50..54 => match self.pick(&self.staged) {
                Some(session) => {
                    let mut commit = self.commit(source, edits).await;
                    let overrides = match commit.writes {
                        Writes::Inline(writes) => writes.into_iter().take(1).collect(),
                        Writes::Staged { overrides } => overrides,
                    };
                    commit.session = session;
                    commit.writes = Writes::Staged { overrides };
                    Operation::Commit(Box::new(commit))
                }
                None => Operation::States("s".to_owned()),
            },
            54 => {
                let session = self.pick(&self.staged).filter(|_| self.random.percent(80));
                self.staged.clear();
                Operation::Unstage(session)
            }
            55 => self.purge(150),
            56..66 => {
                let zone = self.zone();
                let ids = (0..self.random.below(6)).map(|_| id(self.random.below(IDS)));
                let mut ids: Vec<_> = ids.collect();
                // One that is named twice may come once or twice.
                ids.sort();
                ids.dedup();
                Operation::Get(self.kind(&zone), zone, ids)
            }
            66..76 => Operation::Find(self.query()),
            76..80 => Operation::Count(self.query()),
            80..95 => Operation::Changes(self.request()),
            95..97 => Operation::Sessions(
                self.zone(),
                Position(self.random.below(400)),
                usize::try_from(self.random.below(20)).expect("small"),
            ),
            97 => match self.pick(&self.committed) {
                Some(commit) => Operation::Session(commit.session),
                None => Operation::Session(self.session()),
            },
            _ => Operation::States(
                ["", "s", "s1", "\u{e9}"][usize::try_from(self.random.below(4)).expect("4")].into(),
            ),
        }
    }

    /// Remembers what became of an operation.
    pub(super) fn learn(&mut self, operation: &Operation, outcome: &Outcome) {
        match (operation, outcome) {
            (Operation::Commit(commit), Outcome::Commit(outcome)) => {
                if matches!(**outcome, CommitOutcome::Applied(_)) {
                    self.staged.retain(|session| *session != commit.session);
                    self.committed.push((**commit).clone());
                    if self.committed.len() > 200 {
                        self.committed.remove(0);
                    }
                }
            }
            (Operation::Changes(request), Outcome::Changes(Changes::Page(page))) => {
                self.points.push((request.zone.clone(), page.next.clone()));
                if self.points.len() > 60 {
                    self.points.remove(0);
                }
            }
            _ => {}
        }
    }

    async fn commit(&mut self, source: &dyn SyncableDataSource, edits: &Edits) -> Commit {
        let number = self.random.below(200);
        let clears = if self.random.percent(3) {
            let zone = self.zone();
            let through_change = edits.count().saturating_sub(self.random.below(20)) * self.random.below(2);
            vec![Clear { type_name: self.kind(&zone), zone, through_change }]
        } else {
            Vec::new()
        };
        Commit {
            session: self.session(),
            kind: SessionKind::Push,
            author: Author {
                user: self.random.percent(50).then(|| "ann".to_owned()),
                device: device(number),
                number,
            },
            at: Timestamp::from_millis(self.at),
            tag: Tag(self.random.next_u64()),
            positioned: self.random.percent(75),
            clears,
            writes: Writes::Inline(self.writes(source, edits, false).await),
            state: self.state(source).await,
        }
    }

    async fn state(&self, source: &dyn SyncableDataSource) -> Vec<StateWrite> {
        if !self.random.percent(20) {
            return Vec::new();
        }
        let key = ["s", "s1", "S", "\u{e9}", "e\u{301}"][usize::try_from(self.random.below(5)).expect("5")];
        let expect = match self.random.below(4) {
            0 => ExpectState::Absent,
            1 => ExpectState::Value(vec![1]),
            2 => match source.entry(key).await {
                Ok(Some(value)) => ExpectState::Value(value),
                _ => ExpectState::Absent,
            },
            _ => ExpectState::Anything,
        };
        let value = self.random.percent(80).then(|| vec![u8::try_from(self.random.below(3)).expect("small")]);
        vec![StateWrite { key: key.to_owned(), expect, value }]
    }

    /// Writes of a few keys; the same key twice only where that is allowed, and rarely where it is not.
    async fn writes(&self, source: &dyn SyncableDataSource, edits: &Edits, repeated: bool) -> Vec<Write> {
        let mut writes: Vec<Write> = Vec::new();
        for _ in 0..self.random.below(9) {
            let zone = self.zone();
            let key = RecordKey { type_name: self.kind(&zone), zone, id: id(self.random.below(IDS)) };
            let twice = writes.iter().any(|write| *write.action.key() == key);
            if twice && !repeated && !self.random.percent(2) {
                continue;
            }
            writes.push(self.write(source, edits, key).await);
        }
        writes
    }

    async fn write(&self, source: &dyn SyncableDataSource, edits: &Edits, key: RecordKey) -> Write {
        let current = source.get(&key.type_name, &key.zone, std::slice::from_ref(&key.id)).await;
        let current = current.unwrap_or_default().pop().map(|record| record.metadata);
        let change = current.map_or(0, |metadata| edits.place(metadata.change));
        let revision = current.map_or(Revision::NONE, |metadata| metadata.revision);
        let expect = match self.random.below(20) {
            0 => Expect::Absent,
            1 => Expect::Revision(revision),
            2 => Expect::Change(change),
            3 => Expect::Change(self.random.below(edits.count() + 1)),
            4..8 => match current {
                None => Expect::Absent,
                Some(_) if change == 0 => Expect::Revision(revision),
                Some(_) => Expect::Change(change),
            },
            _ => Expect::Anything,
        };
        let on_mismatch = if self.random.percent(50) { OnMismatch::Skip } else { OnMismatch::Abort };
        let incarnation = match current {
            Some(metadata) if self.random.percent(80) => metadata.incarnation,
            _ => Incarnation::from_bits(self.random.next_u64()),
        };
        if self.random.percent(15) {
            let revision = Revision::from_bits(self.random.next_u64());
            let action = Action::Acknowledge { key, change, revision, incarnation };
            return Write { action, expect, on_mismatch };
        }
        let body =
            (!self.random.percent(20)).then(|| (0..6).map(|field| self.value(field)).collect::<Vec<_>>());
        let body = match body {
            // One that does not fit.
            Some(mut body) if self.random.percent(1) => {
                body.pop();
                Some(body)
            }
            body => body,
        };
        let pending = self.random.percent(30);
        let metadata = SyncMetadata {
            revision: Revision::from_bits(self.random.next_u64()),
            incarnation,
            modified_at: Hlc::new(Timestamp::from_millis(self.at), 1),
            modified_by: device(self.random.below(DEVICES)),
            change: if self.random.percent(30) { change } else { 0 },
        };
        let action = Action::Put { record: Record { key, body, metadata }, pending };
        Write { action, expect, on_mismatch }
    }

    fn request(&self) -> ChangesRequest {
        let zone = self.zone();
        let known: Vec<Point> =
            self.points.iter().filter(|(of, _)| *of == zone).map(|(_, point)| point.clone()).collect();
        let after = match self.pick(&known).filter(|_| !self.random.percent(25)) {
            Some(mut point) => {
                match self.random.below(40) {
                    0 => point.position = point.position.next(),
                    1 => point.tag = Tag(point.tag.0 ^ 1),
                    _ => {}
                }
                point
            }
            None => Point::START,
        };
        let types = self.random.percent(20).then(|| vec![self.kind(&zone)]);
        let skip_own = self
            .random
            .percent(20)
            .then(|| SkipOwn { device: device(self.random.below(DEVICES)), through: self.random.below(200) });
        let records = 1 + usize::try_from(self.random.below(40)).expect("small");
        let bytes = if self.random.percent(30) { 300 } else { 1 << 20 };
        let limits = PageLimits { records, bytes };
        ChangesRequest {
            zone,
            after: after.into(),
            types,
            skip_own,
            limits,
            count_remaining: self.random.percent(10),
        }
    }

    fn query(&self) -> Query {
        let zone = self.zone();
        let kind = self.kind(&zone);
        let id_field = if kind == name("places") { "key" } else { "id" };
        let mut query = Query::all(kind, zone);
        query.filter = self.filter(id_field, 0);
        for _ in 0..self.random.below(3) {
            let field = self.pick(&["text", "whole", "real", "size", "at", id_field]).expect("six");
            let field = FieldName::new(field).expect("a name");
            // SQL takes a repeated one for nothing; so does everyone.
            query.order.push(Order::new(field, self.random.percent(50)));
        }
        query.offset = self.random.below(4) * self.random.below(2);
        query.limit = self.random.percent(40).then(|| self.random.below(12));
        query
    }

    fn filter(&self, id_field: &str, depth: u64) -> Filter {
        let field = |text: &str| FieldName::new(text).expect("a name");
        let comparison = || {
            self.pick(&[
                Comparison::Equal,
                Comparison::NotEqual,
                Comparison::Less,
                Comparison::LessOrEqual,
                Comparison::Greater,
                Comparison::GreaterOrEqual,
            ])
            .expect("six")
        };
        let any_id = || Value::Text(id(self.random.below(IDS)).as_str().to_owned());
        match self.random.below(if depth > 2 { 11 } else { 15 }) {
            9 => Filter::Compare(field("size"), comparison(), self.operand(4)),
            10 => Filter::Compare(field("at"), comparison(), self.operand(5)),
            0 => Filter::All,
            1 => Filter::Compare(field("text"), comparison(), self.value(0)),
            2 => Filter::Compare(field("whole"), comparison(), self.value(1)),
            3 => Filter::Compare(field("real"), comparison(), Value::Real(0.5)),
            4 => Filter::Compare(field(id_field), comparison(), any_id()),
            5 => Filter::In(field(id_field), (0..self.random.below(4)).map(|_| any_id()).collect()),
            6 => Filter::IsNull(field(if self.random.percent(50) { "real" } else { "data" })),
            7 => {
                let text = self.pick(&["", "a", "A", "pl", "0"]).expect("five").to_owned();
                Filter::StartsWith(field(self.pick(&["text", id_field]).expect("two")), text)
            }
            8 => Filter::Contains(
                field("text"),
                self.pick(&["", "a", "b", "\u{1f600}"]).expect("four").to_owned(),
            ),
            11 => Filter::Not(Box::new(self.filter(id_field, depth + 1))),
            12 => Filter::Or((0..self.random.below(3)).map(|_| self.filter(id_field, depth + 1)).collect()),
            _ => Filter::And((0..self.random.below(4)).map(|_| self.filter(id_field, depth + 1)).collect()),
        }
    }
}
