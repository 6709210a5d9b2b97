//! Deliberate bugs: the property test has to find each of them.

/// Something that is wrong with the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The network loses a record of a page now and then.
    DropRecord,
    /// A client's receipt clears edits that were made after the push.
    AcknowledgeEverything,
    /// A page that is cut inside a session is followed by the next session.
    SkipTies,
    /// A pull overwrites local edits.
    OverwritePending,
    /// The server does not compare the base of an edit.
    LoseUpdates,
    /// The server forgets which pushes it has processed, so that a repeated one is processed again.
    ForgetReceipts,
    /// The server stores all of a session but its last record.
    HalfSession,
    /// A replica that missed purged tombstones is not told to start over.
    IgnoreHorizon,
    /// A client that is sent the version that its edit was made on takes it for another one.
    ForgetBase,
    /// A client takes an object made anew for the one that was deleted.
    ForgetLives,
    /// An edit that a conflict left standing keeps the base that it had.
    KeepOldBase,
    /// The server stores what a conflict was settled to without a look whether the object moved meanwhile.
    ForgetMoves,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::DropRecord,
        Self::AcknowledgeEverything,
        Self::SkipTies,
        Self::OverwritePending,
        Self::LoseUpdates,
        Self::ForgetReceipts,
        Self::HalfSession,
        Self::IgnoreHorizon,
        Self::ForgetBase,
        Self::ForgetLives,
        Self::KeepOldBase,
        Self::ForgetMoves,
    ];
}
