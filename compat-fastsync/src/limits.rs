//! How much of a client's data goes into one session or one reply, and what is remembered of it.

use std::time::Duration;

use fastsync_core::SessionLimits;

/// How large sessions and replies may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompatLimits {
    /// The largest session. Original clients push all that they have at once: more is split.
    pub session: SessionLimits,
    /// The most records of a reply.
    pub reply_records: usize,
    /// About the most bytes of a reply, as JSON.
    pub reply_bytes: usize,
    /// For how long a reply may be read; what was read until then is given.
    pub reply_time: Duration,
    /// For how long pushes are remembered, and refusals kept: at least so long, and less than twice.
    pub memory: Duration,
}

impl Default for CompatLimits {
    /// Sessions of 10,000 records and 2 MiB; replies of 32 MiB, or what can be read in 15 seconds, since an original client asks
    /// only once for what it takes to be everything and waits for about a minute. 30 days.
    fn default() -> Self {
        Self {
            session: SessionLimits::default(),
            reply_records: usize::MAX,
            reply_bytes: 32 << 20,
            reply_time: Duration::from_secs(15),
            memory: Duration::from_secs(30 * 24 * 3_600),
        }
    }
}

impl CompatLimits {
    /// Sets the largest session.
    #[must_use]
    pub fn with_session(mut self, session: SessionLimits) -> Self {
        self.session = session;
        self
    }

    /// Sets the largest reply. It ends between two sessions where that is possible, and inside one that is larger.
    #[must_use]
    pub fn with_reply(mut self, records: usize, bytes: usize) -> Self {
        self.reply_records = records;
        self.reply_bytes = bytes;
        self
    }

    /// Sets for how long a reply may be read: well below the time for which the clients wait.
    #[must_use]
    pub fn with_reply_time(mut self, time: Duration) -> Self {
        self.reply_time = time;
        self
    }

    /// Sets for how long it is remembered what an object's user pushed, and what was refused. A client that repeats a push
    /// after that, or edits on without a pull, may meet its own edit as a conflict.
    #[must_use]
    pub fn with_memory(mut self, period: Duration) -> Self {
        self.memory = period;
        self
    }

    pub(crate) fn has_zero(&self) -> bool {
        let Self { session, reply_records, reply_bytes, reply_time, memory } = self;
        [session.records, session.bytes, *reply_records, *reply_bytes].contains(&0)
            || [memory, reply_time].iter().any(|time| time.is_zero())
    }
}
