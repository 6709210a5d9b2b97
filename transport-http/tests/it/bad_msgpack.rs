//! Bodies that are no MessagePack, or not the message that was asked for.

use crate::support::*;
use fastsync_transport_http::Limits;

const ID: &[u8] = b"\xa8object-0";
const NAME: &[u8] = "\u{f}Ünïcode 0 \"quoted\"".as_bytes(); // after the first byte
const DECLARED: [(&str, &[u8]); 5] = [
    ("array", b"\xdd\xff\xff\xff\xff"),
    ("map", b"\xdf\xff\xff\xff\xff"),
    ("bin", b"\xc6\xff\xff\xff\xff"),
    ("str", b"\xdb\xff\xff\xff\xff"),
    ("ext", b"\xc9\xff\xff\xff\xff\x01"),
];

/// A text as it is written: all of them here are shorter than 32 bytes.
fn text(text: &str) -> Vec<u8> {
    [&[0xa0 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// The good body with another first value in its row.
fn with_value(good: &[u8], value: &[u8]) -> Vec<u8> {
    let name = text(std::str::from_utf8(&NAME[1..]).unwrap());
    replaced(good, &name, value)
}

#[tokio::test]
async fn message_pack_that_is_none() {
    let good = message_pack(&push_request(1));
    let mut bodies: Vec<(String, Vec<u8>)> = vec![
        ("nothing".into(), Vec::new()),
        ("JSON".into(), json(&push_request(1))),
        ("truncated".into(), good[..good.len() / 2].into()),
        ("without the last byte".into(), good[..good.len() - 1].into()),
        ("one byte more".into(), [&*good, b"\x00"].concat()),
        ("the start of an array more".into(), [&*good, b"\x91"].concat()),
        ("two messages".into(), [&*good, &*good].concat()),
        ("nil".into(), vec![0xc0]),
        ("text".into(), text("canary")),
        ("an empty map".into(), vec![0x80]),
        ("in an array".into(), [b"\x91", &*good].concat()),
        ("fields in an array".into(), {
            let request = push_request(1);
            rmp_serde::to_vec(&(request.metadata, request.session, 1, request.mode)).unwrap()
        }),
        ("the reserved byte".into(), replaced(&good, ID, b"\xc1")),
        ("duplicate member".into(), [b"\x87", &*text("number"), &*b"\x01".to_vec(), &good[1..]].concat()),
        ("missing member".into(), replaced(&good, &[&*text("number"), b"\x01"].concat(), b"")),
        ("a key that is no name".into(), replaced(&good, &text("number"), b"\xc0")),
        (
            "number as text".into(),
            replaced(&good, &[&*text("number"), b"\x01"].concat(), &[&*text("number"), &*text("1")].concat()),
        ),
        (
            "number below 0".into(),
            replaced(&good, &[&*text("number"), b"\x01"].concat(), &[&*text("number"), b"\xff"].concat()),
        ),
        ("pull instead of push".into(), message_pack(&pull_request())),
        ("a row that is too short".into(), replaced(&good, &[b"\x96", ID].concat(), &[b"\x95", ID].concat())),
        ("a row that ends early".into(), replaced(&good, &[b"\x96", ID].concat(), &[b"\x97", ID].concat())),
    ];
    assert_eq!(good[0], 0x86);
    let ids: [(&str, &[u8]); 7] = [
        ("empty", b"\xa0"),
        ("number", b"\x01"),
        ("nil", b"\xc0"),
        ("15 bytes", b"\xc4\x0f123456789012345"),
        ("17 bytes", b"\xc4\x1112345678901234567"),
        ("NUL", b"\xa3a\0b"),
        ("no UTF-8", b"\xa3a\xffb"),
    ];
    bodies.extend(ids.map(|(name, id)| (format!("id: {name}"), replaced(&good, ID, id))));
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    let values: Vec<(&str, Vec<u8>)> = vec![
        ("infinity", [b"\xcb", &f64::INFINITY.to_be_bytes()[..]].concat()),
        ("NaN", [b"\xcb", &f64::NAN.to_be_bytes()[..]].concat()),
        ("2^63", b"\xcf\x80\0\0\0\0\0\0\0".to_vec()),
        ("no UTF-8", b"\xa3a\xffb".to_vec()),
        ("bytes alone", b"\xc4\x011".to_vec()),
        ("empty array", b"\x90".to_vec()),
        ("two in an array", b"\x92\xc4\x011\xc4\x011".to_vec()),
        ("a number in an array", b"\x91\x01".to_vec()),
        ("arrays in an array", b"\x91\x91\xc4\x011".to_vec()),
        ("a map", b"\x81\xa1a\x01".to_vec()),
        ("an extension", b"\xd4\x01\x01".to_vec()),
        ("no JSON", [b"\x91", &*text("{canary")].concat()),
        ("two JSON values", [b"\x91", &*text("1 2")].concat()),
        ("JSON that is too deep", [b"\x91\xd9\x42", deep.as_bytes()].concat()),
    ];
    bodies.extend(values.iter().map(|(name, value)| (format!("value: {name}"), with_value(&good, value))));
    for (name, length) in DECLARED {
        let group = [&*text("rows"), b"\x91"].concat();
        bodies.push((
            format!("declared rows: {name}"),
            replaced(&good, &group, &[&*text("rows"), length].concat()),
        ));
        let devices = [&*text("devices"), b"\x91"].concat();
        bodies.push((
            format!("declared devices: {name}"),
            replaced(&good, &devices, &[&*text("devices"), length].concat()),
        ));
        bodies.push((format!("declared id: {name}"), replaced(&good, ID, length)));
        bodies.push((format!("declared value: {name}"), with_value(&good, length)));
        bodies.push((
            format!("declared wrapped value: {name}"),
            with_value(&good, &[b"\x91", length].concat()),
        ));
        bodies.push((format!("declared message: {name}"), [length, &good[1..]].concat()));
        bodies.push((format!("declared and no more: {name}"), length.to_vec()));
    }
    for depth in [40, 5_000, 1_000_000] {
        bodies.push((format!("arrays of depth {depth}"), vec![0x91; depth]));
        bodies.push((format!("maps of depth {depth}"), b"\x81\xa1a".repeat(depth)));
        bodies.push((format!("value of depth {depth}"), with_value(&good, &vec![0x91; depth])));
        let inside = [b"\x87", &*text("canary"), &vec![0x91; depth], &good[1..]].concat();
        bodies.push((format!("unknown member of depth {depth}"), inside));
    }
    let many = [&*text("rows"), b"\xdd\x00\x2d\xc6\xc0", &vec![0xc0; 3_000_000]].concat();
    bodies.push(("many rows".into(), replaced(&good, &[&*text("rows"), b"\x91"].concat(), &many)));
    for (name, body) in &bodies {
        assert_ne!(body, &good, "{name} changes nothing");
    }
    let cases = bodies
        .into_iter()
        .map(|(name, body)| case(name, post_binary("/push", &[], &body), 400, "invalid_input"))
        .collect();
    run(cases, Limits::default(), true).await;
}

#[tokio::test]
async fn the_other_checks_are_those_of_json() {
    let good = message_pack(&push_request(1));
    let later =
        replaced(&good, &[&*text("protocol"), b"\x01"].concat(), &[&*text("protocol"), b"\x02"].concat());
    let later =
        replaced(&later, &[&*text("number"), b"\x01"].concat(), &[&*text("number"), b"\xc3"].concat());
    let large = [b"\x81", &*text("a"), b"\xc6\x00\xa0\x00\x00", &vec![0; 10 << 20]].concat();
    let typed = |kind: &str| {
        let (bearer, length) = (bearer(), format!("content-length: {}", good.len()));
        raw("POST /push", &[&bearer, &length, kind], &good)
    };
    let cases = vec![
        case("later protocol", post_binary("/push", &[], &later), 426, "upgrade_required"),
        case("called JSON", post("/push", &good), 400, "invalid_input"),
        case("with a charset", typed("content-type: application/msgpack; charset=utf-8"), 415, "unsupported"),
        case("of another name", typed("content-type: application/x-msgpack"), 415, "unsupported"),
        case(
            "cut gzip",
            post_binary("/push", &["content-encoding: gzip"], &gzip(&good)[..40]),
            400,
            "invalid_input",
        ),
        case(
            "too large unpacked",
            post_binary("/push", &["content-encoding: gzip"], &gzip(&large)),
            413,
            "too_large",
        ),
    ];
    run(cases, Limits::default(), true).await;
}
