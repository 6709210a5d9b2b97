//! Small bodies that unpack to huge ones cost neither memory nor time. Alone in its file, since it measures the
//! memory of the process.

use std::io::Write;
use std::time::Duration;

use crate::support::*;
use fastsync_core::{ErrorKind, Transport};
use fastsync_transport_http::HttpTransport;
use tokio::time::Instant;

/// The most memory that the process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).map_or(0, |kib| kib.parse().unwrap())
}

fn repeated(piece: &[u8], bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
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
    let mut encoder = zstd::Encoder::new(Vec::new(), 19).unwrap();
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

#[tokio::test]
async fn bombs_are_refused_quickly_in_little_memory() {
    let zeros = repeated(&[0; 1 << 16], 100 << 20);
    assert!(zeros.len() < 110_000, "{}", zeros.len());
    let records = repeated(&br#"["object-1","0","0",1,0,["name","note"]],"#.repeat(1000), 100 << 20);
    let bombs = [("gzip", &zeros), ("gzip", &records)];
    #[cfg(feature = "zstd")]
    let (zstd_zeros, zstd_records) =
        (zstd_repeated(&[0; 1 << 16], 100 << 20), zstd_repeated(&b"[null,0]".repeat(1000), 100 << 20));
    #[cfg(feature = "zstd")]
    let bombs = [bombs[0], bombs[1], ("zstd", &zstd_zeros), ("zstd", &zstd_records)];
    let server = Server::plain().await;
    server.client().push(&push_request(10)).await.unwrap();
    let before = peak();
    for (coding, bomb) in bombs {
        for _ in 0..5 {
            let begin = Instant::now();
            let request = post_with("/push", &[&format!("content-encoding: {coding}")], bomb);
            let answer = Connection::open(server.address).await.ask(&request).await.unwrap();
            assert_eq!((answer.status, &*answer.code()), (413, "too_large"));
            assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        }
    }
    declared_lengths(&server).await;
    // The same bomb as a reply.
    let (listener, address) = listen().await;
    let reply = [
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            zeros.len()
        )
        .as_bytes(),
        &zeros,
    ]
    .concat();
    tokio::spawn(async move {
        let mut connection = Connection(listener.accept().await.unwrap().0);
        read_request(&mut connection.0).await.unwrap();
        connection.send(&reply).await;
        connection.closed(Duration::from_secs(20)).await;
    });
    let client = HttpTransport::builder(format!("http://{address}")).response_bytes(4 << 20).build().unwrap();
    let error = client.pull(&pull_request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    let grown = peak() - before;
    assert!(grown < 48 * 1024, "{grown} KiB");
}
