//! What a sync is asked to do: modes, landings, windows.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every record, every time.
    FullRefresh,
    /// Everything once, then what changed.
    Incremental,
    /// As incremental, and beside it what changes as it changes, in a log of its own
    /// that is read for as long as the sync is there.
    Live,
}

/// How rows land.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Landing {
    /// Every committed row of every generation since the last reset.
    Append,
    /// Readers see the newest row of each key.
    AppendDedup,
    /// Readers see the newest complete generation only.
    Overwrite,
}

/// A half-open span of time, `since <= t < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Window {
    /// First instant, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// First instant after it, in milliseconds since the Unix epoch.
    pub until_ms: u64,
}
