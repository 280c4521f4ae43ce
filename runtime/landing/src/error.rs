//! What can go wrong between a page and a committed slot.

use crate::encode::EncodeError;
use crate::target;
use std::path::PathBuf;
use tidegate_domain::Fault;
use tidegate_domain::id::{PartitionId, StreamKey, TenantId};
use tidegate_domain::stream::Break;

/// A failed step of the commit protocol.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed, or fenced this owner.
    #[error("the store failed in the commit protocol")]
    Store(#[from] tidegate_store::Error),
    /// The target failed.
    #[error(transparent)]
    Target(#[from] target::Error),
    /// Rows could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The staging directory failed.
    #[error(
        "cannot {operation} in the staging directory {path}; check its space and permissions, nothing was lost"
    )]
    Stage {
        /// What was being done.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A cursor could not be sealed or opened.
    #[error(
        "the cursors of stream {stream} cannot be {operation}; is this the node key that wrote them?"
    )]
    Seal {
        /// The stream.
        stream: StreamKey,
        /// Sealed or opened.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<tidegate_broker::Error>,
    },
    /// Another owner has the stream.
    #[error("another owner has taken stream {stream}; this one stops, and nothing was lost")]
    Fenced {
        /// The stream.
        stream: StreamKey,
    },
    /// The log shows less than the store knows was committed.
    #[error(
        "the commit log of stream {stream} lacks slot {slot}, which was committed: objects of the target were deleted or rolled back. Reading is halted; restore the target, or land under another sync id"
    )]
    LogBehind {
        /// The stream.
        stream: StreamKey,
        /// The slot that is missing or changed.
        slot: u64,
    },
    /// A slot does not follow from the one before it.
    #[error(
        "slot {slot} of the commit log of stream {stream} is not valid: {reason}. Reading is halted; restore the target, or land under another sync id"
    )]
    LogBroken {
        /// The stream.
        stream: StreamKey,
        /// The slot.
        slot: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A save does not follow from the partition's state.
    #[error("a checkpoint of stream {stream} does not follow from its state")]
    Chain {
        /// The stream.
        stream: StreamKey,
        /// How.
        #[source]
        source: Break,
    },
    /// A partition emits and never saves.
    #[error(
        "partition {partition} emitted more than {rows_max} records without a checkpoint; save after each page"
    )]
    Unsaved {
        /// The partition.
        partition: PartitionId,
        /// Records that may wait.
        rows_max: usize,
    },
    /// The target holds data of this tenant that is sealed under another key.
    #[error(
        "the target holds data of tenant {tenant} under another key than this node has; restore the node's database, or land under another prefix"
    )]
    ForeignKey {
        /// The tenant.
        tenant: TenantId,
    },
    /// A batch may not land.
    #[error("a batch of stream {stream} was not landed; it is read again when that is settled")]
    Refused {
        /// The stream.
        stream: StreamKey,
        /// The kind of failure.
        fault: Fault,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The writer has failed before; the first error was reported.
    #[error("the writer of stream {stream} has stopped")]
    Stopped {
        /// The stream.
        stream: StreamKey,
    },
}

impl Error {
    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Store(source) => source.fault(),
            Error::Target(source) => source.fault(),
            Error::Encode(source) => source.fault(),
            Error::Refused { fault, .. } => *fault,
            Error::Chain { .. } | Error::Unsaved { .. } => Fault::Guest,
            // Another owner goes on with the stream: trying again is harmless.
            Error::Fenced { .. } | Error::Stage { .. } | Error::Stopped { .. } => Fault::Host,
            // A person must look: silently reading anew could hide a loss.
            Error::Seal { .. }
            | Error::ForeignKey { .. }
            | Error::LogBehind { .. }
            | Error::LogBroken { .. } => Fault::Config,
        }
    }
}
