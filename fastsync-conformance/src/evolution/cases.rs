//! The cases: each one row of "While both releases are in use" in the guide, or of its table of changes.

use fastsync_core::{ErrorKind, StoreRole};

use super::release::Item;
use super::rules;
use super::world::{Device, Expected, RunningServer, Which, World, expected};

const ROLES: [StoreRole; 2] = [StoreRole::Client, StoreRole::Server];

/// An edit of an object: the values of another sample.
fn edit(object: &Item, values: &Item) -> Item {
    Item { id: object.id.clone(), body: values.body.clone() }
}

pub(super) async fn the_new_release_reads_what_the_old_one_stored(world: World) {
    let items: Vec<_> = world.any_samples(Which::Old).take(4).collect();
    let Some(values) = world.any_samples(Which::New).next() else { return };
    for role in ROLES {
        let store = open(&world, role, Which::Old).await;
        for item in &items {
            world.step(format!("store {item:?}"), store.put(item)).await;
        }
        drop(store);
        let store = open(&world, role, Which::New).await;
        let mut there = world.all_carried(expected(&items));
        world.check_objects(&*store, Which::New, &there).await;
        for item in [edit(&items[0], &values), values.clone()] {
            world.step(format!("store {item:?}"), store.put(&item)).await;
            let item = world.read(Which::New, item);
            there.insert(item.id, item.body);
        }
        drop(store);
        let store = open(&world, role, Which::New).await;
        world.check_objects(&*store, Which::New, &there).await;
    }
}

pub(super) async fn the_old_release_opens_the_store_again_or_leaves_it_as_it_is(world: World) {
    let items: Vec<_> = world.any_samples(Which::Old).take(4).collect();
    for role in ROLES {
        let store = open(&world, role, Which::Old).await;
        for item in &items {
            world.step(format!("store {item:?}"), store.put(item)).await;
        }
        drop(store);
        drop(open(&world, role, Which::New).await);
        match world.open(role, Which::Old).await {
            Ok(store) => {
                let returned = items.iter().map(|item| {
                    let (old, new) = (world.schema(Which::Old), world.schema(Which::New));
                    world.read(Which::Old, rules::returned(item, &world.carried(item), old, new))
                });
                world.check_objects(&*store, Which::Old, &expected(&returned.collect::<Vec<_>>())).await;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config, "the change back is refused: {error}");
                let store = open(&world, role, Which::New).await;
                world.check_objects(&*store, Which::New, &world.all_carried(expected(&items))).await;
            }
        }
    }
}

async fn open(world: &World, role: StoreRole, which: Which) -> Box<dyn super::release::Objects> {
    match world.open(role, which).await {
        Ok(store) => store,
        Err(error) => panic!("the {} type does not open the {role:?} store: {error}", which.word()),
    }
}

pub(super) async fn at_a_new_server_devices_of_both_releases_share_what_both_have(world: World) {
    share(world, Which::New).await;
}

pub(super) async fn at_an_old_server_devices_of_both_releases_share_what_both_have(world: World) {
    share(world, Which::Old).await;
}

async fn share(world: World, at: Which) {
    let (Some(old), Some(new)) = (world.samples(Which::Old, 8), world.samples(Which::New, 8)) else { return };
    let server = world.serve(at).await;
    let (device, peer) = (world.device(Which::Old, &server).await, world.peer(Which::New, &server).await);
    let both = [(&device, &old), (&peer, &new)];
    let shared = if at == Which::Old { &old[0] } else { &new[0] };
    world.put_there(&server, shared).await;
    let (mut there, mut waiting) = (expected([shared]), Vec::new());
    for (device, items) in both {
        world.sync(device, &server).await;
        world.put(device, &items[1]).await;
        if !world.exchange(device, &server) {
            world.sync(device, &server).await;
            assert_eq!(world.pending(device).await, 1, "the object waits on the device");
            world.check_server(&server, &there).await;
            waiting.push((device.which, items[1].clone()));
            continue;
        }
        world.check_without(device, at, &there, &items[1]).await;
        let change = edit(shared, &items[2]);
        world.put(device, &change).await;
        world.put(device, &items[3]).await;
        world.sync(device, &server).await;
        world.remove(device, &items[3].id).await;
        world.sync(device, &server).await;
        for item in [&change, &items[1]] {
            world.edit(&mut there, at, device.which, item);
        }
        world.check_server(&server, &there).await;
        for (other, _) in both.iter().filter(|(other, _)| world.exchange(other, &server)) {
            world.sync(other, &server).await;
            world.check(other, at, &there).await;
        }
    }
    // Each edits what the other has made.
    for ((device, items), (_, theirs)) in [(both[0], both[1]), (both[1], both[0])] {
        if waiting.is_empty() {
            let change = edit(&theirs[1], &items[4]);
            world.put(device, &change).await;
            world.edit(&mut there, at, device.which, &change);
            for (device, _) in both {
                world.sync(device, &server).await;
            }
        }
    }
    world.check_server(&server, &there).await;
    drop((device, peer, server));

    let server = world.serve(Which::New).await;
    let device = world.device(Which::New, &server).await;
    let peer = world.peer(Which::New, &server).await;
    if at == Which::Old {
        there = world.all_carried(there);
    }
    for (by, item) in waiting {
        let item = if by == Which::Old { world.carried(&item) } else { item };
        world.edit(&mut there, Which::New, Which::New, &item);
    }
    world.settle(&[&device, &peer], &server, &there).await;
}

impl World {
    /// Before its object is sent, a device has it beside what the server has.
    async fn check_without(&self, device: &Device, at: Which, there: &Expected, own: &Item) {
        let mut with = there.clone();
        self.edit(&mut with, at, device.which, own);
        self.check(device, at, &with).await;
    }

    /// An old server with five objects, which an old device has.
    async fn begin(&self, items: &[Item]) -> (RunningServer, Device) {
        let server = self.serve(Which::Old).await;
        for item in items {
            self.put_there(&server, item).await;
        }
        let device = self.device(Which::Old, &server).await;
        self.sync(&device, &server).await;
        self.check(&device, Which::Old, &expected(items)).await;
        (server, device)
    }
}

pub(super) async fn a_device_that_is_upgraded_first_loses_no_edit(world: World) {
    let Some(items) = world.samples(Which::Old, 6) else { return };
    let (server, device) = world.begin(&items[..4]).await;
    let mut there = edit_offline(&world, &device, &items).await;
    drop(device);
    let device = world.device(Which::New, &server).await;
    // What it shows does not depend on the server.
    world.check(&device, Which::New, &world.all_carried(there.clone())).await;
    world.sync(&device, &server).await;
    if world.exchange(&device, &server) {
        // An edit of a field that the new release does not have is given up with the field.
        let mut sent = expected(&items[..4]);
        sent.remove(&items[1].id);
        for item in [edit(&items[0], &items[4]), items[5].clone()] {
            world.edit(&mut sent, Which::Old, Which::New, &world.carried(&item));
        }
        there = sent;
        world.check_server(&server, &there).await;
    } else {
        assert_eq!(world.pending(&device).await, 3, "edits that wait for the server to be upgraded");
        world.check_server(&server, &expected(&items[..4])).await;
    }
    drop((device, server));
    let server = world.serve(Which::New).await;
    let device = world.device(Which::New, &server).await;
    there = world.all_carried(there);
    world.settle(&[&device], &server, &there).await;
}

/// One object is edited, one removed, one added. What there is then, in the old release.
async fn edit_offline(world: &World, device: &Device, items: &[Item]) -> Expected {
    let mut there = expected(&items[..4]);
    for item in [edit(&items[0], &items[4]), items[5].clone()] {
        world.put(device, &item).await;
        there.insert(item.id, item.body);
    }
    world.remove(device, &items[1].id).await;
    there.remove(&items[1].id);
    there
}

pub(super) async fn a_server_that_is_upgraded_first_loses_no_edit(world: World) {
    let (Some(items), Some(new)) = (world.samples(Which::Old, 6), world.samples(Which::New, 1)) else {
        return;
    };
    let (server, device) = world.begin(&items[..4]).await;
    let edited = edit_offline(&world, &device, &items).await;
    drop((device, server));
    let server = world.serve(Which::New).await;
    let mut before = world.all_carried(expected(&items[..4]));
    let mut there = world.all_carried(edited);
    let change = edit(&items[2], &new[0]);
    world.put_there(&server, &change).await;
    for expected in [&mut before, &mut there] {
        world.edit(expected, Which::New, Which::New, &change);
    }
    let device = world.device(Which::Old, &server).await;
    world.sync(&device, &server).await;
    if world.exchange(&device, &server) {
        world.check_server(&server, &there).await;
        world.check(&device, Which::New, &there).await;
    } else {
        assert_eq!(world.pending(&device).await, 3, "edits that wait for the device to be upgraded");
        world.check_server(&server, &before).await;
    }
    drop(device);
    let device = world.device(Which::New, &server).await;
    world.settle(&[&device], &server, &there).await;
}

pub(super) async fn a_push_without_an_answer_is_settled_after_the_server_is_upgraded(world: World) {
    lose(world, false).await;
}

pub(super) async fn a_push_without_an_answer_is_settled_after_both_are_upgraded(world: World) {
    lose(world, true).await;
}

async fn lose(world: World, at_once: bool) {
    let (Some(items), Some(new)) = (world.samples(Which::Old, 6), world.samples(Which::New, 1)) else {
        return;
    };
    let (server, device) = world.begin(&items[..4]).await;
    drop(device);
    let device = world.unlucky(Which::Old, &server).await;
    let there = edit_offline(&world, &device, &items).await;
    world.lose(&device).await;
    world.check_server(&server, &there).await;
    drop((device, server));
    let server = world.serve(Which::New).await;
    // What was pushed is edited since: to apply the push again would undo it.
    let change = edit(&items[0], &new[0]);
    world.put_there(&server, &change).await;
    let mut there = world.all_carried(there);
    world.edit(&mut there, Which::New, Which::New, &change);
    if !at_once {
        let device = world.device(Which::Old, &server).await;
        world.sync(&device, &server).await;
        world.check_server(&server, &there).await;
    }
    let device = world.device(Which::New, &server).await;
    world.settle(&[&device], &server, &there).await;
}
