//! The connector against a small account, seen only as a blind connector may see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod account;
mod describing;
mod reading;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_sdk::{
    PartitionEnd,
    prelude::*,
    testing::{Job, MemoryHost},
};

use self::account::Account;
use crate::{Config, LeadSquared, Slice};

const DAY_S: u64 = 86_400;
/// 2026-11-22T08:00:00Z.
const NOW_S: u64 = 1_795_334_400;
/// Clocks do not stand at whole seconds.
const NOW_MS: u64 = NOW_S * 1_000 + 700;

type Ends = Vec<PartitionEnd<LeadSquared>>;

fn settings() -> Value {
    json!({"region": "api-in21"})
}

fn config() -> Config {
    serde_json::from_value(settings()).unwrap()
}

fn memory(account: &Account) -> MemoryHost {
    MemoryHost::new(account.remote())
        .at(NOW_MS)
        .blind(&LeadSquared::manifest())
}

fn job(stream: &str) -> Job {
    Job {
        mode: SyncMode::Incremental,
        config: settings(),
        ..Job::new(stream)
    }
}

/// What landed: key and time of modification.
fn landed(memory: &MemoryHost) -> BTreeMap<String, String> {
    let landed = memory.landed().into_iter();
    landed
        .map(|(key, record)| {
            let record = record.get("LeadPropertyList").unwrap_or(&record);
            (key, record["ModifiedOn"].as_str().unwrap().to_owned())
        })
        .collect()
}
