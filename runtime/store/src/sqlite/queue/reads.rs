//! Reading jobs, their attempts and logs.

use crate::jobs::JobRow;
use crate::queue::{AttemptRow, JobFilter, LogLine, NewAttempt, QueuedJob};
use crate::sqlite::encoding::{decode, decode_word, encode};
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tidegate_domain::id::{JobId, SyncId, TenantId};
use tidegate_domain::job::Reason;

/// Of a job that is over, there is no row of the queue.
const JOBS: &str = "
    SELECT j.id, j.tenant, j.sync, j.job, j.created_at_ms, j.updated_at_ms, j.track,
           j.connection, j.connector, j.class, j.cause, j.request,
           coalesce(q.wake_at_ms, 0), coalesce(q.cancel_requested, 0),
           coalesce(q.claim_expires_ms, 0) > CAST(unixepoch('subsec') * 1000 AS INTEGER)
    FROM jobs j LEFT JOIN queue q ON q.job = j.id";

fn read_job(row: &Row<'_>) -> Result<QueuedJob, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(QueuedJob {
        row: JobRow {
            id: decode_word("job", &word(0)?)?,
            tenant: decode_word("job", &word(1)?)?,
            sync: decode_word("job", &word(2)?)?,
            job: decode("job", &word(3)?)?,
            created_at_ms: row.get(4)?,
            updated_at_ms: row.get(5)?,
        },
        track: word(6)?,
        connection: decode_word("job", &word(7)?)?,
        connector: decode_word("job", &word(8)?)?,
        class: decode_word("job", &word(9)?)?,
        trigger: decode("job", &word(10)?)?,
        request: decode("job", &word(11)?)?,
        wake_at_ms: row.get(12)?,
        cancel_requested: row.get(13)?,
        claimed: row.get(14)?,
    })
}

pub(super) fn job(database: &Connection, id: &JobId) -> Result<Option<QueuedJob>, Failure> {
    database
        .prepare_cached(&format!("{JOBS} WHERE j.id = ?1 AND j.request IS NOT NULL"))?
        .query_row([id.as_str()], |row| Ok(read_job(row)))
        .optional()?
        .transpose()
}

pub(super) fn jobs(
    database: &Connection,
    tenant: &TenantId,
    filter: &JobFilter,
    limit: u32,
) -> Result<Vec<QueuedJob>, Failure> {
    // Two forms, so that each has its index.
    let of_sync = match filter.sync {
        Some(_) => "j.sync = ?2",
        None => "?2 IS NULL",
    };
    let states = (!filter.states.is_empty()).then(|| encode(&filter.states));
    let before = filter.before.as_ref();
    let mut statement = database.prepare_cached(&format!(
        "{JOBS} WHERE j.tenant = ?1 AND {of_sync} AND j.request IS NOT NULL
           AND (?3 IS NULL OR j.state IN (SELECT value FROM json_each(?3)))
           AND (?4 IS NULL OR j.reason = ?4)
           AND (?5 IS NULL OR (j.created_at_ms, j.id) < (?5, ?6))
         ORDER BY j.created_at_ms DESC, j.id DESC LIMIT ?7"
    ))?;
    let mut rows = statement.query(params![
        tenant.as_str(),
        filter.sync.as_ref().map(SyncId::as_str),
        states.transpose()?,
        filter.reason.map(Reason::as_str),
        before.map(|position| position.created_at_ms),
        before.map(|position| position.id.as_str()),
        limit
    ])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(read_job(row)?);
    }
    Ok(jobs)
}

pub(super) fn attempts(
    database: &Connection,
    tenant: &TenantId,
    job: &JobId,
) -> Result<Vec<AttemptRow>, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT number, started_at_ms, ended_at_ms, fault, error, report FROM attempts
         WHERE job = (SELECT id FROM jobs WHERE id = ?1 AND tenant = ?2) ORDER BY number",
    )?;
    let mut rows = statement.query(params![job.as_str(), tenant.as_str()])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let fault: Option<String> = row.get(3)?;
        attempts.push(AttemptRow {
            number: row.get(0)?,
            attempt: NewAttempt {
                started_at_ms: row.get(1)?,
                ended_at_ms: row.get(2)?,
                fault: fault
                    .map(|word| decode_word("attempt", &word))
                    .transpose()?,
                error: row.get(4)?,
                report: row.get(5)?,
            },
        });
    }
    Ok(attempts)
}

pub(super) fn log(
    database: &Connection,
    tenant: &TenantId,
    job: &JobId,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, LogLine)>, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT number, at_ms, level, stream, message FROM log_lines
         WHERE job = (SELECT id FROM jobs WHERE id = ?1 AND tenant = ?2) AND number > ?3
         ORDER BY number LIMIT ?4",
    )?;
    let of = params![job.as_str(), tenant.as_str(), after, limit];
    let rows = statement.query_map(of, |row| {
        let line = LogLine {
            at_ms: row.get(1)?,
            level: row.get(2)?,
            stream: row.get(3)?,
            message: row.get(4)?,
        };
        Ok((row.get(0)?, line))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The documents are JSON that this program writes, so that a mode is spelled one way.
pub(super) fn without_live_jobs(
    database: &Connection,
    limit: u32,
) -> Result<Vec<(TenantId, SyncId)>, Failure> {
    let mut statement = database.prepare_cached(
        r#"SELECT d.tenant, d.id FROM documents d JOIN tenants t ON t.id = d.tenant
           WHERE d.kind = 'sync' AND instr(d.body, '"mode":"live"') > 0 AND t.state = 'active'
             AND ifnull(json_extract(d.body, '$.paused'), 0) = 0
             AND (length(d.body) - length(replace(d.body, '"mode":"live"', ''))) / 13
                 > (SELECT count(*) FROM queue q
                    WHERE q.tenant = d.tenant AND q.sync = d.id AND q.track LIKE '%.live')
           ORDER BY d.tenant, d.id LIMIT ?1"#,
    )?;
    let mut rows = statement.query([limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let word = |at| row.get::<_, String>(at);
        found.push((
            decode_word("document", &word(0)?)?,
            decode_word("document", &word(1)?)?,
        ));
    }
    Ok(found)
}
