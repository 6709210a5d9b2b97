//! How many bytes a record takes on the wire, beside the bytes of its fields.

use crate::support::*;
use async_trait::async_trait;
use fastsync_core::protocol::{
    Cursor, PullPage, PullReply, PullRequest, PushReply, PushRequest, RecordGroup, Row, SyncPayload,
};
use fastsync_core::{
    Hlc, Incarnation, ObjectId, Result, Revision, SyncContext, SyncHandler, Timestamp, Transport, TypeName,
    Value, Zone,
};
use fastsync_transport_http::{Format, HttpTransport, SyncService};

const RECORDS: u64 = 1_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: u64) -> i64 {
        i64::try_from(self.next() % limit).unwrap()
    }

    /// Random letters in the frequencies of a language, but without its words.
    fn letters(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"eeeaaaiiooutnnsrrlldhhmcgpbfwyvk";
        let letter = |bits: u64| if bits >> 5 & 7 == 0 { ' ' } else { LETTERS[(bits & 31) as usize].into() };
        (0..length).map(|_| letter(self.next())).collect()
    }

    /// Words of a small vocabulary, as the texts of one application have.
    #[cfg(feature = "zstd")]
    fn words(&mut self, length: usize) -> String {
        const WORDS: [&str; 48] = [
            "the", "a", "of", "and", "with", "for", "new", "old", "small", "large", "red", "green", "blue",
            "steel", "wood", "paper", "box", "case", "cover", "screw", "bolt", "cable", "lamp", "table",
            "chair", "shelf", "door", "window", "paint", "brush", "glue", "tape", "tool", "set", "pack",
            "piece", "order", "stock", "supplier", "delivery", "checked", "missing", "returned", "damaged",
            "price", "on", "request", "only",
        ];
        let mut text = String::new();
        while text.len() < length {
            text.push_str(WORDS[(self.next() % 48) as usize]);
            text.push(' ');
        }
        text.truncate(length);
        text
    }
}

/// The record of the benchmarks: a random UUID, 20 and 120 characters, a number, milliseconds.
fn items(text: impl Fn(&mut Random, usize) -> String, revision: u64) -> SyncPayload {
    let mut random = Random(7);
    let mut row = |n: u64| {
        let id = uuid::Uuid::from_u64_pair(random.next(), random.next());
        Row::new(
            ObjectId::from(uuid::Builder::from_random_bytes(id.into_bytes()).into_uuid()),
            Revision::from_bits(revision),
            Incarnation::from_bits(random.next()),
            Hlc::new(Timestamp::from_millis(1_795_294_580_370 + n / 50), u16::try_from(n % 50).unwrap()),
            0,
            Some(vec![
                Value::Text(text(&mut random, 20)),
                Value::Text(text(&mut random, 120)),
                Value::Integer(random.below(10_000)),
                Value::Integer(1_700_000_000_000 + random.below(50_000_000_000)),
            ]),
        )
    };
    let rows = (0..RECORDS).map(&mut row).collect();
    let group = RecordGroup::new(Zone::Global, TypeName::new("items").unwrap(), rows);
    SyncPayload::new(vec![device()], vec![group])
}

/// Id and texts as they are, 8 bytes for each number.
const FIELD_BYTES: usize = 36 + 20 + 120 + 8 + 8;

/// The bytes of a request's body, as the client sends it.
async fn pushed(payload: SyncPayload, format: Format, compressed: bool) -> usize {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        read_request(&mut stream).await.unwrap().1.len()
    });
    let builder = HttpTransport::builder(format!("http://{address}")).format(format);
    let client = if compressed { builder.compress_requests_over(0) } else { builder }.build().unwrap();
    let mut request = push_request(0);
    request.payload = payload;
    client.push(&request.clone().into()).await.unwrap_err();
    server.await.unwrap()
}

/// Answers every pull with one page.
struct Page(SyncPayload);

#[async_trait]
impl SyncHandler for Page {
    async fn process_push(&self, _: &SyncContext, _: PushRequest) -> Result<PushReply> {
        Ok(PushReply::ClientForked)
    }
    async fn process_pull(&self, _: &SyncContext, _: PullRequest) -> Result<PullReply> {
        let cursor = Cursor::from("x".repeat(200));
        let server_time = Timestamp::from_millis(1_795_294_580_370);
        Ok(PullReply::Page(PullPage::new(cursor, server_time, self.0.clone())))
    }
}

/// The bytes of an answer's body, as the server sends it.
async fn pulled(payload: SyncPayload, format: &str, coding: &str) -> usize {
    let service = SyncService::builder(Page(payload))
        .authenticate(|_: &http::request::Parts| Ok(SyncContext::new("ada")))
        .build();
    let request = http::Request::post("/pull")
        .header("content-type", "application/json")
        .header("accept", format)
        .header("accept-encoding", coding)
        .body(http_body_util::Full::new(bytes::Bytes::from(json(&pull_request()))))
        .unwrap();
    service.handle(request).await.into_body().into_bytes().len()
}

/// In parts of the bytes of the fields.
fn parts(bytes: usize) -> f64 {
    bytes as f64 / (FIELD_BYTES as u64 * RECORDS) as f64
}

const REVISION: u64 = 0x8f3a_c2d1_9b47_e605;

#[tokio::test]
async fn plain_records_take_little_more_than_their_fields() {
    let push = parts(pushed(items(Random::letters, 0), Format::MessagePack, false).await);
    let pull = parts(pulled(items(Random::letters, REVISION), "application/msgpack", "").await);
    assert!(push < 1.1 && pull < 1.1, "push {push}, pull {pull}");
}

#[cfg(feature = "zstd")]
#[tokio::test]
async fn compressed_records_take_a_part_of_their_fields() {
    for (name, text, most) in [
        ("words", Random::words as fn(&mut Random, usize) -> String, 0.5),
        // No coder goes below 0.55: of the 192 bytes, 76 are entropy of the letters, 15 of the id and 6 of the
        // numbers, and 8 bytes of incarnation are as random.
        ("letters", Random::letters, 0.73),
    ] {
        let push = parts(pushed(items(text, 0), Format::MessagePack, true).await);
        let pull = parts(pulled(items(text, REVISION), "application/msgpack", "zstd").await);
        assert!(push < most && pull < most, "{name}: push {push}, pull {pull}");
    }
}
