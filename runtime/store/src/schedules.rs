//! When syncs are due by their schedules. A schedule fires and moves on in one
//! transaction: a crash makes it fire neither twice nor never.

use crate::Error;
use crate::queue::{Enqueue, Enqueued};
use async_trait::async_trait;
use tidegate_domain::id::{JobId, SyncId, TenantId};

/// A sync's schedule, as far as it must be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Whose.
    pub tenant: TenantId,
    /// Of which sync.
    pub sync: SyncId,
    /// When it is due, in milliseconds since the epoch.
    pub next_at_ms: u64,
    /// When it last fired, in milliseconds since the epoch.
    pub fired_at_ms: Option<u64>,
    /// The job that it last asked for.
    pub job: Option<JobId>,
}

/// What is due, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueSchedules {
    /// Longest due first; of active tenants.
    pub due: Vec<ScheduleRow>,
    /// When the next of the others is due, in milliseconds since the epoch.
    pub next_at_ms: Option<u64>,
}

/// Schedules. They come and go by
/// [`Write::SetSchedule`](crate::control::Write::SetSchedule).
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// Schedules whose time has come, `limit` at the most.
    async fn due_schedules(&self, now_ms: u64, limit: u32) -> Result<DueSchedules, Error>;

    /// Asks for `job` and moves the schedule on, to `next_at_ms` or, with none, away.
    /// Without a job it only moves on. None, and nothing done, where the schedule is no
    /// longer the given row: it fired already, or was changed.
    async fn fire(
        &self,
        due: &ScheduleRow,
        job: Option<Enqueue>,
        next_at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<Option<Fired>, Error>;

    /// The schedule of a tenant's sync.
    async fn schedule(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
    ) -> Result<Option<ScheduleRow>, Error>;
}

/// A schedule moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// What became of the job, if there was one.
    pub job: Option<Enqueued>,
}
