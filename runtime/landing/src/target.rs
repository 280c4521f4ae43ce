//! Where objects land: the few operations that the commit protocol needs, over
//! directories and S3.

use async_trait::async_trait;
use bytes::Bytes;
use std::path::PathBuf;
use tidegate_domain::Fault;
use tidegate_domain::id::{PutId, Sha256};

/// What is put.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A small object, such as a slot.
    Bytes(Bytes),
    /// A staged file, streamed.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
}

/// What is said of an object beside its bytes, kept as its metadata where the
/// target has any.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The sha256 of its bytes.
    pub sha256: Sha256,
    /// Drawn for this put.
    pub put_id: PutId,
}

/// The answer of a conditional put. A retried put is not idempotent: a lost
/// success comes back as `Exists`, so neither `Exists` nor `Unknown` says whose
/// object is there. Only reading back does.
#[derive(Debug)]
pub enum Created {
    /// This put made the object.
    Created,
    /// Something is there: perhaps ours.
    Exists,
    /// No trustworthy answer: perhaps made, perhaps not.
    Unknown(Error),
}

/// An object's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes.
    pub bytes: u64,
    /// The sha256 that it was stamped with, or that its bytes have.
    pub sha256: Option<Sha256>,
}

/// A place for objects. Keys are relative to the target's own prefix and use `/`.
#[async_trait]
pub trait Target: Send + Sync {
    /// Creates an object unless the key is taken; whole or not at all.
    ///
    /// # Errors
    /// Only where it is certain that nothing was made and that trying again with
    /// nothing changed is in vain (access denied, no such bucket, disk full).
    async fn create(&self, key: &str, payload: Payload, stamp: &Stamp) -> Result<Created, Error>;

    /// The whole object; none where there is none.
    async fn read(&self, key: &str) -> Result<Option<Bytes>, Error>;

    /// The object's head; none where there is none.
    async fn head(&self, key: &str) -> Result<Option<Head>, Error>;

    /// Keys directly or deeper below `prefix`, in order, after `after`;
    /// `limit` at the most.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, Error>;

    /// For people: where a key is in the log's own place (`s3://bucket/…`,
    /// `file:///…`).
    fn locate(&self, key: &str) -> String;

    /// What a key lies below that is put now, where that is not the log's own place.
    fn place(&self, key: &str) -> Option<String>;
}

/// A failed operation of a target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target cannot be reached or does not answer properly; try again.
    #[error("{target} cannot be reached while {operation}; check the endpoint and the network")]
    Unreachable {
        /// Which target.
        target: String,
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Credentials are refused or lack a permission.
    #[error(
        "{target} refuses access while {operation}; check the key and its permissions (get, put, list)"
    )]
    Denied {
        /// Which target.
        target: String,
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bucket or the settings are wrong.
    #[error("{target} cannot be used: {reason}")]
    Config {
        /// Which target.
        target: String,
        /// What to change.
        reason: String,
    },
    /// No space is left.
    #[error("{target} is full; free some space and run again, nothing was lost")]
    Full {
        /// Which target.
        target: String,
    },
}

impl Error {
    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Unreachable { .. } => Fault::Transient,
            Error::Denied { .. } => Fault::Auth,
            Error::Config { .. } => Fault::Config,
            Error::Full { .. } => Fault::Host,
        }
    }
}
