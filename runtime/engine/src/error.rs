//! What can end a stream's run.

use tidegate_domain::Fault;
use tidegate_domain::id::{PartitionId, StreamName};

/// A failed run of a stream.
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
    /// The stream cannot be read in this mode.
    #[error("stream {stream} cannot be read in this mode; it offers: {offered}")]
    Mode {
        /// The stream.
        stream: StreamName,
        /// What it offers.
        offered: String,
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
    /// The store failed.
    #[error("the job could not be recorded")]
    Store(#[from] tidegate_store::Error),
}

impl Error {
    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Connector { source, .. } => source.fault(),
            Error::Landing { source, .. } => source.fault(),
            Error::NoSuchStream { .. } | Error::Mode { .. } | Error::Unread { .. } => Fault::Config,
            Error::Schema { .. } => Fault::Protocol,
            Error::NoProgress { .. } => Fault::Guest,
            Error::Store(source) => source.fault(),
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
