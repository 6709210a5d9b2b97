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
    /// The server forgets which pushes were withdrawn, so that a late one is processed.
    ForgetVoided,
    /// The server stores all of a session but its last record.
    HalfSession,
    /// An edit of the release before empties the field that it does not know.
    EmptyUnknownFields,
    /// The server reads what is written in the later protocol as if it were the one before.
    MisreadVersion,
    /// A replica that missed purged tombstones is not told to start over.
    IgnoreHorizon,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::DropRecord,
        Self::AcknowledgeEverything,
        Self::SkipTies,
        Self::OverwritePending,
        Self::LoseUpdates,
        Self::ForgetReceipts,
        Self::ForgetVoided,
        Self::HalfSession,
        Self::EmptyUnknownFields,
        Self::MisreadVersion,
        Self::IgnoreHorizon,
    ];
}
