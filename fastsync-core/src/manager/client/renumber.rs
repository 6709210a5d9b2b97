//! Where the server does not know the number or the identity of a push.

use super::Client;
use super::push::{MAX_RENUMBERINGS, Pushing};
use super::queue::PushQueue;
use crate::error::{Error, ErrorKind, Result};
use crate::model::DeviceId;
use crate::protocol::PushReply;
use crate::source::StateWrite;
use crate::source::entry::encode;
use crate::store::StateKey;

impl Client {
    /// The server does not know the number or the identity of a push.
    pub(super) async fn renumber(&self, pushing: &mut Pushing, refused: PushReply) -> Result<()> {
        pushing.renumberings += 1;
        if pushing.renumberings > MAX_RENUMBERINGS {
            return Err(Error::new(
                ErrorKind::Protocol,
                "push",
                "the server does not agree on any push number",
            ));
        }
        match refused {
            // The server has forgotten pushes of ours (a restored backup): it goes on from where it is. What it has lost is
            // found out by a pull, before anything else is sent: an edit of what it has forgotten would be lost too.
            PushReply::Gap { last } if last < pushing.queue.acknowledged => {
                pushing.has_lost = true;
                let entry = self.note_lost_pushes(pushing.queue.acknowledged).await?;
                self.empty_queue(&mut pushing.queue, last, vec![entry]).await
            }
            PushReply::Gap { last } => {
                let anew = self.refetch_all()?;
                self.empty_queue(&mut pushing.queue, last, anew).await
            }
            // It was withdrawn, and the device died before it had stored that.
            PushReply::Voided { last } => self.void(&mut pushing.queue, last, Vec::new()).await,
            PushReply::ClientForked | PushReply::Processed(_) => {
                pushing.report.forked = true;
                self.take_new_identity(&mut pushing.queue).await
            }
        }
    }

    /// Marks every type to be fetched anew.
    pub(super) fn refetch_all(&self) -> Result<Vec<StateWrite>> {
        self.endpoints.keys().map(StateKey::refetch).collect()
    }

    /// The store was copied: this copy goes on as a device of its own.
    async fn take_new_identity(&self, queue: &mut PushQueue) -> Result<()> {
        let device = DeviceId::random(self.store.random());
        let entry = StateWrite::set(StateKey::DEVICE, Some(encode(&device)?));
        // A cursor is bound to its device: the next pull fetches everything anew.
        let mut entries = vec![entry, StateWrite::set(StateKey::CURSOR, None)];
        entries.extend(self.refetch_all()?);
        entries.push(StateWrite::set(StateKey::COVERED, None));
        // Nor does anything else show then that the server has lost what is here.
        entries.extend(self.note_lost_zones(queue.acknowledged).await?);
        self.empty_queue(queue, 0, entries).await?;
        self.store.set_device(device);
        Ok(())
    }
}
