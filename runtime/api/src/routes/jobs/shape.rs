//! What a job looks like from outside.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use tidegate_domain::id::{ConnectionId, JobId, Sha256, StreamName, SyncId};
use tidegate_domain::job::{Class, JobRequest, JobState, Reason, StreamOutcome, Trigger, Warning};
use tidegate_engine::progress::Figures;
use tidegate_engine::worker::Snapshot;
use tidegate_store::queue::{JobPosition, QueuedJob, RESTS_MS};
use utoipa::ToSchema;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its id.
    id: JobId,
    /// Of which sync.
    sync: SyncId,
    /// The connection that it reads.
    connection: ConnectionId,
    /// The digest of the connector that it runs.
    connector: Sha256,
    /// Where it is.
    pub(super) state: JobState,
    /// Whether nothing more will happen to it.
    pub(super) is_final: bool,
    /// Why it failed, in whole or in part, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// Its share of the workers.
    class: Class,
    /// Why it exists.
    trigger: Trigger,
    /// What is to be done.
    request: JobRequest,
    /// Attempts begun.
    attempts: u32,
    /// Whether a worker holds it.
    claimed: bool,
    /// Whether its end was asked for.
    cancel_requested: bool,
    /// When it is due; nothing of a job that is over, or that rests while its sync is
    /// paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    wake_at_ms: Option<u64>,
    /// When it was asked for.
    created_at_ms: u64,
    /// When it last changed.
    updated_at_ms: u64,
    /// What became of each of its streams.
    #[schema(value_type = BTreeMap<String, StreamOutcome>)]
    streams: BTreeMap<StreamName, StreamOutcome>,
    /// What a person should know of its streams, whatever became of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<Warning>>, required = false)]
    warnings: BTreeMap<StreamName, Vec<Warning>>,
    /// What the running attempt has done so far, where this node runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

/// What a running attempt has done so far.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// When the attempt began.
    started_at_ms: u64,
    /// Of all streams: rows, bytes, requests, and what guests used.
    #[schema(value_type = BTreeMap<String, u64>)]
    figures: Figures,
    /// Of each stream that was begun.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, u64>>)]
    streams: BTreeMap<StreamName, Figures>,
}

impl Job {
    pub(super) fn with_progress(mut self, snapshot: Option<Snapshot>) -> Job {
        self.progress = snapshot.map(|snapshot| Progress {
            started_at_ms: snapshot.started_at_ms,
            figures: snapshot.figures,
            streams: snapshot.streams,
        });
        self
    }
}

impl From<QueuedJob> for Job {
    fn from(found: QueuedJob) -> Job {
        let state = found.row.job.state;
        Job {
            id: found.row.id,
            sync: found.row.sync,
            connection: found.connection,
            connector: found.connector,
            state,
            is_final: state.is_final(),
            reason: found.row.job.reason(),
            class: found.class,
            trigger: found.trigger,
            request: found.request,
            attempts: found.row.job.attempts,
            claimed: found.claimed,
            cancel_requested: found.cancel_requested,
            wake_at_ms: Some(found.wake_at_ms)
                .filter(|at_ms| !state.is_final() && *at_ms != RESTS_MS),
            created_at_ms: found.row.created_at_ms,
            updated_at_ms: found.row.updated_at_ms,
            streams: found.row.job.streams,
            warnings: found.row.job.warnings,
            progress: None,
        }
    }
}

/// Where a page of jobs begins, as text.
pub(super) struct Position(pub(super) JobPosition);

impl Position {
    pub(super) fn of(job: &QueuedJob) -> Position {
        Position(JobPosition {
            created_at_ms: job.row.created_at_ms,
            id: job.row.id.clone(),
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0.created_at_ms, self.0.id)
    }
}

impl std::str::FromStr for Position {
    type Err = ();
    fn from_str(text: &str) -> Result<Position, ()> {
        let (created_at_ms, id) = text.split_once('.').ok_or(())?;
        Ok(Position(JobPosition {
            created_at_ms: created_at_ms.parse().map_err(|_| ())?,
            id: id.parse().map_err(|_| ())?,
        }))
    }
}
