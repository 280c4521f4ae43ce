//! The connector against a small CRM that answers lists, searches and
//! property requests, seen only as a blind connector may see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod crm;
mod describing;
mod planning;
mod reading;
mod related;

use serde_json::Value;
use tidegate_sdk::{
    prelude::*,
    testing::{Emitted, Job, MemoryHost},
};

use self::crm::Crm;
use crate::{Cursor, HubSpot, Position, Slice};

const MINUTE_MS: u64 = 60_000;
/// 2026-11-22T08:00:00Z.
const NOW_MS: u64 = 1_795_334_400_000;

fn memory(crm: &Crm) -> MemoryHost {
    MemoryHost::new(crm.remote())
        .at(NOW_MS)
        .blind(&HubSpot::manifest())
}

fn contacts() -> Job {
    Job::new("contacts")
}

fn ended_at(outcome: Outcome<HubSpot>) -> u64 {
    match outcome {
        Outcome::Done(Cursor {
            until,
            position: Position::End,
        }) => until,
        other => panic!("expected the end of the partition, not {other:?}"),
    }
}

fn ids(emitted: &[Emitted]) -> Vec<u64> {
    let mut ids: Vec<u64> = emitted
        .iter()
        .map(|record| record.key.parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

fn plan_of(mode: SyncMode, previous: &[(Slice, u64)]) -> Plan<HubSpot> {
    let end = |(index, (slice, until)): (usize, &(Slice, u64))| tidegate_sdk::PartitionEnd {
        id: index.to_string(),
        slice: *slice,
        cursor: Cursor::end(*until),
    };
    Plan {
        config: crate::Config::default(),
        stream: "contacts".to_owned(),
        mode,
        window: None,
        partitions_max: 4,
        previous: previous.iter().enumerate().map(end).collect(),
    }
}

fn state(cursor: &Cursor) -> Option<Value> {
    Some(serde_json::to_value(cursor).unwrap())
}
