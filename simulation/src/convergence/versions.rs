//! A made-up second version of the protocol. Its messages count a device's pushes in tens: 10, 20, 30, in requests and in answers.

use std::ops::RangeInclusive;

use fastsync_core::protocol::{PROTOCOL_VERSION, PullReply, PullRequest, PushReply, PushRequest};
use fastsync_core::{Error, ErrorKind, Result, SyncContext};

use super::mutation::Mutation;
use super::world::World;

/// The version before.
pub(super) const EARLIER: u16 = PROTOCOL_VERSION;

/// The version that is made up.
pub(super) const LATER: u16 = EARLIER + 1;

const STEP: u64 = 10;

/// The number of a push as a message of this version has it.
fn written(version: u16, number: u64) -> u64 {
    if version == LATER { number * STEP } else { number }
}

/// The number of a push that a message of this version has.
fn read(version: u16, number: u64) -> u64 {
    if version == LATER { number / STEP } else { number }
}

/// A push as its client writes it.
pub(super) fn write_push(request: &PushRequest) -> PushRequest {
    let number = written(request.metadata.protocol, request.number);
    let mut request = request.clone();
    request.number = number;
    request
}

/// A pull as its client writes it.
pub(super) fn write_pull(request: &PullRequest) -> PullRequest {
    let own_through = written(request.metadata.protocol, request.own_through);
    let mut request = request.clone();
    request.own_through = own_through;
    request
}

/// The answer to a push of this version as its client reads it.
pub(super) fn read_push_reply(version: u16, reply: PushReply) -> PushReply {
    renumbered(reply, |last| read(version, last))
}

/// The answer to a pull of this version as its client reads it.
pub(super) fn read_pull_reply(version: u16, reply: PullReply) -> PullReply {
    renumbered_reset(reply, |last| read(version, last))
}

/// What the server answers to a push, each in the version that the push is in.
pub(super) async fn serve_push(
    world: &World,
    context: &SyncContext,
    mut request: PushRequest,
) -> Result<PushReply> {
    let version = agree(world, request.metadata.protocol)?;
    if version == LATER {
        world.ledger.note("pushes in the later protocol");
    }
    request.metadata.protocol = EARLIER;
    request.number = understood(world, version, request.number);
    let reply = world.server().manager.process_push(context, request).await?;
    Ok(renumbered(reply, |last| written(version, last)))
}

/// What the server answers to a pull.
pub(super) async fn serve_pull(
    world: &World,
    context: &SyncContext,
    mut request: PullRequest,
) -> Result<PullReply> {
    let version = agree(world, request.metadata.protocol)?;
    request.metadata.protocol = EARLIER;
    request.own_through = understood(world, version, request.own_through);
    let reply = world.server().manager.process_pull(context, request).await?;
    Ok(renumbered_reset(reply, |last| written(version, last)))
}

fn renumbered_reset(mut reply: PullReply, number: impl FnOnce(u64) -> u64) -> PullReply {
    if let PullReply::ResetRequired(reset) = &mut reply {
        reset.last = reset.last.map(number);
    }
    reply
}

fn renumbered(reply: PushReply, number: impl FnOnce(u64) -> u64) -> PushReply {
    match reply {
        PushReply::Gap { last } => PushReply::Gap { last: number(last) },
        PushReply::Voided { last } => PushReply::Voided { last: number(last) },
        reply => reply,
    }
}

fn understood(world: &World, version: u16, number: u64) -> u64 {
    let version = if world.mutation == Some(Mutation::MisreadVersion) { EARLIER } else { version };
    read(version, number)
}

/// Refuses a version that the server does not speak yet.
fn agree(world: &World, version: u16) -> Result<u16> {
    let served: RangeInclusive<u16> = EARLIER..=world.server_speaks();
    if served.contains(&version) {
        return Ok(version);
    }
    world.ledger.note("requests refused for their version");
    let error = Error::new(ErrorKind::UpgradeRequired, "negotiate", "another version is served");
    Err(error.with_protocols(served))
}
