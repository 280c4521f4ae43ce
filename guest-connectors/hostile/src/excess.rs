//! Too much of something: time, memory, calls, bytes, depth.

use std::hint::black_box;

use serde_json::{Value, json};
use tidegate_sdk::prelude::*;

use crate::ENDPOINT;

const MIB: usize = 1 << 20;

/// Ended from outside.
pub(crate) fn spin() -> Value {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

pub(crate) fn grow() -> Value {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block = Vec::new();
        if block.try_reserve_exact(MIB).is_err() {
            return json!({"grown_mib": held.len()});
        }
        block.resize(MIB, 1);
        held.push(black_box(block));
    }
}

/// Ends in a trap.
pub(crate) fn trap_after_emit(host: &Host, stream: &str) -> Result<Value, Failure> {
    host.emit_ndjson(stream, Change::Upsert, b"{\"id\":\"lost\"}\n")?;
    std::process::abort()
}

pub(crate) fn log_flood(host: &Host) -> Value {
    let line = "\u{1b}[31mflood\n".repeat(MIB / 11);
    for _ in 0..1_000 {
        host.log(Level::Error, &line, &[("line", &line)]);
    }
    json!({"lines": 1_000})
}

/// Ended from outside.
pub(crate) fn stuck_cursor(host: &Host, stream: &str) -> Result<Value, Failure> {
    loop {
        let body = host.fetch(&Request::get(ENDPOINT, "/page"))?.body;
        host.emit_body(stream, &body, &Extraction::json("/results").key("/id"))?;
        host.save(&json!({"after": "the same"}))?;
    }
}

pub(crate) fn huge_state(host: &Host) -> Result<Value, Failure> {
    let directive = host.save(&json!({"state": "s".repeat(2 * MIB)}))?;
    Ok(json!({"directive": format!("{directive:?}")}))
}

pub(crate) fn deep_json(host: &Host, stream: &str) -> Value {
    const DEPTH: usize = 10_000;
    let line = format!(
        "{{\"id\":\"1\",\"deep\":{}{}}}\n",
        "[".repeat(DEPTH),
        "]".repeat(DEPTH)
    );
    emitted(host, stream, line.as_bytes())
}

/// Ends when the host gives no more.
pub(crate) fn too_many_handles(host: &Host) -> Value {
    let mut held = Vec::new();
    loop {
        match host.fetch(&Request::get(ENDPOINT, "/page")) {
            Ok(response) => held.push(response.body),
            Err(fault) => return json!({"held": held.len(), "fault": fault.to_string()}),
        }
    }
}

pub(crate) fn host_flood(host: &Host) -> Value {
    let mut last = 0;
    for _ in 0..1_000_000 {
        last = host.now_ms();
    }
    json!({"calls": 1_000_000, "last": last})
}

pub(crate) fn big_ndjson(host: &Host, stream: &str) -> Value {
    let line = format!("{{\"id\":\"1\",\"filler\":\"{}\"}}\n", "x".repeat(1_000));
    for size_mib in [64, 48, 40, 32, 16, 8] {
        let mut lines = Vec::new();
        if lines.try_reserve_exact(size_mib * MIB).is_ok() {
            while lines.len() + line.len() <= size_mib * MIB {
                lines.extend_from_slice(line.as_bytes());
            }
            return json!({"mib": size_mib, "answer": emitted(host, stream, &lines)});
        }
    }
    json!({"mib": 0})
}

fn emitted(host: &Host, stream: &str, lines: &[u8]) -> Value {
    match host.emit_ndjson(stream, Change::Upsert, lines) {
        Ok(summary) => json!({"records": summary.records, "rejected": summary.rejected}),
        Err(fault) => json!({"fault": fault.to_string()}),
    }
}
