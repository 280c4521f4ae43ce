//! What can go wrong with the database.

use tidegate_domain::Fault;
use tidegate_domain::id::{JobId, StreamKey, TenantId};

/// A failed operation of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the directory.
    #[error(
        "the state directory {path} is in use by another process; stop it or choose another directory with --state"
    )]
    Locked {
        /// The directory.
        path: std::path::PathBuf,
    },
    /// The file could not be opened or created.
    #[error("cannot open the database {path}; check that the directory is writable and has space")]
    Open {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The library is not one that we trust with data.
    #[error("SQLite {found} may corrupt its write-ahead log; 3.51.3 or newer is needed")]
    Version {
        /// Its version.
        found: String,
    },
    /// The database is of a newer Tidegate.
    #[error("the database has schema {found}, this build knows {known}; run a newer Tidegate")]
    Schema {
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The disk is full.
    #[error(
        "the disk that holds the database is full; free some space and run again, nothing was lost"
    )]
    Full,
    /// A statement failed.
    #[error("the database failed in {operation}")]
    Statement {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored value could not be read back.
    #[error("the database holds a broken {what}")]
    Corrupt {
        /// What could not be read.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The lease is another's, or the staged state is not what the caller holds.
    #[error("the lease of stream {stream} was lost; its new owner goes on")]
    Fenced {
        /// The stream.
        stream: StreamKey,
    },
    /// The lease is held and has not run out.
    #[error(
        "stream {stream} is being read by another process until its lease runs out in {remaining_ms} ms"
    )]
    Held {
        /// The stream.
        stream: StreamKey,
        /// Milliseconds until the lease may be taken.
        remaining_ms: u64,
    },
    /// The job is another's, or nobody's any more.
    #[error("the claim of job {job} was lost; its new owner goes on")]
    ClaimLost {
        /// The job.
        job: JobId,
    },
    /// Something that must be there is not.
    #[error("{what} does not exist")]
    NotFound {
        /// What: `sync crm`.
        what: String,
    },
    /// Something is not as the caller expects.
    #[error("{}", conflict(what, *found))]
    Conflict {
        /// What: `sync crm`.
        what: String,
        /// Its revision, if it has one.
        found: Option<u64>,
    },
    /// Something would mention what does not exist.
    #[error("{from} needs {to}, which does not exist or would go")]
    Dangling {
        /// What mentions: `sync crm`.
        from: String,
        /// What is mentioned: `connection crm-eu`.
        to: String,
    },
    /// A tenant cannot be removed while it works.
    #[error("tenant {tenant} is not suspended, or has jobs that are not over")]
    TenantInUse {
        /// Which.
        tenant: TenantId,
    },
    /// An `Idempotency-Key` came with another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// A tenant has as many as it may.
    #[error("the tenant has {max} {what}, and may not have more; wait until some are over")]
    Quota {
        /// Of what.
        what: &'static str,
        /// How many it may have.
        max: u32,
    },
    /// A backup could not be written.
    #[error("cannot write the backup {path}")]
    Backup {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store is shutting down.
    #[error("the database is closed")]
    Closed,
}

impl Error {
    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Locked { .. }
            | Error::Open { .. }
            | Error::Version { .. }
            | Error::Schema { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::TenantInUse { .. }
            | Error::Dangling { .. }
            | Error::KeyReused
            | Error::Backup { .. } => Fault::Config,
            Error::Held { .. } | Error::Quota { .. } => Fault::Throttled,
            Error::Full
            | Error::Statement { .. }
            | Error::Corrupt { .. }
            | Error::Fenced { .. }
            | Error::ClaimLost { .. }
            | Error::Closed => Fault::Host,
        }
    }
}

fn conflict(what: &str, found: Option<u64>) -> String {
    match found {
        Some(revision) => format!("{what} exists, at revision {revision}"),
        None => format!("{what} is not what was expected, or is there already"),
    }
}
