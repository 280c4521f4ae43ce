//! What can go wrong in the engine: a node that cannot be built, a run that ends.

use std::path::PathBuf;
use tidegate_domain::Fault;
use tidegate_domain::contract::UnknownField;
use tidegate_domain::id::{InvalidId, PartitionId, StreamName, SyncId};
use tidegate_domain::job::StreamOutcome;
use tidegate_domain::stream::Break;
use tidegate_store::clock::now_ms;

/// A failed operation of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connector failed, trapped or broke a limit.
    #[error("the connector failed in {operation} of stream {stream}")]
    Connector {
        /// Which call.
        operation: &'static str,
        /// The stream.
        stream: StreamName,
        /// How.
        #[source]
        source: Box<tidegate_sandbox::Error>,
    },
    /// The commit protocol failed.
    #[error("stream {stream} could not be landed")]
    Landing {
        /// The stream.
        stream: StreamName,
        /// How.
        #[source]
        source: Box<tidegate_landing::Error>,
    },
    /// The stream is not in the connection's catalog.
    #[error("the connection has no stream {stream}; it has: {known}")]
    NoSuchStream {
        /// The one that was asked for.
        stream: StreamName,
        /// Those that are there.
        known: String,
    },
    /// The sync was changed while its job waited.
    #[error("the sync does not have stream {stream} any more")]
    RemovedStream {
        /// The stream.
        stream: StreamName,
    },
    /// The stream cannot be read in this mode.
    #[error("stream {stream} cannot be read in this mode; it offers: {offered}")]
    Mode {
        /// The stream.
        stream: StreamName,
        /// What it offers.
        offered: String,
    },
    /// The connector names a stream as none can be named.
    #[error("the connector names a stream that cannot be named so")]
    StreamName(#[source] InvalidId),
    /// The sync selects a field that the stream does not have.
    #[error("stream {stream} cannot be read as its fields say: {source}")]
    Field {
        /// The stream.
        stream: StreamName,
        /// Which field.
        source: UnknownField,
    },
    /// The source's schema changed, and the sync's is frozen.
    #[error(
        "the source's schema of stream {stream} changed, and schema_policy is freeze: {changes}. Nothing of it was landed; accept it (POST /v1/syncs/{sync}/schema/accept), or let schema_policy be warn or evolve"
    )]
    Frozen {
        /// The sync.
        sync: SyncId,
        /// The stream.
        stream: StreamName,
        /// What changed.
        changes: String,
    },
    /// The key or the cursor of a stream is not what it was.
    #[error(
        "stream {stream} cannot be gone on with: {changes}. Choose another cursor or restore the field at the source; or accept it (POST /v1/syncs/{sync}/schema/accept) and resync the stream"
    )]
    Broken {
        /// The sync.
        sync: SyncId,
        /// The stream.
        stream: StreamName,
        /// What changed.
        changes: String,
    },
    /// The stream's schema cannot be used.
    #[error("the connector's schema of stream {stream} cannot be used: {reason}")]
    Schema {
        /// The stream.
        stream: StreamName,
        /// Why.
        reason: String,
    },
    /// The guest gave its slot back again and again without saving anything new.
    #[error(
        "partition {partition} of stream {stream} returned `more` {times} times without a new checkpoint"
    )]
    NoProgress {
        /// The stream.
        stream: StreamName,
        /// The partition.
        partition: PartitionId,
        /// How often.
        times: u32,
    },
    /// Reading ended while a partition was open: never to be reported as a success.
    #[error("stream {stream} was not read to its end; ask for at least one partition at a time")]
    Unread {
        /// The stream.
        stream: StreamName,
    },
    /// Cursors cannot be set as asked.
    #[error("the checkpoints of stream {stream} stay as they are")]
    Edit {
        /// The stream.
        stream: StreamName,
        /// What does not follow.
        #[source]
        source: Break,
    },
    /// A job reads the stream.
    #[error("stream {stream} is being read; cancel its job and wait for its end first")]
    BeingRead {
        /// The stream.
        stream: StreamName,
    },
    /// A directory of the node cannot be made.
    #[error("cannot make {path}; choose another directory with --state")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A setting cannot work.
    #[error("{name}: {reason}")]
    Setting {
        /// Which one.
        name: String,
        /// What to change.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] tidegate_store::Error),
    /// The way out or the keyring failed.
    #[error(transparent)]
    Broker(#[from] tidegate_broker::Error),
    /// The sandbox failed, or a component cannot be used.
    #[error(transparent)]
    Sandbox(Box<tidegate_sandbox::Error>),
    /// The target cannot be used.
    #[error(transparent)]
    Target(#[from] tidegate_landing::target::Error),
    /// The commit protocol failed outside a stream's run.
    #[error(transparent)]
    Landed(Box<tidegate_landing::Error>),
}

impl From<tidegate_sandbox::Error> for Error {
    fn from(source: tidegate_sandbox::Error) -> Error {
        Error::Sandbox(Box::new(source))
    }
}

impl From<tidegate_landing::Error> for Error {
    fn from(source: tidegate_landing::Error) -> Error {
        Error::Landed(Box::new(source))
    }
}

impl Error {
    pub(crate) fn setting(name: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Setting {
            name: name.into(),
            reason: reason.into(),
        }
    }

    /// Whether the same can be done once a person has confirmed it.
    pub fn needs_confirmation(&self) -> bool {
        matches!(
            self,
            Error::Broker(tidegate_broker::Error::Approvals { .. })
        )
    }

    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Connector { source, .. } => source.fault(),
            Error::Landing { source, .. } => source.fault(),
            Error::NoSuchStream { .. }
            | Error::RemovedStream { .. }
            | Error::Mode { .. }
            | Error::Field { .. }
            | Error::Frozen { .. }
            | Error::Broken { .. }
            | Error::Unread { .. }
            | Error::Edit { .. }
            | Error::BeingRead { .. }
            | Error::Directory { .. }
            | Error::Setting { .. } => Fault::Config,
            Error::Schema { .. } | Error::StreamName(_) => Fault::Protocol,
            Error::NoProgress { .. } => Fault::Guest,
            Error::Store(source) => source.fault(),
            Error::Broker(source) => source.fault(),
            Error::Sandbox(source) => source.fault(),
            Error::Target(source) => source.fault(),
            Error::Landed(source) => source.fault(),
        }
    }

    /// When to come back, in milliseconds since the epoch, where that is known: what
    /// failed only waits.
    pub(crate) fn until_ms(&self) -> Option<u64> {
        match self {
            Error::Connector { source, .. } => source.until_ms(),
            Error::Landing { source, .. } => match &**source {
                tidegate_landing::Error::Store(tidegate_store::Error::Held {
                    remaining_ms,
                    ..
                }) => Some(now_ms().saturating_add(*remaining_ms)),
                // What the gate was told when it asked the source.
                tidegate_landing::Error::Refused { source, .. } => {
                    source.downcast_ref::<Error>().and_then(Error::until_ms)
                }
                _ => None,
            },
            Error::Sandbox(source) => source.until_ms(),
            _ => None,
        }
    }

    /// What it makes of a stream.
    pub(crate) fn outcome(&self) -> StreamOutcome {
        StreamOutcome::Failed {
            fault: self.fault(),
            reason: self.chain(),
        }
    }

    /// The whole chain in one line, for a job's record; holds no secret, since no
    /// error of ours does.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
