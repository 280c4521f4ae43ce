//! The queue: jobs that wait for a worker, and the claims under which they run.
//!
//! Nothing waits in memory. A job that is queued, parked or to be tried again is a
//! row with the time at which it is due.

use crate::Error;
use crate::events::NewEvent;
use crate::jobs::JobRow;
use async_trait::async_trait;
use tidegate_domain::Fault;
use tidegate_domain::id::{ConnectionId, JobId, OwnerToken, Sha256, SyncId, TenantId};
use tidegate_domain::job::{Class, Job, JobRequest, JobState, Reason, Trigger};

/// Jobs of a tenant that may be unfinished; more are refused, so that a loop of
/// requests fills nobody's disk.
pub const UNFINISHED_JOBS_MAX: u32 = 10_000;
/// Attempts that are kept of a job: the newest. A job that parks daily has many.
pub const ATTEMPTS_KEPT: u32 = 100;
/// Lines of log that are kept of a job: the newest.
pub const LOG_LINES_KEPT: u32 = 1_000;

/// Due of a job that rests until its sync's document is written again.
pub const RESTS_MS: u64 = i64::MAX as u64;

/// The track of jobs that move a sync's own cursors.
pub const MAIN_TRACK: &str = "main";

/// How the tracks, and the logs, of live jobs end.
pub const LIVE_SUFFIX: &str = ".live";

/// A job to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its id, never used before.
    pub id: JobId,
    /// Of which sync.
    pub sync: SyncId,
    /// Jobs of one track of a sync run one after another: one begins when those that
    /// began are over. [`MAIN_TRACK`], or a name for a job with cursors of its own.
    pub track: String,
    /// The connection that it reads, for caps.
    pub connection: ConnectionId,
    /// The connector that it runs, for caps.
    pub connector: Sha256,
    /// Its share of the workers.
    pub class: Class,
    /// Why it exists.
    pub trigger: Trigger,
    /// What is to be done.
    pub request: JobRequest,
    /// Its streams. One that waits ([`Job::wakes_at_ms`]) is first due then, any other
    /// at once.
    pub job: Job,
}

/// A job to be, and what a job like it that is there already means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueue {
    /// The job.
    pub job: NewJob,
    /// Whether an unfinished job of the same sync and track with the same request,
    /// whose end nobody asked for, stands for it.
    pub attach: bool,
}

/// What became of a job to be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enqueued {
    /// It waits.
    New(JobId),
    /// This unfinished job stands for it.
    Attached(JobId),
}

impl Enqueued {
    /// The job to follow.
    pub fn id(&self) -> &JobId {
        match self {
            Enqueued::New(id) | Enqueued::Attached(id) => id,
        }
    }
}

/// A job of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// What every job has.
    pub row: JobRow,
    /// See [`NewJob::track`].
    pub track: String,
    /// The connection that it reads.
    pub connection: ConnectionId,
    /// The connector that it runs.
    pub connector: Sha256,
    /// Its share of the workers.
    pub class: Class,
    /// Why it exists.
    pub trigger: Trigger,
    /// What is to be done.
    pub request: JobRequest,
    /// When it is due, in milliseconds since the epoch; 0 of one that is over,
    /// [`RESTS_MS`] of one that rests.
    pub wake_at_ms: u64,
    /// Whether its end was asked for, and it is not over.
    pub cancel_requested: bool,
    /// Whether a worker holds it.
    pub claimed: bool,
}

/// What a fair choice must know of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: JobId,
    /// Whose.
    pub tenant: TenantId,
    /// Of which sync.
    pub sync: SyncId,
    /// The connection that it reads.
    pub connection: ConnectionId,
    /// The connector that it runs.
    pub connector: Sha256,
    /// Its share of the workers.
    pub class: Class,
    /// Whether it is a live job, which has places of its own.
    pub is_live: bool,
    /// Since when it is due, in milliseconds since the epoch.
    pub due_since_ms: u64,
    /// Jobs of the tenant that may run at once, if the tenant has a cap.
    pub tenant_jobs_max: Option<u32>,
}

/// What could be claimed now, and what is claimed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Of each class, tenant and connection the job that is due longest, live jobs apart
    /// from the others and every one of them; so a connection at its cap hides no other.
    /// Longest due first.
    pub due: Vec<Candidate>,
    /// Jobs under a claim that has not run out.
    pub running: Vec<Candidate>,
    /// The next time at which more may be due, in milliseconds since the epoch:
    /// a job's time comes, or a claim runs out.
    pub next_at_ms: Option<u64>,
}

/// The right to run a job. Both parts are compared in every guarded write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The job.
    pub job: JobId,
    /// Greater than any former owner's; the first is 1.
    pub epoch: u64,
    /// This owner's.
    pub owner: OwnerToken,
}

/// What an attempt comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Where the job is now: waiting, queued or over. One that is queued keeps its
    /// place.
    pub job: Job,
    /// The attempt.
    pub attempt: NewAttempt,
    /// What subscribers hear.
    pub events: Vec<NewEvent>,
    /// Jobs of the same tenant that follow from this one.
    pub follow_ups: Vec<Enqueue>,
    /// The caller's clock, in milliseconds since the epoch.
    pub at_ms: u64,
}

/// What became of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is written, and the claim is over.
    Done {
        /// What became of each follow-up, in order.
        follow_ups: Vec<Enqueued>,
    },
    /// Nothing is written: someone asked for the end of the job, which this
    /// settlement would let go on. Step the job and settle again.
    CancelRequested,
}

/// An attempt, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAttempt {
    /// When it began, in milliseconds since the epoch.
    pub started_at_ms: u64,
    /// When it ended, in milliseconds since the epoch.
    pub ended_at_ms: u64,
    /// The kind of failure, if it failed.
    pub fault: Option<Fault>,
    /// The error, for people; holds no secret.
    pub error: Option<String>,
    /// What it did, per stream, as JSON text.
    pub report: String,
}

/// An attempt that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Counted from 1, without gaps.
    pub number: u32,
    /// What happened.
    pub attempt: NewAttempt,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The stream that it is about.
    pub stream: Option<String>,
    /// The text; holds no secret.
    pub message: String,
}

/// Which jobs of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this sync.
    pub sync: Option<SyncId>,
    /// In one of these states; none given: in any.
    pub states: Vec<JobState>,
    /// That failed, in whole or in part, for this reason.
    pub reason: Option<Reason>,
    /// Older than this one.
    pub before: Option<JobPosition>,
}

/// Where a job stands among its tenant's, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPosition {
    /// When it was asked for, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Tells those of one millisecond apart.
    pub id: JobId,
}

/// The queue. Every method that takes a claim fails with [`Error::ClaimLost`] when it
/// is no longer the caller's. A claim that ran out is its owner's until another takes
/// the job or someone cancels it. Jobs come in by
/// [`ControlStore::commit`](crate::control::ControlStore::commit), by schedules and
/// as follow-ups.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// What a worker may choose from. Due is what waits and whose time has come, of an
    /// active tenant, if no other job of its track has begun and is not over.
    async fn candidates(&self, now_ms: u64) -> Result<Candidates, Error>;

    /// Takes a job, if it is still due. None where another was quicker.
    async fn claim(
        &self,
        job: &JobId,
        owner: OwnerToken,
        now_ms: u64,
        lifetime_ms: u64,
    ) -> Result<Option<(Claim, QueuedJob)>, Error>;

    /// Prolongs the claim. True where the job's end was asked for.
    async fn renew_claim(&self, claim: &Claim, lifetime_ms: u64) -> Result<bool, Error>;

    /// Keeps where the job is, while it runs.
    async fn save_job(&self, claim: &Claim, job: &Job, at_ms: u64) -> Result<(), Error>;

    /// Ends the claim with what came of the attempt: job, attempt, events and jobs
    /// that follow, in one transaction.
    async fn settle(&self, claim: &Claim, settled: Settled) -> Result<Settlement, Error>;

    /// Gives the claim back of a job that was not begun: it is as it was, and rests
    /// until its sync's document is written again. Where that is no longer at
    /// `revision`, or someone asked for the job's end, it is due as before.
    async fn rest(&self, claim: &Claim, revision: u64) -> Result<(), Error>;

    /// Syncs of active tenants that have more streams of mode live than live jobs, and
    /// are not paused; `limit` at the most.
    async fn without_live_jobs(&self, limit: u32) -> Result<Vec<(TenantId, SyncId)>, Error>;

    /// Jobs under a claim whose end was asked for.
    async fn cancel_requests(&self) -> Result<Vec<JobId>, Error>;

    /// The tenant's job of this id.
    async fn queued_job(&self, tenant: &TenantId, id: &JobId) -> Result<Option<QueuedJob>, Error>;

    /// The tenant's jobs that pass, newest first, `limit` at the most.
    async fn queued_jobs(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        limit: u32,
    ) -> Result<Vec<QueuedJob>, Error>;

    /// The attempts at the tenant's job, oldest first.
    async fn attempts(&self, tenant: &TenantId, job: &JobId) -> Result<Vec<AttemptRow>, Error>;

    /// Adds to the job's log; the oldest lines go past [`LOG_LINES_KEPT`].
    async fn append_log(&self, claim: &Claim, lines: Vec<LogLine>) -> Result<(), Error>;

    /// The log of the tenant's job after a line, by number, `limit` lines at the most.
    async fn log(
        &self,
        tenant: &TenantId,
        job: &JobId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, LogLine)>, Error>;
}
