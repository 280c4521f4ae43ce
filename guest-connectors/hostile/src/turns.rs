//! Guests that give their place back, as they should.

use crate::Hostile;
use serde_json::json;
use tidegate_sdk::prelude::*;

const WAIT_MS: u64 = 300;
const TURNS: u64 = 4;

fn emit(host: &Host, stream: &str, id: u64) -> Result<(), Failure> {
    let line = format!("{{\"id\":\"{id}\"}}\n");
    host.emit_ndjson(stream, Change::Upsert, line.as_bytes())?;
    Ok(())
}

pub(crate) fn wait(host: &Host, read: &Read<Hostile>) -> Result<Outcome<Hostile>, Failure> {
    if read.cursor.is_some() {
        emit(host, &read.stream, 2)?;
        return Ok(Outcome::Done(json!({"waited": true})));
    }
    emit(host, &read.stream, 1)?;
    read.save(host, &json!({"waited": false}))?;
    // What follows the save does not count: the next call reads it again.
    emit(host, &read.stream, 2)?;
    Ok(Outcome::WaitUntil(host.now_ms() + WAIT_MS))
}

pub(crate) fn more(host: &Host, read: &Read<Hostile>) -> Result<Outcome<Hostile>, Failure> {
    let turn = read
        .cursor
        .as_ref()
        .and_then(|cursor| cursor["turn"].as_u64())
        .unwrap_or(0);
    emit(host, &read.stream, turn + 1)?;
    if turn + 1 == TURNS {
        return Ok(Outcome::Done(json!({"turn": TURNS})));
    }
    read.save(host, &json!({"turn": turn + 1}))?;
    Ok(Outcome::More)
}
