//! What is kept of an attempt, as JSON.

use crate::attempt::StreamReport;
use crate::progress::{Figures, PartitionAttempt, Progress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidegate_broker::Usage;
use tidegate_domain::id::{PartitionId, StreamName};
use tidegate_domain::job::StreamOutcome;

/// What an attempt did and used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptReport {
    /// Of all streams.
    pub figures: Figures,
    /// Requests that were sent again.
    pub retries: u64,
    /// Milliseconds that requests waited for the provider's limits.
    pub limit_wait_ms: u64,
    /// By stream, those that were tried.
    pub streams: BTreeMap<StreamName, StreamAttempt>,
}

/// What an attempt did to one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamAttempt {
    /// How it ended.
    pub outcome: StreamOutcome,
    /// The generation that was read; 0 where none was.
    pub generation: u64,
    /// What it came to.
    pub figures: Figures,
    /// Its partitions that were read, 500 at the most: those that did not finish before
    /// those that did.
    #[serde(default)]
    pub partitions: BTreeMap<PartitionId, PartitionAttempt>,
}

impl AttemptReport {
    pub(super) fn new(
        progress: &Progress,
        usage: Option<Usage>,
        reports: &BTreeMap<StreamName, StreamReport>,
    ) -> AttemptReport {
        let mut by_stream = progress.by_stream();
        let streams = reports.iter().map(|(name, report)| {
            let attempt = StreamAttempt {
                outcome: report.outcome.clone(),
                generation: report.generation,
                figures: by_stream.remove(name).unwrap_or_default(),
                partitions: progress.partitions(name),
            };
            (name.clone(), attempt)
        });
        let usage = usage.unwrap_or_default();
        AttemptReport {
            streams: streams.collect(),
            // A call of a guest that fails is of no stream's figures, but it asked.
            figures: Figures {
                requests: usage.requests,
                bytes_received: usage.bytes_received,
                ..progress.figures()
            },
            retries: usage.retries,
            limit_wait_ms: usage.limit_wait_ms,
        }
    }
}
