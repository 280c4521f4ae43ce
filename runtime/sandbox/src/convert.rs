//! Between the contract's types and the domain's, with the rules that an answer
//! must keep.

use crate::bindings::source as wit;
use crate::bindings::types::SyncMode;
use crate::config::Caps;
use crate::host::check_state;
use crate::source::{PlanRequest, ReadOutcome, ReadRequest, StreamInfo};
use std::collections::BTreeSet;
use tidegate_domain::id::{PartitionId, StreamName};
use tidegate_domain::stream::PlannedPartition;
use tidegate_domain::sync::{Mode, Window};

/// Streams of one account; Salesforce has some thousand objects.
const STREAMS_MAX: usize = 10_000;
/// Partitions that one may be split into.
const SPLIT_MAX: usize = 1_000;
/// How many partitions a plan may have. What a request calls its maximum is advice on
/// how many are worth making; this bounds what a guest can make us keep.
pub(crate) const PLAN_MAX: usize = 10_000;
/// Bytes of a partition's descriptor.
const DESCRIPTOR_BYTES_MAX: usize = 64 << 10;

pub(crate) fn plan_request(request: PlanRequest) -> wit::PlanRequest {
    wit::PlanRequest {
        config: request.config,
        stream_name: request.stream,
        mode: to_mode(request.mode),
        window: request.window.map(to_window),
        max_partitions: request.partitions_max,
        previous: request
            .previous
            .into_iter()
            .map(|end| wit::PartitionEnd {
                id: end.id,
                descriptor: end.descriptor,
                state: end.state,
            })
            .collect(),
    }
}

pub(crate) fn read_request(request: ReadRequest) -> wit::ReadRequest {
    let partition = request.partition;
    wit::ReadRequest {
        config: request.config,
        stream_name: request.stream.name,
        mode: to_mode(request.mode),
        partition: wit::Partition {
            id: partition.id.as_str().to_owned(),
            descriptor: partition.descriptor,
            window: partition.window.map(to_window),
            estimated_records: partition.estimated_records,
        },
        state: request.state,
        fields: request.fields,
    }
}

pub(crate) fn streams(found: Vec<wit::StreamInfo>) -> Result<Vec<StreamInfo>, String> {
    if found.len() > STREAMS_MAX {
        return Err(format!("discover may list {STREAMS_MAX} streams"));
    }
    let mut names = BTreeSet::new();
    found
        .into_iter()
        .map(|stream| {
            StreamName::parse(stream.name.as_str()).map_err(|invalid| invalid.to_string())?;
            if !names.insert(stream.name.clone()) {
                return Err(format!("stream {} is there twice", stream.name));
            }
            if !is_json(&stream.schema) {
                return Err(format!("the schema of stream {} is not JSON", stream.name));
            }
            Ok(StreamInfo {
                name: stream.name,
                schema: stream.schema,
                primary_key: stream.primary_key,
                cursor_field: stream.cursor_field,
                modes: stream.sync_modes.into_iter().map(from_mode).collect(),
                has_deletes: stream.has_deletes,
                splittable: stream.splittable,
                extra: stream.extra,
            })
        })
        .collect()
}

pub(crate) fn partitions(
    planned: Vec<wit::Partition>,
    max: usize,
) -> Result<Vec<PlannedPartition>, String> {
    if planned.is_empty() || planned.len() > max {
        return Err(format!(
            "there must be 1 to {max} partitions, not {}",
            planned.len()
        ));
    }
    let mut ids = BTreeSet::new();
    planned
        .into_iter()
        .map(|partition| {
            let id = PartitionId::parse(partition.id).map_err(|invalid| invalid.to_string())?;
            if !ids.insert(id.clone()) {
                return Err(format!("partition {id} is there twice"));
            }
            if partition.descriptor.len() > DESCRIPTOR_BYTES_MAX || !is_json(&partition.descriptor) {
                return Err(format!(
                    "the descriptor of partition {id} must be JSON of {DESCRIPTOR_BYTES_MAX} bytes at the most"
                ));
            }
            if partition.window.is_some_and(|window| window.since > window.until) {
                return Err(format!("the window of partition {id} ends before it begins"));
            }
            Ok(PlannedPartition {
                id,
                descriptor: partition.descriptor,
                window: partition.window.map(|window| Window {
                    since_ms: window.since,
                    until_ms: window.until,
                }),
                estimated_records: partition.estimated_records,
            })
        })
        .collect()
}

/// `had_saved`: a state of the partition was saved, in this call or before it.
pub(crate) fn outcome(
    outcome: wit::Outcome,
    had_saved: bool,
    caps: &Caps,
) -> Result<ReadOutcome, String> {
    match outcome {
        wit::Outcome::Done(state) => {
            check_state(&state, caps).map_err(|error| error.to_string())?;
            Ok(ReadOutcome::Done { state })
        }
        wit::Outcome::More => Ok(ReadOutcome::More),
        wit::Outcome::WaitUntil(at_ms) => Ok(ReadOutcome::WaitUntil(at_ms)),
        wit::Outcome::Split(_) if had_saved => {
            Err("a partition cannot be split after a state was saved".to_owned())
        }
        wit::Outcome::Split(parts) => Ok(ReadOutcome::Split(partitions(parts, SPLIT_MAX)?)),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn to_mode(mode: Mode) -> SyncMode {
    match mode {
        Mode::FullRefresh => SyncMode::FullRefresh,
        Mode::Incremental => SyncMode::Incremental,
        Mode::Live => SyncMode::Live,
    }
}

fn from_mode(mode: SyncMode) -> Mode {
    match mode {
        SyncMode::FullRefresh => Mode::FullRefresh,
        SyncMode::Incremental => Mode::Incremental,
        SyncMode::Live => Mode::Live,
    }
}

fn to_window(window: Window) -> wit::Window {
    wit::Window {
        since: window.since_ms,
        until: window.until_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: &str) -> wit::Partition {
        wit::Partition {
            id: id.to_owned(),
            descriptor: "{}".to_owned(),
            window: None,
            estimated_records: None,
        }
    }

    #[test]
    fn outcomes_that_would_lose_records_are_refused() {
        let caps = Caps::default();
        let split = || wit::Outcome::Split(vec![part("a"), part("b")]);
        assert!(outcome(split(), false, &caps).is_ok());
        assert!(outcome(split(), true, &caps).is_err());
        assert!(outcome(wit::Outcome::Done("{".to_owned()), true, &caps).is_err());
        assert!(outcome(wit::Outcome::Done("{}".to_owned()), false, &caps).is_ok());
    }

    #[test]
    fn partitions_are_few_named_once_and_described_in_json() {
        assert_eq!(
            partitions(vec![part("a"), part("b")], 2).map(|all| all.len()),
            Ok(2)
        );
        let broken = [
            vec![],
            vec![part("a"), part("b"), part("c")],
            vec![part("a"), part("a")],
            vec![part("../a")],
            vec![wit::Partition {
                descriptor: "{".to_owned(),
                ..part("a")
            }],
            vec![wit::Partition {
                window: Some(wit::Window { since: 2, until: 1 }),
                ..part("a")
            }],
        ];
        for parts in broken {
            assert!(partitions(parts, 2).is_err());
        }
    }
}
