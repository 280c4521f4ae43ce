//! Streams: leases, staged and published states, and the intents between them.

use crate::Error;
use crate::events::NewEvent;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tidegate_domain::id::{OwnerToken, Sha256, StreamKey};
use tidegate_domain::slot::Object;
use tidegate_domain::stream::{Change, StreamState};

/// The right to change a stream. Both parts are compared in every guarded write:
/// an epoch alone does not tell two owners apart once a database was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The stream.
    pub key: StreamKey,
    /// Greater than any former owner's.
    pub epoch: u64,
    /// This owner's.
    pub owner: OwnerToken,
    /// Whether the former owner gave the lease back, or there was none; then no
    /// fence is needed.
    pub released_before: bool,
}

/// A stream's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRow {
    /// What extraction resumes from, if the bytes exist.
    pub staged: StreamState,
    /// What the log proves.
    pub published: StreamState,
    /// The first slot that is not known to exist.
    pub log_tail: u64,
    /// The sha256 of the slot before it.
    pub log_tail_sha256: Option<Sha256>,
    /// The number of the next batch.
    pub next_batch: u64,
    /// Epoch of the last owner; 0 before the first.
    pub epoch: u64,
    /// Intents that are not committed, in batch order.
    pub intents: Vec<Intent>,
}

/// How far an intent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// Durable here, with its cursors.
    Sealed,
    /// Its objects are on the target.
    Uploaded,
}

/// A file of a batch, on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedObject {
    /// What the slot will say of it.
    pub object: Object,
    /// Where its bytes are on this node.
    pub path: PathBuf,
}

/// The outbox row of one batch: recorded before anything is uploaded, so that
/// every retry makes the same objects and the same slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Numbered without gaps as they are sealed, abandoned ones included.
    pub batch: u64,
    /// What it does to the stream's state.
    pub change: Change,
    /// Its files.
    pub objects: Vec<StagedObject>,
    /// How far it is.
    pub state: IntentState,
}

/// What recovery found, to be written in one transaction (step A3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// The state that the log adds up to.
    pub published: StreamState,
    /// The first slot that does not exist.
    pub log_tail: u64,
    /// The sha256 of the slot before it.
    pub log_tail_sha256: Option<Sha256>,
    /// Intents that the log already shows.
    pub adopted: Vec<u64>,
    /// Intents that cannot be committed any more; their rows are read again.
    pub abandoned: Vec<u64>,
    /// `published` plus the intents that were kept.
    pub staged: StreamState,
    /// At least this: one more than any batch seen in the log.
    pub next_batch: u64,
    /// What subscribers hear of slots that the store did not know.
    pub events: Vec<NewEvent>,
}

/// Leases, seals and marks. Every method that takes a lease fails with
/// [`Error::Fenced`] when it is no longer the caller's. A lease that ran out is its
/// owner's until another takes it.
///
/// What would break the protocol (a batch out of order, a state that is not the one
/// before plus the change, a log that lost slots) fails with [`Error::Statement`]
/// and changes nothing.
#[async_trait]
pub trait StreamStore: Send + Sync {
    /// The stream's row; an empty one where there is none.
    async fn load(&self, key: &StreamKey) -> Result<StreamRow, Error>;

    /// Step A0: takes the lease with an epoch above the stored one and above
    /// `epoch_floor` (the greatest in the log).
    ///
    /// # Errors
    /// [`Error::Held`] while another owner's lease has not run out.
    async fn acquire(
        &self,
        key: &StreamKey,
        owner: OwnerToken,
        epoch_floor: u64,
        lifetime_ms: u64,
    ) -> Result<Lease, Error>;

    /// Prolongs the lease.
    async fn renew(&self, lease: &Lease, lifetime_ms: u64) -> Result<(), Error>;

    /// Ends the lease without giving it back: a put may be under way, so the next
    /// owner may take the stream at once but has to fence.
    async fn expire(&self, lease: &Lease) -> Result<(), Error>;

    /// Gives the lease back, with nothing under way; the epoch stays.
    async fn release(&self, lease: &Lease) -> Result<(), Error>;

    /// Step A3, in one transaction. Adopted and abandoned intents are forgotten;
    /// `published` plus those that stay must be `staged`, and the tail of the log
    /// never moves back.
    async fn reconcile(&self, lease: &Lease, found: Reconciliation) -> Result<(), Error>;

    /// Step S3: records the intent and moves the staged state, in one transaction,
    /// and only from `before` ([`Error::Fenced`] otherwise). `after` must be `before`
    /// plus the intent's change, and its batch the row's `next_batch`.
    async fn seal(
        &self,
        lease: &Lease,
        before: &StreamState,
        after: &StreamState,
        intent: Intent,
    ) -> Result<(), Error>;

    /// Step S5.
    async fn mark_uploaded(&self, lease: &Lease, batch: u64) -> Result<(), Error>;

    /// Step S7: the intent is forgotten, the published state and the log's tail move.
    /// It must be the first intent, `slot` the tail, and `published` the published
    /// state plus the intent's change. Subscribers hear of it by `events`, in the same
    /// transaction; a tenant that only the command line knows has none, and nothing
    /// is kept for it.
    async fn mark_committed(
        &self,
        lease: &Lease,
        batch: u64,
        slot: u64,
        slot_sha256: &Sha256,
        published: &StreamState,
        events: Vec<NewEvent>,
    ) -> Result<(), Error>;

    /// Paths of every staged file that an intent still needs, of all streams.
    async fn staged_paths(&self) -> Result<Vec<PathBuf>, Error>;
}
