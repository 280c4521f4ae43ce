//! The commit log's slots: the one format that must outlive every version.
//!
//! A slot is canonical JSON under `_log/<slot:020>.json`, created with
//! `If-None-Match: *` and never changed. What it does to cursors is sealed
//! (cursors may hold secrets); everything a reader of rows needs is in the clear.

use crate::id::{OwnerToken, PutId, Sha256};
use crate::record::{Format, Operation};
use crate::stream::GenerationKind;
use serde::{Deserialize, Serialize};

/// The version of the slot format that this build writes.
pub const SLOT_VERSION: u32 = 1;

/// One numbered entry of a stream's commit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The format's version: [`SLOT_VERSION`].
    pub v: u32,
    /// Its number; the first is 0.
    pub slot: u64,
    /// What it says.
    pub entry: Entry,
    /// The epoch of the owner that wrote it.
    pub epoch: u64,
    /// The token of the owner that wrote it.
    pub owner: OwnerToken,
    /// Drawn for this put; a reader of an unknown outcome compares it.
    pub put_id: PutId,
    /// The sha256 of the previous slot's bytes; none in the first.
    pub prev_sha256: Option<Sha256>,
    /// Milliseconds since the Unix epoch; informational, never ordered by.
    pub written_at_ms: u64,
}

/// What a slot says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A new owner shuts out the former one; changes nothing else.
    Fence,
    /// A generation opens.
    Begin {
        /// Its number.
        generation: u64,
        /// How it is read and landed.
        #[serde(flatten)]
        how: GenerationKind,
        /// The batch that carried it.
        batch: u64,
        /// The sealed [`crate::stream::Change`].
        change: String,
    },
    /// A plan replaces the partitions.
    Plan {
        /// Its number.
        run: u64,
        /// How many partitions it has.
        partitions: u64,
        /// The batch that carried it.
        batch: u64,
        /// The sealed [`crate::stream::Change`].
        change: String,
    },
    /// A batch becomes visible.
    Commit {
        /// The generation that its rows belong to.
        generation: u64,
        /// The batch.
        batch: u64,
        /// Its files; none for a batch that only moves cursors.
        objects: Vec<Object>,
        /// The sealed [`crate::stream::Change`].
        change: String,
    },
    /// A person set cursors.
    Edit {
        /// The generation whose partitions they are.
        generation: u64,
        /// The batch that carried it.
        batch: u64,
        /// The sealed [`crate::stream::Change`].
        change: String,
    },
    /// A full refresh has read everything.
    Complete {
        /// The generation that is complete.
        generation: u64,
        /// The batch that carried it.
        batch: u64,
        /// The sealed [`crate::stream::Change`].
        change: String,
    },
}

impl Entry {
    /// The batch and the sealed change, for every entry but a fence.
    pub fn sealed_change(&self) -> Option<(u64, &str)> {
        match self {
            Entry::Fence => None,
            Entry::Begin { batch, change, .. }
            | Entry::Plan { batch, change, .. }
            | Entry::Commit { batch, change, .. }
            | Entry::Edit { batch, change, .. }
            | Entry::Complete { batch, change, .. } => Some((*batch, change)),
        }
    }
}

/// What an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Rows of one operation.
    Rows(Operation),
    /// Rows that a cap or the schema refused, each with the reason.
    Rejected,
}

/// A file of a committed batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its key below the stream's prefix.
    pub key: String,
    /// What the stream's prefix is below, where that is not the log's own place: a
    /// target may have another bucket or prefix for an operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What it holds.
    pub content: Content,
    /// Its format.
    pub format: Format,
    /// The sha256 of its bytes.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// The id of the schema under which its columns were cut: the sha256 of the
    /// schema's JSON, shortened; none for formats without columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}
