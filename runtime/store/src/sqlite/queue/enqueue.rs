//! Jobs come in, and waiting ones are called off.

use crate::Error;
use crate::events::NewEvent;
use crate::queue::{Enqueue, Enqueued, NewJob, UNFINISHED_JOBS_MAX};
use crate::sqlite::encoding::{decode, decode_word, encode, encode_word};
use crate::sqlite::failure::{Failure, Violation};
use crate::sqlite::{events, jobs};
use rusqlite::{Connection, OptionalExtension as _, params};
use tidegate_domain::backoff::Backoff;
use tidegate_domain::id::{JobId, SyncId, TenantId};
use tidegate_domain::job::{Action, Event, Job, RetryBudget};

pub(in crate::sqlite) fn enqueue(
    database: &Connection,
    tenant: &TenantId,
    enqueue: &Enqueue,
    at_ms: u64,
) -> Result<Enqueued, Failure> {
    let job = &enqueue.job;
    let request = encode(&job.request)?;
    if enqueue.attach
        && let Some(there) = standing_for(database, tenant, job, &request)?
    {
        return Ok(Enqueued::Attached(there));
    }
    let unfinished: u32 = database
        .prepare_cached(
            "SELECT count(*) FROM jobs
             WHERE tenant = ?1 AND finished = 0 AND request IS NOT NULL",
        )?
        .query_row([tenant.as_str()], |row| row.get(0))?;
    if unfinished >= UNFINISHED_JOBS_MAX {
        return Err(Failure::Known(Error::Quota {
            what: "unfinished jobs",
            max: UNFINISHED_JOBS_MAX,
        }));
    }
    insert(database, tenant, job, &request, at_ms)?;
    Ok(Enqueued::New(job.id.clone()))
}

/// The oldest unfinished job that does what this one would.
fn standing_for(
    database: &Connection,
    tenant: &TenantId,
    job: &NewJob,
    request: &str,
) -> Result<Option<JobId>, Failure> {
    let found: Option<String> = database
        .prepare_cached(
            "SELECT id FROM jobs
             WHERE tenant = ?1 AND sync = ?2 AND track = ?3 AND request = ?4
               AND finished = 0 AND cancel_requested = 0
             ORDER BY created_at_ms, id LIMIT 1",
        )?
        .query_row(
            params![tenant.as_str(), job.sync.as_str(), job.track, request],
            |row| row.get(0),
        )
        .optional()?;
    found.map(|id| decode_word("job", &id)).transpose()
}

fn insert(
    database: &Connection,
    tenant: &TenantId,
    job: &NewJob,
    request: &str,
    at_ms: u64,
) -> Result<(), Failure> {
    let Some(wakes_at_ms) = job.job.wakes_at_ms() else {
        let id = job.id.to_string();
        return Err(Violation::JobState { id }.into());
    };
    let inserted = database
        .prepare_cached(
            "INSERT INTO jobs (id, tenant, sync, job, finished, created_at_ms, updated_at_ms,
                               track, connection, connector, class, cause, request, wake_at_ms)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            job.id.as_str(),
            tenant.as_str(),
            job.sync.as_str(),
            encode(&job.job)?,
            at_ms,
            job.track,
            job.connection.as_str(),
            job.connector.as_str(),
            encode_word(&job.class)?,
            encode(&job.trigger)?,
            request,
            wakes_at_ms.max(at_ms)
        ])?;
    if inserted == 0 {
        let what = format!("job {}", job.id);
        return Err(Failure::Known(Error::Conflict { what, found: None }));
    }
    Ok(())
}

/// What a worker would do that takes the job and finds its end asked for.
fn call_off(job: &mut Job, now_ms: u64) {
    let never = RetryBudget {
        fruitless_max: 0,
        lost_max: 0,
        backoff: Backoff {
            first_ms: 0,
            ceiling_ms: 0,
        },
    };
    let progressed = false;
    if job.step(Event::CancelRequested, never) == Action::Stop {
        job.step(Event::Claimed { now_ms, progressed }, never);
    }
}

/// Ends a job that nobody runs; asks who runs it otherwise. A claim that ran out
/// holds nothing: its owner is fenced by the next epoch.
pub(in crate::sqlite) fn cancel(
    database: &Connection,
    tenant: &TenantId,
    id: &JobId,
    published: &[NewEvent],
    at_ms: u64,
) -> Result<(), Failure> {
    let found: Option<(String, String, bool, bool)> = database
        .prepare_cached(
            "SELECT sync, job, finished,
                    claim_expires_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER)
             FROM jobs WHERE id = ?1 AND tenant = ?2 AND request IS NOT NULL",
        )?
        .query_row(params![id.as_str(), tenant.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((sync, job, finished, claimed)) = found else {
        let what = format!("job {id}");
        return Err(Failure::Known(Error::NotFound { what }));
    };
    if finished {
        return Ok(());
    }
    if claimed {
        database
            .prepare_cached("UPDATE jobs SET cancel_requested = 1 WHERE id = ?1")?
            .execute([id.as_str()])?;
        return Ok(());
    }
    let mut job: Job = decode("job", &job)?;
    call_off(&mut job, at_ms);
    database
        .prepare_cached(
            "UPDATE jobs SET job = ?2, finished = 1, cancel_requested = 1, updated_at_ms = ?3,
                    claim_epoch = claim_epoch + 1, claim_owner = NULL, claim_expires_ms = 0
             WHERE id = ?1",
        )?
        .execute(params![id.as_str(), encode(&job)?, at_ms])?;
    events::insert(database, tenant, at_ms, published)?;
    let sync: SyncId = decode_word("job", &sync)?;
    jobs::forget_finished(database, tenant, &sync)
}
