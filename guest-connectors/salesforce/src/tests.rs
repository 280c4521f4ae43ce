//! The connector against a small org, seen only as a blind connector may see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bulk;
mod deleted;
mod describing;
mod live;
mod org;
mod planning;
mod reading;

use serde_json::{Value, json};
use tidegate_sdk::{
    prelude::*,
    testing::{Emitted, Job as Calls, MemoryHost},
};

use self::org::{Org, key};
use crate::{Config, Cursor, Position, Salesforce, Slice};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// 2026-11-22T08:00:00Z.
const NOW_MS: u64 = 1_795_334_400_000;

fn memory(org: &Org) -> MemoryHost {
    MemoryHost::new(org.remote())
        .at(NOW_MS + 250)
        .blind(&Salesforce::manifest())
}

fn accounts() -> Calls {
    Calls {
        mode: SyncMode::Incremental,
        config: json!({"login": "login", "bulk_above": 100, "bulk_page_records": 1_000}),
        ..Calls::new("Account")
    }
}

/// All that was modified in the hour before now.
fn hour() -> Slice {
    Slice {
        field: Some("SystemModstamp".to_owned()),
        since: NOW_MS - HOUR_MS,
        until: NOW_MS,
        flagged: true,
        history: false,
        deletes: None,
    }
}

/// Accounts that were all modified within `hour()`.
fn recent(count: u64) -> Org {
    Org::of(count, NOW_MS - HOUR_MS)
}

/// Reads a slice to its end, over parks.
fn read(memory: &MemoryHost, calls: &Calls, slice: &Slice) -> Cursor {
    let mut calls = calls.clone();
    for _ in 0..100 {
        match memory.run::<Salesforce>(&calls, slice).unwrap() {
            Outcome::Done(cursor) => {
                assert_eq!(cursor.position, Position::End);
                return cursor;
            }
            Outcome::WaitUntil(at_ms) => {
                assert!(at_ms > NOW_MS && at_ms <= NOW_MS + 61_000);
                calls.state = memory.saves().pop().or(calls.state);
            }
            other => panic!("not the end: {other:?}"),
        }
    }
    panic!("no end")
}

fn ids(emitted: &[Emitted]) -> Vec<String> {
    let mut ids: Vec<String> = emitted.iter().map(|record| record.key.clone()).collect();
    ids.sort_unstable();
    ids
}

fn keys(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(key).collect()
}

/// Requests to a path that ends so.
fn asked(memory: &MemoryHost, end: &str) -> usize {
    let requests = memory.requests();
    let of_end = requests.iter().filter(|request| match &request.target {
        tidegate_sdk::Target::Endpoint { path, .. } => path.ends_with(end),
        tidegate_sdk::Target::Absolute(_) => false,
    });
    of_end.count()
}

fn plan_of(mode: SyncMode, previous: &[Cursor]) -> Plan<Salesforce> {
    let end = |(index, cursor): (usize, &Cursor)| tidegate_sdk::PartitionEnd {
        id: index.to_string(),
        slice: hour(),
        cursor: cursor.clone(),
    };
    Plan {
        config: Config::default(),
        stream: "Account".to_owned(),
        mode,
        window: None,
        partitions_max: 4,
        previous: previous.iter().enumerate().map(end).collect(),
    }
}

fn state(cursor: &Cursor) -> Option<Value> {
    Some(serde_json::to_value(cursor).unwrap())
}
