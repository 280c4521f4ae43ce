//! The connector against a small workspace, seen only as a blind connector may see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod describing;
mod reading;
mod scrolling;
mod workspace;

use std::collections::BTreeMap;

use tidegate_sdk::{
    PartitionEnd,
    prelude::*,
    testing::{Job, MemoryHost},
};

use self::workspace::Workspace;
use crate::{Intercom, Position, Slice};

const DAY_S: u64 = 86_400;
/// 2026-11-22T08:00:00Z.
const NOW_S: u64 = 1_795_334_400;
const NOW_MS: u64 = NOW_S * 1_000;

type Ends = Vec<PartitionEnd<Intercom>>;

fn memory(workspace: &Workspace) -> MemoryHost {
    MemoryHost::new(workspace.remote())
        .at(NOW_MS)
        .blind(&Intercom::manifest())
}

fn job(stream: &str) -> Job {
    Job {
        mode: SyncMode::Incremental,
        ..Job::new(stream)
    }
}

/// What landed: id and time of update.
fn landed(memory: &MemoryHost) -> BTreeMap<u64, u64> {
    let landed = memory.landed().into_values();
    landed
        .map(|record| {
            let id = record["id"].as_str().unwrap().parse().unwrap();
            (id, record["updated_at"].as_u64().unwrap())
        })
        .collect()
}
