//! Jobs that a process runs on its own, without a queue: what was asked for, and
//! what became of it.

use crate::Error;
use async_trait::async_trait;
use tidegate_domain::id::{JobId, SyncId, TenantId};
use tidegate_domain::job::Job;

/// Finished jobs that are kept of a sync: the newest.
pub const FINISHED_JOBS_MAX: u32 = 1_000;

/// A stored job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Whose.
    pub tenant: TenantId,
    /// Of which sync.
    pub sync: SyncId,
    /// Where it is.
    pub job: Job,
    /// When it was asked for, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// When its row last changed, in milliseconds since the epoch.
    pub updated_at_ms: u64,
}

/// Jobs by id and by sync.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Stores a job, new or changed. Of a sync's finished jobs all but the newest
    /// [`FINISHED_JOBS_MAX`] are forgotten. An id that
    /// another sync or the queue uses is refused.
    async fn put_job(&self, row: &JobRow) -> Result<(), Error>;
    /// The job of this id.
    async fn job(&self, id: &JobId) -> Result<Option<JobRow>, Error>;
    /// The jobs of a sync, newest first, `limit` at the most.
    async fn jobs_of(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
        limit: u32,
    ) -> Result<Vec<JobRow>, Error>;
}
