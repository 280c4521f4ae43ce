//! The guarded writes. Each begins by finding the stream under the caller's epoch
//! and token; the group's transaction keeps that true until its end.

use super::{check_chain, fenced, rows};
use crate::events::NewEvent;
use crate::sqlite::encoding::{decode, encode};
use crate::sqlite::events;
use crate::sqlite::failure::{Failure, Violation};
use crate::streams::{Intent, IntentState, Lease, Reconciliation};
use rusqlite::{Connection, OptionalExtension as _, params};
use tidegate_domain::id::Sha256;
use tidegate_domain::stream::StreamState;

/// What a write needs of the stream whose lease was proven.
struct Guarded {
    id: i64,
    staged: String,
    published: String,
    log_tail: u64,
    next_batch: u64,
}

fn guard(database: &Connection, lease: &Lease) -> Result<Guarded, Failure> {
    let found = database
        .prepare_cached(
            "SELECT id, staged, published, log_tail, next_batch FROM streams
             WHERE tenant = ?1 AND sync = ?2 AND stream = ?3 AND epoch = ?4 AND owner = ?5",
        )?
        .query_row(
            params![
                lease.key.tenant.as_str(),
                lease.key.sync.as_str(),
                lease.key.stream.as_str(),
                lease.epoch,
                lease.owner.to_string()
            ],
            |row| {
                Ok(Guarded {
                    id: row.get(0)?,
                    staged: row.get(1)?,
                    published: row.get(2)?,
                    log_tail: row.get(3)?,
                    next_batch: row.get(4)?,
                })
            },
        )
        .optional()?;
    found.ok_or_else(|| fenced(lease))
}

/// A seal, encoded and proven to chain.
pub(super) struct Seal {
    lease: Lease,
    before: String,
    after: String,
    batch: u64,
    change: String,
    objects: String,
    state: IntentState,
}

impl Seal {
    pub(super) fn new(
        lease: &Lease,
        before: &StreamState,
        after: &StreamState,
        intent: &Intent,
    ) -> Result<Seal, Failure> {
        check_chain(before, &intent.change, after)?;
        Ok(Seal {
            lease: lease.clone(),
            before: encode(before)?,
            after: encode(after)?,
            batch: intent.batch,
            change: encode(&intent.change)?,
            objects: encode(&intent.objects)?,
            state: intent.state,
        })
    }
}

pub(super) fn seal(database: &Connection, seal: &Seal) -> Result<(), Failure> {
    let stream = guard(database, &seal.lease)?;
    if stream.staged != seal.before {
        return Err(fenced(&seal.lease));
    }
    if stream.next_batch != seal.batch {
        let (expected, found) = (stream.next_batch, seal.batch);
        return Err(Violation::Batch { expected, found }.into());
    }
    database
        .prepare_cached(
            "INSERT INTO intents (stream_id, batch, change, objects, state)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            stream.id,
            seal.batch,
            seal.change,
            seal.objects,
            word(seal.state)
        ])?;
    database
        .prepare_cached("UPDATE streams SET staged = ?2, next_batch = ?3 WHERE id = ?1")?
        .execute(params![stream.id, seal.after, seal.batch + 1])?;
    Ok(())
}

pub(super) fn mark_uploaded(
    database: &Connection,
    lease: &Lease,
    batch: u64,
) -> Result<(), Failure> {
    let stream = guard(database, lease)?;
    let marked = database
        .prepare_cached("UPDATE intents SET state = ?3 WHERE stream_id = ?1 AND batch = ?2")?
        .execute(params![stream.id, batch, word(IntentState::Uploaded)])?;
    if marked == 0 {
        return Err(Violation::NoIntent { batch }.into());
    }
    Ok(())
}

/// A batch that its slot made visible.
pub(super) struct CommitMark {
    pub(super) lease: Lease,
    pub(super) batch: u64,
    pub(super) slot: u64,
    pub(super) slot_sha256: Sha256,
    pub(super) published: StreamState,
    pub(super) events: Vec<NewEvent>,
    pub(super) at_ms: u64,
}

pub(super) fn mark_committed(database: &Connection, mark: &CommitMark) -> Result<(), Failure> {
    let stream = guard(database, &mark.lease)?;
    if stream.log_tail != mark.slot {
        let (expected, found) = (stream.log_tail, mark.slot);
        return Err(Violation::Slot { expected, found }.into());
    }
    let first: Option<(u64, String)> = database
        .prepare_cached(
            "SELECT batch, change FROM intents WHERE stream_id = ?1 ORDER BY batch LIMIT 1",
        )?
        .query_row([stream.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (first, change) = first.ok_or(Violation::NoIntent { batch: mark.batch })?;
    if first != mark.batch {
        return Err(Violation::Order {
            expected: first,
            found: mark.batch,
        }
        .into());
    }
    let published: StreamState = decode("published state", &stream.published)?;
    check_chain(&published, &decode("intent", &change)?, &mark.published)?;
    delete_intent(database, stream.id, mark.batch)?;
    database
        .prepare_cached(
            "UPDATE streams SET published = ?2, log_tail = ?3, log_tail_sha256 = ?4
             WHERE id = ?1",
        )?
        .execute(params![
            stream.id,
            encode(&mark.published)?,
            mark.slot + 1,
            mark.slot_sha256.as_str()
        ])?;
    events::tell(database, &mark.lease.key.tenant, mark.at_ms, &mark.events)
}

pub(super) fn reconcile(
    database: &Connection,
    lease: &Lease,
    found: &Reconciliation,
    at_ms: u64,
) -> Result<(), Failure> {
    let stream = guard(database, lease)?;
    if found.log_tail < stream.log_tail {
        // A log that lost slots lost rows: a person must look at it.
        let (known, found) = (stream.log_tail, found.log_tail);
        return Err(Violation::LogShrank { known, found }.into());
    }
    for batch in found.adopted.iter().chain(&found.abandoned) {
        delete_intent(database, stream.id, *batch)?;
    }
    let mut staged = found.published.clone();
    for kept in rows::intents(database, stream.id)? {
        staged = staged.apply(&kept.change).map_err(Violation::Chain)?;
    }
    if staged != found.staged {
        return Err(Violation::State.into());
    }
    database
        .prepare_cached(
            "UPDATE streams SET published = ?2, staged = ?3, log_tail = ?4,
                    log_tail_sha256 = ?5, next_batch = ?6
             WHERE id = ?1",
        )?
        .execute(params![
            stream.id,
            encode(&found.published)?,
            encode(&found.staged)?,
            found.log_tail,
            found.log_tail_sha256.as_ref().map(Sha256::as_str),
            stream.next_batch.max(found.next_batch)
        ])?;
    events::tell(database, &lease.key.tenant, at_ms, &found.events)
}

fn delete_intent(database: &Connection, stream_id: i64, batch: u64) -> Result<(), Failure> {
    database
        .prepare_cached("DELETE FROM intents WHERE stream_id = ?1 AND batch = ?2")?
        .execute(params![stream_id, batch])?;
    Ok(())
}

fn word(state: IntentState) -> &'static str {
    match state {
        IntentState::Sealed => "sealed",
        IntentState::Uploaded => "uploaded",
    }
}
