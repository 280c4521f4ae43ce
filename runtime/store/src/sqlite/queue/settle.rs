//! What an attempt comes to, written under its claim.

use super::enqueue::{enqueue, finish};
use super::lost;
use crate::queue::{
    ATTEMPTS_KEPT, Claim, LOG_LINES_KEPT, LogLine, NewAttempt, Settled, Settlement,
};
use crate::sqlite::encoding::{decode_word, encode, encode_word};
use crate::sqlite::failure::{Failure, Violation};
use crate::sqlite::{events, jobs};
use rusqlite::{Connection, OptionalExtension as _, params};
use tidegate_domain::id::{SyncId, TenantId};
use tidegate_domain::job::Job;

/// What a write needs of the job whose claim was proven.
struct Guarded {
    tenant: TenantId,
    sync: SyncId,
    cancel_requested: bool,
}

fn guard(database: &Connection, claim: &Claim) -> Result<Guarded, Failure> {
    let found: Option<(String, String, bool)> = database
        .prepare_cached(
            "SELECT tenant, sync, cancel_requested FROM queue
             WHERE job = ?1 AND claim_epoch = ?2 AND claim_owner = ?3",
        )?
        .query_row(
            params![claim.job.as_str(), claim.epoch, claim.owner.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let (tenant, sync, cancel_requested) = found.ok_or_else(|| lost(claim))?;
    Ok(Guarded {
        tenant: decode_word("job", &tenant)?,
        sync: decode_word("job", &sync)?,
        cancel_requested,
    })
}

pub(super) fn save(
    database: &Connection,
    claim: &Claim,
    job: &Job,
    at_ms: u64,
) -> Result<(), Failure> {
    guard(database, claim)?;
    if job.state.is_final() {
        return Err(Violation::JobState {
            id: claim.job.to_string(),
        }
        .into());
    }
    database
        .prepare_cached("UPDATE jobs SET job = ?2, updated_at_ms = ?3 WHERE id = ?1")?
        .execute(params![claim.job.as_str(), encode(job)?, at_ms])?;
    Ok(())
}

pub(super) fn settle(
    database: &Connection,
    claim: &Claim,
    settled: &Settled,
) -> Result<Settlement, Failure> {
    let guarded = guard(database, claim)?;
    let finished = settled.job.state.is_final();
    if guarded.cancel_requested && !finished {
        return Ok(Settlement::CancelRequested);
    }
    if finished {
        finish(database, &claim.job, &settled.job, settled.at_ms)?;
    } else {
        wait(database, claim, settled)?;
    }
    keep_attempt(database, claim, &settled.attempt)?;
    let tenant = &guarded.tenant;
    events::insert(database, tenant, settled.at_ms, &settled.events)?;
    let follow_ups = settled.follow_ups.iter();
    let follow_ups = follow_ups.map(|next| enqueue(database, tenant, next, settled.at_ms));
    let follow_ups = follow_ups.collect::<Result<_, _>>()?;
    if finished {
        jobs::forget_finished(database, tenant, &guarded.sync)?;
    }
    Ok(Settlement::Done { follow_ups })
}

fn wait(database: &Connection, claim: &Claim, settled: &Settled) -> Result<(), Failure> {
    // One that nobody holds must say when it goes on.
    let Some(wakes_at_ms) = settled.job.wakes_at_ms() else {
        let id = claim.job.to_string();
        return Err(Violation::JobState { id }.into());
    };
    database
        .prepare_cached("UPDATE jobs SET job = ?2, updated_at_ms = ?3 WHERE id = ?1")?
        .execute(params![
            claim.job.as_str(),
            encode(&settled.job)?,
            settled.at_ms
        ])?;
    database
        .prepare_cached(
            "UPDATE queue SET wake_at_ms = max(wake_at_ms, ?2), claim_owner = NULL,
                    claim_expires_ms = 0
             WHERE job = ?1",
        )?
        .execute(params![claim.job.as_str(), wakes_at_ms])?;
    Ok(())
}

fn keep_attempt(database: &Connection, claim: &Claim, attempt: &NewAttempt) -> Result<(), Failure> {
    let fault = attempt.fault.as_ref().map(encode_word).transpose()?;
    database
        .prepare_cached(
            "INSERT INTO attempts (job, number, started_at_ms, ended_at_ms, fault, error, report)
             SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6
             FROM attempts WHERE job = ?1",
        )?
        .execute(params![
            claim.job.as_str(),
            attempt.started_at_ms,
            attempt.ended_at_ms,
            fault,
            attempt.error,
            attempt.report
        ])?;
    database
        .prepare_cached(
            "DELETE FROM attempts WHERE job = ?1 AND number <=
                 (SELECT max(number) FROM attempts WHERE job = ?1) - ?2",
        )?
        .execute(params![claim.job.as_str(), ATTEMPTS_KEPT])?;
    Ok(())
}

pub(super) fn append_log(
    database: &Connection,
    claim: &Claim,
    lines: &[LogLine],
) -> Result<(), Failure> {
    guard(database, claim)?;
    let job = claim.job.as_str();
    let mut number: u64 = database
        .prepare_cached("SELECT coalesce(max(number), 0) FROM log_lines WHERE job = ?1")?
        .query_row([job], |row| row.get(0))?;
    for line in lines {
        number += 1;
        database
            .prepare_cached(
                "INSERT INTO log_lines (job, number, at_ms, level, stream, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                job,
                number,
                line.at_ms,
                line.level,
                line.stream,
                line.message
            ])?;
    }
    database
        .prepare_cached("DELETE FROM log_lines WHERE job = ?1 AND number <= ?2")?
        .execute(params![
            job,
            number.saturating_sub(u64::from(LOG_LINES_KEPT))
        ])?;
    Ok(())
}
