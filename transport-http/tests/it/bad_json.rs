//! Bodies that are no JSON, or not the JSON that was asked for.

use crate::support::*;
use fastsync_core::Transport as _;
use fastsync_transport_http::Limits;

#[tokio::test]
async fn json_that_is_none() {
    let good = String::from_utf8(json(&push_request(1))).unwrap();
    let mut texts: Vec<(String, Vec<u8>)> = vec![
        ("nothing".into(), Vec::new()),
        ("blanks".into(), b"   ".to_vec()),
        ("BOM".into(), [b"\xef\xbb\xbf", good.as_bytes()].concat()),
        (
            "invalid UTF-8".into(),
            good.replace("quoted", "\u{1}")
                .into_bytes()
                .iter()
                .map(|b| if *b == 1 { 0xff } else { *b })
                .collect(),
        ),
        ("UTF-16".into(), good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("trailing characters".into(), format!("{good}canary").into_bytes()),
        ("two objects".into(), format!("{good}{good}").into_bytes()),
        ("truncated".into(), good[..good.len() / 2].into()),
        ("single quotes".into(), good.replace('"', "'").into_bytes()),
        ("trailing comma".into(), good.replace("\"number\":1,", "\"number\":1,,").into_bytes()),
        ("duplicate field".into(), good.replace("\"number\":1,", "\"number\":1,\"number\":2,").into_bytes()),
        ("missing field".into(), good.replace("\"number\":1,", "").into_bytes()),
        ("lone surrogate".into(), good.replace("quoted", "\\ud800").into_bytes()),
        ("pull instead of push".into(), json(&pull_request())),
    ];
    for number in [
        "\"1\"",
        "1.5",
        "-1",
        "18446744073709551616",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "null",
        "true",
        "[]",
        "{}",
        "01",
        "0x1",
        "+1",
        "\"canary\"",
    ] {
        texts.push((
            format!("number {number}"),
            good.replace("\"number\":1", &format!("\"number\":{number}")).into_bytes(),
        ));
    }
    for id in ["1", "null", "true", "[]", "{}", "\"\"", "\"a\\u0000b\"", "{\"$ne\":null}"] {
        texts.push((format!("id {id}"), good.replace("\"object-0\"", id).into_bytes()));
    }
    for top in ["null", "true", "1", "\"canary\"", "[]", "[1,2]", "{}", &format!("[{good}]")] {
        texts.push((format!("top {top}"), top.into()));
    }
    for follows in ["1", "\"\"", "\"canary\"", "[]", "{}", "true"] {
        let text = good.replace("\"follows\":null", &format!("\"follows\":{follows}"));
        texts.push((format!("follows {follows}"), text.into_bytes()));
    }
    // serde alone would take the fields in order.
    let request = push_request(1);
    texts.push((
        "fields in an array".into(),
        json(&(request.metadata, request.session, 1, request.mode, request.payload)),
    ));
    for depth in [128, 1000, 500_000] {
        texts.push((format!("depth {depth}"), vec![b'['; depth]));
        let nested = format!("{}{}", "{\"a\":".repeat(depth), "1");
        texts.push((format!("objects of depth {depth}"), nested.into_bytes()));
        let inside = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        texts.push((format!("value of depth {depth}"), good.replace("\"object-0\"", &inside).into_bytes()));
        let unknown = format!("\"number\":1,\"canary\":{inside},");
        texts.push((
            format!("unknown member of depth {depth}"),
            good.replace("\"number\":1,", &unknown).into_bytes(),
        ));
    }
    let many = "0,".repeat(1_500_000);
    texts.push((
        "many devices".into(),
        good.replace("\"devices\":[", &format!("\"devices\":[{many}")).into_bytes(),
    ));
    texts.push(("many rows".into(), good.replace("\"rows\":[", &format!("\"rows\":[{many}")).into_bytes()));
    texts.push(("many empty objects".into(), format!("[{}{{}}]", "{},".repeat(1_000_000)).into_bytes()));
    for (name, text) in &texts {
        assert_ne!(text, good.as_bytes(), "{name} changes nothing");
    }
    let cases = texts
        .into_iter()
        .map(|(name, text)| case(name, post("/push", &text), 400, "invalid_input"))
        .collect();
    run(cases, Limits::default(), true).await;
}

#[tokio::test]
async fn a_request_of_another_protocol_is_told_so_whatever_its_form() {
    let good = String::from_utf8(json(&push_request(1))).unwrap();
    let later = good.replace("\"protocol\":1", "\"protocol\":2").replace("\"number\":1", "\"number\":true");
    let feature = good
        .replace("\"protocol\":1", "\"protocol\":1,\"requires\":[\"fly\"]")
        .replace("\"mode\":\"atomic\"", "\"mode\":\"flying\"");
    assert!(feature.contains("flying") && feature.contains("\"fly\""));
    run(
        vec![
            case("later protocol", post("/push", later.as_bytes()), 426, "upgrade_required"),
            case("later feature", post("/push", feature.as_bytes()), 426, "upgrade_required"),
        ],
        Limits::default(),
        true,
    )
    .await;
}

/// Fails if a client of a later release is not told what this server serves, or is told it where it does not help.
#[tokio::test]
async fn a_request_of_another_protocol_is_told_which_ones_are_served() {
    let server = Server::start(Limits::default(), patient()).await;
    let good = String::from_utf8(json(&push_request(1))).unwrap();
    let later = good.replace("\"protocol\":1", "\"protocol\":2").replace("\"number\":1", "\"number\":true");
    let feature = good.replace("\"protocol\":1", "\"protocol\":1,\"requires\":[\"fly\"]");
    let feature = feature.replace("\"mode\":\"atomic\"", "\"mode\":\"flying\"");
    for (text, told) in [(later, true), (feature, false)] {
        let answer =
            Connection::open(server.address).await.ask(&post("/push", text.as_bytes())).await.unwrap();
        assert_eq!((answer.status, answer.text().contains(r#""protocols":[1,1]"#)), (426, told));
        let request = push_request(1);
        server.fake.refuse_protocol(told.then_some(1..=1));
        let error =
            server.client().push(&request.clone().into()).await.err().and_then(|error| error.protocols());
        assert_eq!(error, told.then_some(1..=1), "through the client");
    }
}

/// Fails if a member of a later release, in either form, is an error, changes the request or may be nested without limit.
#[tokio::test]
async fn what_is_unknown_is_ignored_within_the_limits() {
    let (text, binary) = (String::from_utf8(json(&push_request(1))).unwrap(), message_pack(&push_request(1)));
    let in_text =
        |unknown: &str| text.replace("\"number\":1,", &format!("\"number\":1,\"later\":{unknown},"));
    let in_binary = |unknown: &[u8]| [&[binary[0] + 1], &b"\xa5later"[..], unknown, &binary[1..]].concat();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let longer = text.replace("x\"]]", "x\"],[{}],0]");
    assert_ne!(longer, text, "a row is longer");
    let server = Server::start(Limits::default(), patient()).await;
    let good = [
        post("/push", in_text("{\"a\":[1,\"]\",null]}").as_bytes()),
        post("/push", in_text(&nested(63)).as_bytes()),
        post("/push", longer.as_bytes()),
        post_binary("/push", &[], &in_binary(b"\x93\x01\xc0\x81\xa1a\xc4\x01\xff")),
        post_binary("/push", &[], &in_binary(&[&[0x91; 30][..], b"\x90"].concat())),
        post_binary("/push", &[], &in_binary(b"\xd4\x01\x01")),
    ];
    let calls = good.len();
    for (at, request) in good.into_iter().enumerate() {
        let answer = Connection::open(server.address).await.ask(&request).await.unwrap();
        assert_eq!(answer.status, 200, "{at}: {}", answer.text());
    }
    assert_eq!(server.fake.pushes(), vec![push_request(1); calls]);
    for (at, request) in [
        post("/push", in_text(&nested(64)).as_bytes()),
        post_binary("/push", &[], &in_binary(&[&[0x91; 31][..], b"\x90"].concat())),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = Connection::open(server.address).await.ask(&request).await.unwrap();
        assert_eq!((answer.status, &*answer.code()), (400, "invalid_input"), "{at}: {}", answer.text());
    }
    assert_eq!(server.fake.calls(), calls);
    server.stop().await;
}
