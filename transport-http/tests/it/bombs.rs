//! Small bodies that unpack to huge ones cost little memory: what is beyond the limit is not even unpacked.

use std::io::Write;
use std::process::Command;

use crate::support::*;
use fastsync_core::{ErrorKind, Transport};
use fastsync_transport_http::HttpTransport;

/// The most memory that the process ever had, in KiB; `None` where the system does not tell (only Linux does).
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Without its end, which is not looked at if unpacking stops at the limit: otherwise the body is malformed.
fn broken_off(mut packed: Vec<u8>) -> Vec<u8> {
    packed.truncate(packed.len() - 20);
    packed
}

fn repeated(piece: &[u8], bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut written = 0;
    while written < bytes {
        encoder.write_all(piece).unwrap();
        written += piece.len();
    }
    encoder.finish().unwrap()
}

/// A frame with the largest window that is read.
#[cfg(feature = "zstd")]
fn zstd_repeated(piece: &[u8], bytes: usize) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(23).unwrap();
    for _ in 0..bytes / piece.len() {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// Bodies that say that gigabytes will come, in every place where a length can be.
async fn declared_lengths(server: &Server) {
    let good = message_pack(&push_request(1));
    let array = b"\xdd\xff\xff\xff\xff";
    let bodies = [
        replaced(&good, b"\xa4rows\x91", &[b"\xa4rows", &array[..]].concat()),
        replaced(&good, b"\xa7devices\x91", &[b"\xa7devices", &array[..]].concat()),
        replaced(&good, b"\xa6groups\x91", &[b"\xa6groups", &array[..]].concat()),
        replaced(&good, b"\xa8object-0", b"\xdb\xff\xff\xff\xff"),
        replaced(&good, b"\xa8object-0", b"\xc6\xff\xff\xff\xff"),
        b"\xdf\xff\xff\xff\xff".to_vec(),
    ];
    for body in bodies {
        let answer =
            Connection::open(server.address).await.ask(&post_binary("/push", &[], &body)).await.unwrap();
        assert_eq!((answer.status, &*answer.code()), (400, "invalid_input"));
    }
}

const ALONE: &str = "FASTSYNC_TEST_ALONE";

/// In a process of its own: other tests take memory, too. Fails on every system if a whole bomb is unpacked, and on Linux
/// if memory is taken in another way.
#[test]
fn bombs_are_refused_at_the_limit_in_little_memory() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(bombs()) {
            Some(grown) => assert!(grown < 48 * 1024, "{grown} KiB"),
            None => eprintln!("SKIPPED: this system does not tell how much memory a process had at most"),
        }
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bombs::bombs_are_refused_at_the_limit_in_little_memory", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complains = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complains}");
    complains.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| eprintln!("{line}"));
    assert!(said.contains("1 passed"), "{said}");
}

/// Gives by how many KiB the memory has grown, if the system tells.
async fn bombs() -> Option<u64> {
    let zeros = repeated(&[0; 1 << 16], 64 << 20);
    assert!(zeros.len() < 1 << 20, "{}", zeros.len());
    let zeros = broken_off(zeros);
    let records =
        broken_off(repeated(&br#"["object-1","0","0",1,0,["name","note"]],"#.repeat(1000), 64 << 20));
    let bombs = [("gzip", &zeros), ("gzip", &records)];
    #[cfg(feature = "zstd")]
    let (zstd_zeros, zstd_records) = (
        broken_off(zstd_repeated(&[0; 1 << 16], 64 << 20)),
        broken_off(zstd_repeated(&b"[null,0]".repeat(1000), 64 << 20)),
    );
    #[cfg(feature = "zstd")]
    let bombs = [bombs[0], bombs[1], ("zstd", &zstd_zeros), ("zstd", &zstd_records)];
    let server = Server::plain().await;
    server.client().push(&push_request(10).into()).await.unwrap();
    let before = peak();
    for (coding, bomb) in bombs {
        let request = post_with("/push", &[&format!("content-encoding: {coding}")], bomb);
        let answer = Connection::open(server.address).await.ask(&request).await.unwrap();
        assert_eq!((answer.status, &*answer.code()), (413, "too_large"), "{coding}");
    }
    declared_lengths(&server).await;
    // The same bomb as a reply.
    let (listener, address) = listen().await;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
         content-length: {}\r\n\r\n",
        zeros.len()
    );
    let reply = [head.as_bytes(), &zeros].concat();
    tokio::spawn(async move {
        let mut connection = Connection(listener.accept().await.unwrap().0);
        read_request(&mut connection.0).await.unwrap();
        connection.send(&reply).await;
        connection.closed().await;
    });
    let client = HttpTransport::builder(format!("http://{address}")).response_bytes(4 << 20).build().unwrap();
    let error = pulled(&client).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Protocol, "the answer is too large"),
        "{error:?}"
    );
    Some(peak()? - before?)
}
