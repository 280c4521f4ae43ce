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
use tidegate_domain::job::{Action, Event, Job, Reason, RetryBudget};

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
        .prepare_cached("SELECT count(*) FROM queue WHERE tenant = ?1")?
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
            "SELECT j.id FROM queue q JOIN jobs j ON j.id = q.job
             WHERE q.tenant = ?1 AND q.sync = ?2 AND q.track = ?3 AND q.cancel_requested = 0
               AND j.request = ?4
             ORDER BY j.created_at_ms, j.id LIMIT 1",
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
                               track, connection, connector, class, cause, request)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
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
            request
        ])?;
    if inserted == 0 {
        let what = format!("job {}", job.id);
        return Err(Failure::Known(Error::Conflict { what, found: None }));
    }
    database
        .prepare_cached(
            "INSERT INTO queue (job, tenant, sync, track, connection, connector, class, wake_at_ms)
             SELECT id, tenant, sync, track, connection, connector, class, ?2
             FROM jobs WHERE id = ?1",
        )?
        .execute(params![job.id.as_str(), wakes_at_ms.max(at_ms)])?;
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
/// holds nothing: it goes with the job's place in the queue.
pub(in crate::sqlite) fn cancel(
    database: &Connection,
    tenant: &TenantId,
    id: &JobId,
    published: &[NewEvent],
    at_ms: u64,
) -> Result<(), Failure> {
    let found: Option<(String, String, Option<bool>)> = database
        .prepare_cached(
            "SELECT j.sync, j.job,
                    q.claim_expires_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER)
             FROM jobs j LEFT JOIN queue q ON q.job = j.id
             WHERE j.id = ?1 AND j.tenant = ?2 AND j.request IS NOT NULL",
        )?
        .query_row(params![id.as_str(), tenant.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((sync, job, claimed)) = found else {
        let what = format!("job {id}");
        return Err(Failure::Known(Error::NotFound { what }));
    };
    let Some(claimed) = claimed else {
        return Ok(()); // it is over
    };
    if claimed {
        database
            .prepare_cached("UPDATE queue SET cancel_requested = 1 WHERE job = ?1")?
            .execute([id.as_str()])?;
        return Ok(());
    }
    let mut job: Job = decode("job", &job)?;
    call_off(&mut job, at_ms);
    finish(database, id, &job, at_ms)?;
    events::insert(database, tenant, at_ms, published)?;
    let sync: SyncId = decode_word("job", &sync)?;
    jobs::forget_finished(database, tenant, &sync)
}

/// The job leaves the queue, and with it every claim.
pub(super) fn finish(
    database: &Connection,
    id: &JobId,
    job: &Job,
    at_ms: u64,
) -> Result<(), Failure> {
    database
        .prepare_cached(
            "UPDATE jobs SET job = ?2, finished = 1, reason = ?3, updated_at_ms = ?4
             WHERE id = ?1",
        )?
        .execute(params![
            id.as_str(),
            encode(job)?,
            job.reason().map(Reason::as_str),
            at_ms
        ])?;
    database
        .prepare_cached("DELETE FROM queue WHERE job = ?1")?
        .execute([id.as_str()])?;
    Ok(())
}
