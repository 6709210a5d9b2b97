//! Who may see and write what: tenants, read-only zones, zones that are foreign, absent or revoked.

use std::sync::{Arc, Mutex};

use crate::support::by_hand::*;
use crate::support::*;
use fastsync_core::protocol::*;
use fastsync_core::*;

fn of_tenant(tenant: &str, user: &str) -> SyncContext {
    SyncContext::new(user).with_tenant(tenant)
}

/// Contexts of which no two may be taken for each other: other tenants, or the same letters put together
/// otherwise.
fn contexts() -> Vec<SyncContext> {
    vec![
        of_tenant("acme", "ada"),
        of_tenant("umbrella", "ada"),
        of_tenant("acmea", "da"),
        of_tenant("acm", "eada"),
        of_tenant("", "acmeada"),
        of_tenant("acmeada", ""),
        of_tenant("", "ada"),
        SyncContext::new("ada"),
        SyncContext::new("acmeada"),
        SyncContext::new(""),
    ]
}

/// The zone of a tenant to write, and the handbook to read; global objects are for everyone.
fn tenants(context: &SyncContext) -> ZoneAccess {
    let access = ZoneAccess::none().read_write(Zone::Global).read(handbook());
    match &context.tenant {
        Some(tenant) if !tenant.is_empty() => access.read_write(zone(tenant)),
        _ => access,
    }
}

fn handbook() -> Zone {
    zone("handbook")
}

async fn serve_tenants() -> ServerSide {
    serve(MemoryDataSource::new(), LastWriterWins, tenants, ServerLimits::default()).await
}

fn note(id: &str, text: &str) -> Row {
    row(&Note { id: id.into(), text: text.into() }, Revision::NONE, 1)
}

/// Fails if a cursor is not bound to the tenant, or to where the tenant's name ends and the user's begins.
#[tokio::test]
async fn a_cursor_serves_its_holder_only() {
    let server = serve_tenants().await;
    server.tasks.add(&task("1", "x")).await.unwrap();
    let device = Device::new(1);
    let mut refusals = Vec::new();
    for (at, holder) in contexts().iter().enumerate() {
        let mut pull = device.pull([Zone::Global]);
        pull.cursor = Some(server.page(holder, pull.clone()).await.cursor);
        for (other, context) in contexts().iter().enumerate() {
            let answer = server.manager.process_pull(context, pull.clone()).await;
            if other == at {
                assert!(matches!(answer, Ok(PullReply::Page(page)) if page.payload.is_empty()));
            } else {
                let error = answer.expect_err(&format!("{holder:?} and {context:?}"));
                assert_eq!(error.kind(), ErrorKind::BadCursor);
                refusals.push(error.to_string());
            }
        }
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "nothing tells whose it is");
}

/// Fails if what the server remembers of a device is not bound to the tenant, or to where its name ends.
#[tokio::test]
async fn the_numbers_of_a_device_belong_to_its_tenant_and_user() {
    let server = serve_tenants().await;
    for (at, context) in contexts().iter().enumerate() {
        let push = Device::new(1).push(tasks(vec![new_row(&at.to_string(), 1)]));
        let receipt = server.receipt(context, push.clone()).await;
        assert_eq!(told(&receipt), [], "{context:?}");
        assert_eq!(server.receipt(context, push).await, receipt, "{context:?}");
    }
    assert_eq!(server.sessions(&Zone::Global).await.len(), contexts().len());
}

/// Fails if `read` lets someone write.
#[test]
fn access_is_what_was_granted() {
    let access = ZoneAccess::none().read(zone("r")).read_write(zone("rw"));
    let granted = ["r", "rw", "other"].map(|key| (access.can_read(&zone(key)), access.can_write(&zone(key))));
    assert_eq!(granted, [(true, false), (true, true), (false, false)]);
    assert!(!access.can_read(&Zone::Global) && !access.can_write(&Zone::Global));
}

/// Fails if someone who may read a zone writes to it: something new, an edit, or a deletion; in either mode.
#[tokio::test]
async fn a_zone_to_read_is_not_written() {
    let server = serve_tenants().await;
    let notes = Repository::<Note>::in_zone(&server.store, handbook());
    notes.add(&Note { id: "1".into(), text: "the rules".into() }).await.unwrap();
    let stored =
        server.store.source().find(&Query::all(type_name("notes"), handbook())).await.unwrap().records;
    let Record { metadata, .. } = &stored[0];
    let mut edit = note("1", "no rules");
    (edit.1, edit.2) = (metadata.revision, metadata.incarnation);
    let mut deletion = edit.clone();
    deletion.5 = None;

    let mut device = Device::new(1);
    let ada = of_tenant("acme", "ada");
    for mode in [PushMode::PerObject, PushMode::Atomic] {
        for (what, row) in
            [("new", note("2", "mine")), ("edit", edit.clone()), ("deletion", deletion.clone())]
        {
            let ours = group(zone("acme"), "notes", vec![note(&format!("{mode:?} {what}"), "x")]);
            let own = ours.rows[0].0.clone();
            let mut push = device.push(vec![ours, group(handbook(), "notes", vec![row.clone()])]);
            push.mode = mode;
            let receipt = server.receipt(&ada, push).await;
            let refused = (row.0.as_str(), "zone");
            let expected = match mode {
                PushMode::PerObject => vec![refused],
                _ => vec![(own.as_str(), "aborted"), refused],
            };
            assert_eq!(told(&receipt), expected, "{mode:?} {what}");
            // Who may read it is told what it is.
            let shown = receipt.current.groups.iter().filter(|group| group.zone == handbook());
            let shown: Vec<_> = shown.flat_map(|group| &group.rows).map(|row| row.0.as_str()).collect();
            assert_eq!(shown, if what == "new" { vec![] } else { vec!["1"] }, "{mode:?} {what}");
            let is_there =
                server.store.source().get(&type_name("notes"), &zone("acme"), &[own]).await.unwrap();
            assert_eq!(is_there.len(), usize::from(mode == PushMode::PerObject), "{mode:?} {what}");
        }
    }
    assert_eq!(
        server.store.source().find(&Query::all(type_name("notes"), handbook())).await.unwrap().records,
        stored
    );
    assert_eq!(server.sessions(&handbook()).await.len(), 1);
    let page = server.page(&ada, device.pull([handbook()])).await;
    assert_eq!(ids(&page.payload), ["1"], "and it is read");
}

/// Fails if a zone of another tenant is answered otherwise than one that no tenant has.
#[tokio::test]
async fn a_zone_of_another_tenant_is_like_an_absent_one() {
    let server = serve_tenants().await;
    let theirs = vec![group(zone("umbrella"), "notes", vec![note("secret", "canary-51b0")])];
    server.receipt(&of_tenant("umbrella", "bob"), Device::new(2).push(theirs)).await;

    let ada = of_tenant("acme", "ada");
    let mut answers = Vec::new();
    for foreign in ["umbrella", "nobody"] {
        let mut device = Device::new(1 + answers.len() as u128);
        let told = |receipt: PushReceipt| {
            assert!(receipt.current.is_empty());
            receipt.exceptions.into_iter().map(|named| (named.id, named.outcome)).collect::<Vec<_>>()
        };
        let mut outcomes = Vec::new();
        for row in [note("secret", "mine"), note("other", "mine")] {
            let push = device.push(vec![group(zone(foreign), "notes", vec![row])]);
            outcomes.push(told(server.receipt(&ada, push).await));
        }
        // Alone, first, and last.
        let mut errors = Vec::new();
        for zones in [vec![foreign], vec![foreign, "acme"], vec!["acme", foreign]] {
            let pull = device.pull(zones.into_iter().map(zone));
            errors.push(server.manager.process_pull(&ada, pull).await.unwrap_err().to_string());
        }
        answers.push((outcomes, errors));
    }
    assert_eq!(answers[0], answers[1]);
    assert!(!format!("{answers:?}").contains("umbrella"));
    let stored =
        server.store.source().find(&Query::all(type_name("notes"), zone("umbrella"))).await.unwrap().records;
    assert_eq!(stored.len(), 1);
    assert!(server.sessions(&zone("nobody")).await.is_empty());
}

/// Fails if a cursor outlives the right to read what it stands for, or if a zone that is granted again begins
/// where the cursor stood.
#[tokio::test]
async fn a_zone_that_is_revoked_is_gone_whatever_the_cursor_says() {
    let granted = Arc::new(Mutex::new(true));
    let policy = {
        let granted = Arc::clone(&granted);
        move |_: &SyncContext| {
            let access = ZoneAccess::none().read(Zone::Global);
            if *granted.lock().unwrap() { access.read(handbook()) } else { access }
        }
    };
    let server = serve(MemoryDataSource::new(), LastWriterWins, policy, ServerLimits::default()).await;
    let notes = Repository::<Note>::in_zone(&server.store, handbook());
    notes.add(&Note { id: "1".into(), text: "before".into() }).await.unwrap();
    let (ada, device) = (SyncContext::new("ada"), Device::new(1));
    let mut both = device.pull([Zone::Global, handbook()]);
    let page = server.page(&ada, both.clone()).await;
    assert_eq!(ids(&page.payload), ["1"]);
    both.cursor = Some(page.cursor.clone());

    *granted.lock().unwrap() = false;
    notes.add(&Note { id: "2".into(), text: "after".into() }).await.unwrap();
    let error = server.manager.process_pull(&ada, both.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownZone);
    let mut global = device.pull([Zone::Global]);
    global.cursor = Some(page.cursor);
    let page = server.page(&ada, global).await;
    assert!(page.payload.is_empty());

    *granted.lock().unwrap() = true;
    both.cursor = Some(page.cursor);
    let anew = server.page(&ada, both).await;
    assert_eq!(ids(&anew.payload), ["1", "2"], "from the beginning");
}
