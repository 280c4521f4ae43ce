//! What a source is asked, and what it answers, in the words of the domain.

use crate::Error;
use crate::sink::Sink;
use crate::usage::CallUsage;
use tidegate_domain::stream::PlannedPartition;
use tidegate_domain::sync::{Mode, Window};

/// A stream that `discover` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// JSON Schema of a record.
    pub schema: String,
    /// JSON pointers to the fields of its key.
    pub primary_key: Vec<String>,
    /// JSON pointer to its cursor.
    pub cursor_field: Option<String>,
    /// How it can be read.
    pub modes: Vec<Mode>,
    /// Whether its feed carries deletions.
    pub has_deletes: bool,
    /// Whether `plan` may return more than one partition.
    pub splittable: bool,
    /// Room for growth: JSON.
    pub extra: String,
}

/// How a partition of the last completed run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionEnd {
    /// Its id.
    pub id: String,
    /// What the connector planned.
    pub descriptor: String,
    /// Its last state.
    pub state: String,
}

/// What `plan` is asked.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// The connection's configuration, as JSON.
    pub config: String,
    /// The stream to cut.
    pub stream: String,
    /// How it is read.
    pub mode: Mode,
    /// Bounds of the history wanted; none means all.
    pub window: Option<Window>,
    /// How many partitions are worth making.
    pub partitions_max: u32,
    /// How each partition of the last completed run ended.
    pub previous: Vec<PartitionEnd>,
}

/// What `read` is asked.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The connection's configuration, as JSON.
    pub config: String,
    /// The stream, as it was discovered.
    pub stream: StreamInfo,
    /// How it is read.
    pub mode: Mode,
    /// The part to read.
    pub partition: PlannedPartition,
    /// Its last durable state; none on first entry.
    pub state: Option<String>,
    /// Fields that the user chose; empty means all.
    pub fields: Vec<String>,
}

/// How a read ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The partition is exhausted; the state covers everything pushed.
    Done {
        /// Seeds the next run.
        state: String,
    },
    /// Call again with the last saved state.
    More,
    /// Call again after this time, in milliseconds since the epoch.
    WaitUntil(u64),
    /// Replace the partition by these.
    Split(Vec<PlannedPartition>),
}

/// Everything that is known after a read.
pub struct ReadReport {
    /// How it ended. After an error, and after anything but `Done`, what was pushed
    /// since the last save does not count.
    pub outcome: Result<ReadOutcome, Error>,
    /// The sink, given back.
    pub sink: Box<dyn Sink>,
    /// What the call took.
    pub usage: CallUsage,
}
