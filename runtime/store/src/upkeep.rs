//! What keeps a database small and safe: retention and backups.

use crate::Error;
use async_trait::async_trait;
use std::path::Path;

/// How long what grows is kept, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Finished jobs with their attempts and logs. Of a sync the newest
    /// [`FINISHED_JOBS_MAX`](crate::jobs::FINISHED_JOBS_MAX) are kept at the most.
    pub jobs_ms: u64,
    /// Events and their deliveries. Those that wait for their first dispatch stay.
    pub events_ms: u64,
    /// Entries of the audit log; the chain goes on from the last that went.
    pub audit_ms: u64,
    /// Keys that were revoked or have expired.
    pub keys_ms: u64,
    /// Records of requests.
    pub requests_ms: u64,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows that went.
    pub rows: u64,
    /// Whether there is more to remove: sweep again.
    pub more: bool,
}

/// Retention and backups.
#[async_trait]
pub trait UpkeepStore: Send + Sync {
    /// Removes what is older than its time, and remembered answers past
    /// [`ANSWER_KEPT_MS`](crate::control::ANSWER_KEPT_MS); a bounded number of rows at
    /// a time, since everything else waits behind it.
    async fn sweep(&self, now_ms: u64, keep: Retention) -> Result<Swept, Error>;

    /// Writes the whole database, as of one moment, into a new file that only its
    /// owner can read. Work goes on meanwhile. The key that seals secrets is not in it.
    ///
    /// # Errors
    /// [`Error::Backup`] where the file exists or cannot be written; then no file is
    /// left under that name.
    async fn backup(&self, to: &Path) -> Result<(), Error>;
}
