//! The connector against a small company that answers lists and field requests, seen
//! only as a blind connector may see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod company;
mod describing;
mod reading;

use std::collections::BTreeMap;

use tidegate_sdk::{
    PartitionEnd,
    prelude::*,
    testing::{Job, MemoryHost},
};

use self::company::Company;
use crate::{Pipedrive, Position, Slice};

const SECOND_MS: u64 = 1_000;
const DAY_MS: u64 = 86_400_000;
/// 2026-11-22T08:00:00.400Z: clocks do not stand at whole seconds.
const NOW_MS: u64 = 1_795_334_400_400;

fn memory(company: &Company) -> MemoryHost {
    MemoryHost::new(company.remote())
        .at(NOW_MS)
        .blind(&Pipedrive::manifest())
}

fn job(stream: &str) -> Job {
    Job {
        mode: SyncMode::Incremental,
        ..Job::new(stream)
    }
}

/// What landed: id and update time.
fn landed(memory: &MemoryHost) -> BTreeMap<u64, String> {
    let landed = memory.landed().into_values();
    landed
        .map(|record| {
            let updated = record["update_time"].as_str().unwrap().to_owned();
            (record["id"].as_u64().unwrap(), updated)
        })
        .collect()
}
