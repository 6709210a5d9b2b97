//! Peers that take their time are cut off, and the others do not notice. The clock is paused and connections are in
//! memory: every time is exact, however busy the machine is.

use std::time::Duration;

use crate::support::*;
use fastsync_transport_http::{Limits, ServeConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, advance, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn good() -> Vec<u8> {
    post("/push", &json(&push_request(1)))
}

/// Sends `start`, then a byte every second if there is one. Gives what the server said until it closed, and after how
/// many seconds it did.
async fn peer(address: Address, start: Vec<u8>, byte: Option<u8>) -> (String, u64) {
    let begin = Instant::now();
    let (mut read, mut write) = tokio::io::split(address.connect().0);
    write.write_all(&start).await.unwrap();
    let dripping = async move {
        while let Some(byte) = byte {
            sleep(SECOND).await;
            let _ = write.write_all(&[byte]).await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let reading = read.read_to_end(&mut said);
    in_time(async {
        tokio::select! { _ = reading => {}, () = dripping => {} }
    })
    .await;
    (String::from_utf8(said).unwrap(), begin.elapsed().as_secs())
}

/// The limits of time, in seconds.
struct Times {
    head: u64,
    idle: u64,
    stall: u64,
    body: u64,
}

/// All sorts of slow peers at once. Fails for each of the four limits if it is not kept, is another, or is measured
/// from the last byte instead of the first.
async fn slow_peers_are_cut_off(limits: Limits, config: ServeConfig, times: Times) {
    let server = Server::in_memory(limits, config);
    let Times { head, idle, stall, body } = times;
    let half = || b"POST /push HTTP/1.1\r\nx: ".to_vec();
    let body_head = || raw("POST /push", &[&bearer(), JSON, "content-length: 100000"], b"{");
    let expect = raw("POST /push", &[&bearer(), JSON, "content-length: 100", "expect: 100-continue"], b"");
    let then_half = || [good(), b"POST /pu".to_vec()].concat();
    let (nothing, answered, too_slow) = ("", "HTTP/1.1 200", "HTTP/1.1 408");
    let cases = [
        ("silent", Vec::new(), None, nothing, head),
        ("half a head", half(), None, nothing, head),
        ("a dripped head", half(), Some(b'x'), nothing, head),
        ("blank lines", b"\r\n".to_vec(), Some(b'\n'), nothing, head),
        ("idle after an answer", good(), None, answered, idle),
        // The time of a head runs from its first byte after the answer.
        ("a second head", then_half(), Some(b'x'), answered, head + 1),
        ("a silent body", body_head(), None, too_slow, stall),
        ("a dripped body", body_head(), Some(b' '), too_slow, body),
        ("to be told to go on", expect, None, "HTTP/1.1 100", stall),
    ];
    let longest = cases.iter().map(|case| case.4).max().unwrap();
    let peers = cases.map(|(name, start, byte, said, after)| {
        (name, said, after, tokio::spawn(peer(server.address.clone(), start, byte)))
    });
    for _ in 0..longest {
        sleep(SECOND).await;
        let begin = Instant::now();
        let answer = server.address.connect().ask(&post("/pull", &json(&pull_request()))).await.unwrap();
        assert_eq!((answer.status, begin.elapsed()), (200, Duration::ZERO), "delayed");
    }
    for (name, expected, after, peer) in peers {
        let (said, closed) = peer.await.unwrap();
        assert_eq!(closed, after, "{name}: {said}");
        assert!(said.starts_with(expected) && (said.is_empty() || !expected.is_empty()), "{name}: {said}");
        let refused = [too_slow, "HTTP/1.1 100"].contains(&expected);
        assert_eq!(said.contains(too_slow) && said.contains("\"timeout\""), refused, "{name}: {said}");
        assert_eq!(said.contains("connection: close"), refused, "{name}: {said}");
    }
    assert_eq!(server.fake.pushes().len(), 2, "only the honest ones");
}

#[tokio::test(start_paused = true)]
async fn slow_peers_are_cut_off_at_the_documented_times() {
    let times = Times { head: 10, idle: 60, stall: 30, body: 30 };
    slow_peers_are_cut_off(Limits::default(), ServeConfig::default(), times).await;
}

#[tokio::test(start_paused = true)]
async fn slow_peers_are_cut_off_at_the_times_that_are_set() {
    let limits = Limits::default().with_stall_timeout(SECOND * 3).with_least_rate(1_024, SECOND * 20);
    let config = ServeConfig::default().with_head_timeout(SECOND * 7).with_idle_timeout(SECOND * 5);
    let times = Times { head: 7, idle: 5, stall: 3, body: 20 };
    slow_peers_are_cut_off(limits, config, times).await;
}

/// Fails if the time of a head is asked only while there is nothing to read.
#[tokio::test(start_paused = true)]
async fn a_head_that_is_whole_after_its_time_is_too_late() {
    let server = Server::in_memory(Limits::default(), ServeConfig::default());
    let (good, mut connection) = (good(), server.address.connect());
    let (start, rest) = good.split_at(30);
    connection.send(start).await;
    settle().await;
    // The rest is there before the server has seen that the time is over.
    advance(SECOND * 11).await;
    connection.send(rest).await;
    assert_eq!(connection.closed().await, b"");
    assert_eq!(server.fake.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_closed() {
    for (config, seconds) in
        [(ServeConfig::default(), 30), (ServeConfig::default().with_reply_stall_timeout(SECOND * 10), 10)]
    {
        let server = Server::in_memory(Limits::default(), config.with_shutdown_timeout(PATIENCE));
        server.fake.answer_rows(2_000);
        let mut connection = server.address.connect();
        connection.send(&post("/pull", &json(&pull_request()))).await;
        let begin = Instant::now();
        settle().await;
        // The server ends once all its connections have.
        server.stop().await;
        assert_eq!(begin.elapsed().as_secs(), seconds);
        let received = connection.closed().await.len();
        assert!(received > 0 && received < 200_000, "everything fitted into the buffers: {received}");
    }
}

/// Fails if every byte that is taken begins the time anew: beyond the stall there is a least rate.
#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_a_trickle_is_closed() {
    let server = Server::in_memory(Limits::default(), ServeConfig::default());
    server.fake.answer_rows(2_000);
    let mut connection = server.address.connect_with_buffer(1_024);
    connection.send(&post("/pull", &json(&pull_request()))).await;
    let begin = Instant::now();
    while let Ok(1..) = connection.0.read(&mut [0; 100]).await {
        assert!(begin.elapsed() < SECOND * 60, "still served");
        sleep(SECOND).await;
    }
    assert!(begin.elapsed() >= SECOND * 30, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_reader_may_take_longer_than_the_wait_for_a_next_request() {
    let server = Server::in_memory(Limits::default(), ServeConfig::default().with_idle_timeout(SECOND * 5));
    server.fake.answer_rows(2_000);
    let mut connection = server.address.connect();
    connection.send(&post("/pull", &json(&pull_request()))).await;
    sleep(SECOND * 25).await;
    assert_eq!(connection.answer().await.expect("cut off").status, 200);
    let begin = Instant::now();
    connection.closed().await;
    assert_eq!(begin.elapsed().as_secs(), 5, "the wait for the next request begins when all is taken");
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_idle_peers_delay_nobody() {
    let server = Server::in_memory(Limits::default(), ServeConfig::default());
    let _peers: Vec<_> = (0..500).map(|_| server.address.connect()).collect();
    settle().await;
    let begin = Instant::now();
    assert_eq!(server.address.connect().ask(&good()).await.unwrap().status, 200);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

/// Fails if places are not counted, are counted wrongly, or are not given back.
#[tokio::test(start_paused = true)]
async fn connections_over_the_limit_wait_for_a_place() {
    for (config, places) in [
        (ServeConfig::default().with_max_connections(4), 4),
        (ServeConfig::default().with_max_connections(0), 1),
        (ServeConfig::default(), 1_024),
    ] {
        let server = Server::in_memory(Limits::default(), config);
        let mut silent: Vec<_> = (0..places).map(|_| server.address.connect()).collect();
        let mut waiting = [server.address.connect(), server.address.connect()];
        for connection in &mut waiting {
            connection.send(&good()).await;
        }
        settle().await;
        assert_eq!((server.address.accepted(), server.fake.calls()), (places, 0));
        silent.pop();
        let [first, second] = &mut waiting;
        assert_eq!(first.answer().await.unwrap().status, 200);
        settle().await;
        assert_eq!((server.address.accepted(), server.fake.calls()), (places + 1, 1));
        // The others are silent for too long, and so give up theirs.
        assert_eq!(second.answer().await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_with_accepting_ends_nothing_else() {
    let server = Server::in_memory(Limits::default(), ServeConfig::default());
    let mut before = server.address.connect();
    assert_eq!(before.ask(&good()).await.unwrap().status, 200);
    for _ in 0..3 {
        server.address.fail_to_accept();
    }
    assert_eq!(server.address.connect().ask(&good()).await.unwrap().status, 200);
    assert_eq!(before.ask(&good()).await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_peer_still_sends_is_taken_for_a_moment() {
    let limits = Limits::default().with_body_bytes(100_000);
    let server = Server::in_memory(limits, patient());
    // One that has almost done: it may end, and sees the answer.
    let mut connection = server.address.connect();
    connection.0.write_all(&post("/push", &vec![b' '; 1 << 20])).await.expect("not taken");
    assert_eq!(connection.answer().await.expect("the answer was lost").status, 413);
    // One that never ends.
    let mut connection = server.address.connect();
    let head = raw("POST /push", &[&bearer(), JSON, "content-length: 9999999999"], b"");
    connection.send(&head).await;
    let (mut sent, chunk) = (0, vec![b' '; 64 << 10]);
    while connection.0.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 16 << 20, "without end");
    }
    // One that says nothing more: a second.
    let mut connection = server.address.connect();
    connection.send(&head).await;
    connection.closed().await;
    let begin = Instant::now();
    let closed = async {
        while connection.0.write_all(b" ").await.is_ok() {
            sleep(SECOND / 100).await;
        }
    };
    timeout(SECOND * 3, closed).await.expect("kept");
    assert!(begin.elapsed() >= SECOND * 9 / 10, "{:?}", begin.elapsed());
}

/// A push of 2.1 MB at 25 KB/s, and a reply of the size of the buffers at 8 KB/s: slow, and fast enough. Fails if the whole has
/// a limit.
#[tokio::test(start_paused = true)]
async fn a_slow_link_is_no_slow_peer() {
    let server = Server::in_memory(Limits::default(), ServeConfig::default());
    let mut body = json(&push_request(1));
    body.resize(2_100_000, b' ');
    let request = post("/push", &body);
    let begin = Instant::now();
    let mut connection = server.address.connect();
    for part in request.chunks(25_000) {
        connection.send(part).await;
        sleep(SECOND).await;
    }
    assert_eq!(connection.answer().await.expect("cut off").status, 200);
    assert!(begin.elapsed() > SECOND * 80, "{:?}", begin.elapsed());

    server.fake.answer_rows(20_000);
    let mut connection = server.address.connect_with_buffer(1_024);
    connection.send(&post("/pull", &json(&pull_request()))).await;
    let (begin, mut taken, mut buffer) = (Instant::now(), 0, vec![0; 8_192]);
    while begin.elapsed() < SECOND * 120 {
        for _ in 0..8 {
            taken += connection.0.read(&mut buffer).await.unwrap();
        }
        sleep(SECOND).await;
    }
    assert!(taken > 500_000, "{taken}");
}

/// Fails if a least rate invites everybody to be slow.
#[tokio::test(start_paused = true)]
async fn slow_bodies_and_bytes_in_flight_have_places() {
    let limits = Limits::default().with_slow_bodies(1);
    let server = Server::in_memory(limits, ServeConfig::default());
    let head = || raw("POST /push", &[&bearer(), JSON, "content-length: 4000000"], b"{");
    let mut slow = [server.address.connect(), server.address.connect()];
    for connection in &mut slow {
        connection.send(&head()).await;
    }
    for _ in 0..40 {
        for connection in &mut slow {
            let _ = connection.0.write_all(&[b' '; 6_000]).await;
        }
        sleep(SECOND).await;
    }
    let [first, second] = &mut slow;
    let first = timeout(SECOND, first.answer()).await.ok();
    let second = timeout(SECOND, second.answer()).await.ok();
    let cut = [&first, &second].iter().filter(|answer| answer.is_some()).count();
    assert_eq!(cut, 1, "one has the place, the other is too slow");

    let limits = Limits::default().with_bytes_in_flight(10_000);
    let server = Server::in_memory(limits, ServeConfig::default());
    let mut waiting = server.address.connect();
    waiting.send(&raw("POST /push", &[&bearer(), JSON, "content-length: 9001"], &[b' '; 9_000])).await;
    settle().await;
    let other = raw("POST /push", &[&bearer(), JSON, "content-length: 2000"], &[b' '; 2_000]);
    let answer = server.address.connect().ask(&other).await.unwrap();
    assert_eq!(answer.status, 503);
    drop(waiting);
    settle().await;
    assert_eq!(
        server.address.connect().ask(&good()).await.unwrap().status,
        200,
        "what was held is given back"
    );
}
