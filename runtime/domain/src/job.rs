//! The state machine of a job: what happens to its streams decides what becomes
//! of it. Actors do the I/O; this only says what follows.
//!
//! **Invariants**, held by a property test: a final job never changes; a stream that
//! waits is neither woken before its time nor forgotten by the end of the job, unless
//! somebody cancelled it; a job that waits says until when.

mod step;

use crate::backoff::Backoff;
use crate::fault::Fault;
use crate::id::{JobId, StreamName};
use crate::spec::WindowSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What became of one stream of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum StreamOutcome {
    /// Still being read, or not begun.
    Running,
    /// All its unfinished partitions wait for a time.
    Parked {
        /// When the first of them goes on, in milliseconds since the epoch.
        until_ms: u64,
    },
    /// Ended by a fault that is worth another try.
    Retrying {
        /// When it is tried again, in milliseconds since the epoch.
        until_ms: u64,
        /// The kind.
        fault: Fault,
        /// The error, for people; holds no secret.
        reason: String,
    },
    /// Read to its end and committed.
    Succeeded,
    /// Stopped on request; what was saved is committed.
    Stopped,
    /// Ended by a fault; what was saved before is committed.
    Failed {
        /// The kind.
        fault: Fault,
        /// The error, for people; holds no secret.
        reason: String,
    },
}

impl StreamOutcome {
    /// When a stream that waits goes on, in milliseconds since the epoch.
    pub fn waits_until_ms(&self) -> Option<u64> {
        match self {
            StreamOutcome::Parked { until_ms } | StreamOutcome::Retrying { until_ms, .. } => {
                Some(*until_ms)
            }
            _ => None,
        }
    }
}

/// The state of a job.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker holds it.
    Running,
    /// Every unfinished partition waits for a time; no worker holds it.
    Parked,
    /// Failed in a way worth another try, and will be tried.
    Retrying,
    /// Every stream succeeded.
    Succeeded,
    /// Some streams succeeded, some failed.
    Degraded,
    /// No stream succeeded.
    Failed,
    /// Stopped on request.
    Cancelled,
}

impl JobState {
    /// All of them.
    pub const ALL: [JobState; 8] = [
        JobState::Queued,
        JobState::Running,
        JobState::Parked,
        JobState::Retrying,
        JobState::Succeeded,
        JobState::Degraded,
        JobState::Failed,
        JobState::Cancelled,
    ];

    /// Whether nothing more will happen to it.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            JobState::Succeeded | JobState::Degraded | JobState::Failed | JobState::Cancelled
        )
    }

    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Parked => "parked",
            JobState::Retrying => "retrying",
            JobState::Succeeded => "succeeded",
            JobState::Degraded => "degraded",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }
}

/// A job as far as policy goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Where it is.
    pub state: JobState,
    /// How often a worker took it: the number of its last attempt. Going on after a park
    /// counts here, but never against the retry budget.
    pub attempts: u32,
    /// By stream.
    pub streams: BTreeMap<StreamName, StreamOutcome>,
    /// Attempts of each stream that failed since it last made progress; what the budget
    /// counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fruitless: BTreeMap<StreamName, u32>,
    /// Workers in a row that were lost while they held it.
    #[serde(default)]
    pub lost: u32,
    /// Whether it has no end of its own. Nobody would ask for it again, so whatever fails
    /// is tried again, what needs a person included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
    /// Whether it was given up because its workers kept being lost.
    #[serde(default)]
    pub poisoned: bool,
    /// The generations that its streams are read in, where the request asks for new
    /// ones: fixed before the first is opened, so that no attempt opens another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub generations: BTreeMap<StreamName, u64>,
    /// Why the running attempt was told to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The trace that it belongs to, as a W3C `traceparent`: that of whoever asked for
    /// it. Every attempt goes on in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What a person should know of its streams, whatever becomes of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub warnings: BTreeMap<StreamName, Vec<Warning>>,
    /// The streams that ended in the running attempt, and whether they made progress.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ended: BTreeMap<StreamName, bool>,
}

/// Something that a person should know of a stream, though nothing failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// For people; holds no secret and no value of a record.
    pub text: String,
}

/// What a warning is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// The source's schema is not what the stream lands under, or was not.
    SchemaChanged,
    /// Records hold fields that discovery does not know.
    UnknownFields,
    /// Records hold values that are not of their column's type.
    MistypedValues,
}

/// Warnings of one stream that are kept of a job: the newest.
pub const WARNINGS_MAX: usize = 20;

/// Why a running attempt is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Stop {
    /// Someone asked for the job's end.
    Cancel,
    /// The worker goes away; another goes on.
    Drain,
    /// The hours in which it may run are over.
    Pause {
        /// When they begin again, in milliseconds since the epoch.
        until_ms: u64,
    },
}

/// Why a job failed, in whole or in part: what failed jobs are found by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// [`Fault::Config`], or nothing to read.
    Config,
    /// [`Fault::Auth`].
    Auth,
    /// [`Fault::Throttled`], more often than the budget allows.
    Throttled,
    /// [`Fault::Transient`], more often than the budget allows.
    Transient,
    /// [`Fault::StaleCursor`].
    StaleCursor,
    /// [`Fault::Protocol`].
    Protocol,
    /// [`Fault::Guest`].
    Guest,
    /// [`Fault::Host`], more often than the budget allows.
    Host,
    /// Every worker that took it was lost.
    Poison,
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Reason {
        match fault {
            Fault::Config => Reason::Config,
            Fault::Auth => Reason::Auth,
            Fault::Throttled => Reason::Throttled,
            Fault::Transient => Reason::Transient,
            Fault::StaleCursor => Reason::StaleCursor,
            Fault::Protocol => Reason::Protocol,
            Fault::Guest => Reason::Guest,
            Fault::Host => Reason::Host,
        }
    }
}

impl Reason {
    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Config => "config",
            Reason::Auth => "auth",
            Reason::Throttled => "throttled",
            Reason::Transient => "transient",
            Reason::StaleCursor => "stale_cursor",
            Reason::Protocol => "protocol",
            Reason::Guest => "guest",
            Reason::Host => "host",
            Reason::Poison => "poison",
        }
    }
}

/// What a job is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum JobRequest {
    /// Read what is new.
    Sync,
    /// Read everything anew, in a new generation.
    Resync {
        /// Of these streams; empty means all of the sync.
        #[serde(default)]
        streams: Vec<StreamName>,
    },
    /// Read a span of the history again, with cursors of its own.
    Backfill {
        /// Of this stream.
        stream: StreamName,
        /// This span.
        window: WindowSpec,
    },
    /// Read what changes as it changes, with cursors of its own, for as long as the
    /// sync wants it.
    Live {
        /// Of this stream.
        stream: StreamName,
    },
}

/// What made a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Trigger {
    /// A person, on the command line or in the console.
    Manual,
    /// Its schedule.
    Schedule,
    /// A call of the API.
    Api,
    /// The end of another job.
    After {
        /// That one.
        job: JobId,
    },
    /// Someone asked to try a job again.
    Retry {
        /// That one.
        job: JobId,
    },
}

/// What a job, and a request that it sends, is for. Under contention the classes share
/// by weight; what one does not use, the others get.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// 60 of 100.
    Live,
    /// 30 of 100.
    #[default]
    Incremental,
    /// 10 of 100.
    History,
}

impl Class {
    /// All of them, the heaviest first.
    pub const ALL: [Class; 3] = [Class::Live, Class::Incremental, Class::History];

    /// Its share under contention, of 100.
    pub fn weight(self) -> u32 {
        match self {
            Class::Live => 60,
            Class::Incremental => 30,
            Class::History => 10,
        }
    }

    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Live => "live",
            Class::Incremental => "incremental",
            Class::History => "history",
        }
    }

    /// Its place in [`Class::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// How often a job is tried without progress, and how long it waits before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Attempts of a stream without progress before it fails.
    pub fruitless_max: u32,
    /// Workers lost in a row, without progress, before the job is given up.
    pub lost_max: u32,
    /// The waits between attempts.
    pub backoff: Backoff,
}

/// What happens to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker took it. Where another still held it, that one was lost.
    Claimed {
        /// The time, in milliseconds since the epoch.
        now_ms: u64,
        /// Whether anything was committed for it since it was last taken; asked only
        /// where the worker was lost.
        progressed: bool,
    },
    /// A stream's outcome changed.
    Stream {
        /// Which one.
        name: StreamName,
        /// To what.
        outcome: StreamOutcome,
        /// Whether any batch of it was committed in this attempt.
        progressed: bool,
    },
    /// A person should know something of a stream.
    Warned {
        /// Which one.
        name: StreamName,
        /// What.
        warnings: Vec<Warning>,
    },
    /// The attempt is over.
    AttemptEnded {
        /// The time, in milliseconds since the epoch.
        now_ms: u64,
        /// Any value, drawn evenly; spreads the retries.
        random: u64,
    },
    /// Someone asked for its end.
    CancelRequested,
    /// The worker that holds it goes away.
    DrainRequested,
    /// It may not run before this time (epoch milliseconds).
    PausedUntil(u64),
}

/// What an actor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Run the streams whose outcome is [`StreamOutcome::Running`].
    Run,
    /// Give the worker back and take the job again at this time (epoch milliseconds).
    WaitUntil(u64),
    /// Give the worker back; any may take the job at once.
    Requeue,
    /// Tell the running guests to stop.
    Stop,
    /// It is over.
    Finish,
}

impl Job {
    /// A queued job over these streams.
    pub fn new(streams: impl IntoIterator<Item = StreamName>) -> Job {
        Job {
            state: JobState::Queued,
            attempts: 0,
            streams: streams
                .into_iter()
                .map(|stream| (stream, StreamOutcome::Running))
                .collect(),
            fruitless: BTreeMap::new(),
            lost: 0,
            live: false,
            poisoned: false,
            generations: BTreeMap::new(),
            stop: None,
            trace: None,
            warnings: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// When a worker may take it, in milliseconds since the epoch: 0 for at once, none
    /// while one holds it or when it is over.
    pub fn wakes_at_ms(&self) -> Option<u64> {
        match self.state {
            JobState::Queued => Some(0),
            JobState::Parked | JobState::Retrying => self.first_wait_ms(),
            _ => None,
        }
    }

    /// Whether the running attempt is known to have committed anything.
    pub fn has_progressed(&self) -> bool {
        self.ended.values().any(|progressed| *progressed)
    }

    /// Why it failed or is degraded; of several reasons the one that a person should
    /// look at first.
    pub fn reason(&self) -> Option<Reason> {
        if !matches!(self.state, JobState::Failed | JobState::Degraded) {
            return None;
        }
        if self.poisoned {
            return Some(Reason::Poison);
        }
        let faults = self.streams.values().filter_map(|outcome| match outcome {
            StreamOutcome::Failed { fault, .. } => Some(*fault),
            _ => None,
        });
        Some(faults.min().unwrap_or(Fault::Config).into())
    }

    fn first_wait_ms(&self) -> Option<u64> {
        self.streams
            .values()
            .filter_map(StreamOutcome::waits_until_ms)
            .min()
    }
}

#[cfg(test)]
mod tests;
