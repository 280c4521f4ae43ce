//! What could be claimed now, and what is.

use crate::queue::{Candidate, Candidates, RESTS_MS};
use crate::sqlite::encoding::decode_word;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, Row};

/// Of each class, tenant and connection the job that is due longest, and each live job.
const DUE: &str = "
    SELECT job, tenant, sync, connection, connector, class, wake_at_ms, jobs_max, is_live FROM (
        SELECT q.job, q.tenant, q.sync, q.connection, q.connector, q.class, q.wake_at_ms,
               t.jobs_max, q.track LIKE '%.live' AS is_live, row_number() OVER (
                   PARTITION BY q.class, q.tenant, q.connection, q.track LIKE '%.live'
                   ORDER BY q.wake_at_ms, q.job
               ) AS place
        FROM queue q JOIN tenants t ON t.id = q.tenant
        WHERE q.wake_at_ms <= ?1 AND t.state = 'active'
          AND q.claim_expires_ms <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
          AND (q.claim_epoch > 0 OR NOT EXISTS (SELECT 1 FROM queue begun
              WHERE begun.tenant = q.tenant AND begun.sync = q.sync AND begun.track = q.track
                AND begun.claim_epoch > 0)))
    WHERE place = 1 OR is_live ORDER BY wake_at_ms, job";

const RUNNING: &str = "
    SELECT q.job, q.tenant, q.sync, q.connection, q.connector, q.class, q.wake_at_ms, t.jobs_max,
           q.track LIKE '%.live'
    FROM queue q INDEXED BY queue_claimed JOIN tenants t ON t.id = q.tenant
    WHERE q.claim_owner IS NOT NULL
      AND q.claim_expires_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER)
    ORDER BY q.job";

/// A job's time comes, or a claim runs out. Both are milliseconds of one clock, as
/// long as the database is on this machine.
const NEXT: &str = "
    SELECT min(at_ms) FROM (
        SELECT min(wake_at_ms) AS at_ms FROM queue WHERE wake_at_ms > ?1 AND wake_at_ms < ?2
        UNION ALL
        SELECT min(claim_expires_ms) FROM queue
        WHERE claim_owner IS NOT NULL
          AND claim_expires_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER))";

pub(super) fn find(database: &Connection, now_ms: u64) -> Result<Candidates, Failure> {
    // Due and running must be of one moment, or a job may be in both or in neither.
    let snapshot = database.unchecked_transaction()?;
    let mut due = Vec::new();
    let mut statement = snapshot.prepare_cached(DUE)?;
    let mut rows = statement.query([now_ms])?;
    while let Some(row) = rows.next()? {
        due.push(read_row(row)?);
    }
    let mut running = Vec::new();
    let mut statement = snapshot.prepare_cached(RUNNING)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        running.push(read_row(row)?);
    }
    let next_at_ms = snapshot
        .prepare_cached(NEXT)?
        .query_row([now_ms, RESTS_MS], |row| row.get(0))?;
    Ok(Candidates {
        due,
        running,
        next_at_ms,
    })
}

fn read_row(row: &Row<'_>) -> Result<Candidate, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(Candidate {
        id: decode_word("job", &word(0)?)?,
        tenant: decode_word("job", &word(1)?)?,
        sync: decode_word("job", &word(2)?)?,
        connection: decode_word("job", &word(3)?)?,
        connector: decode_word("job", &word(4)?)?,
        class: decode_word("job", &word(5)?)?,
        due_since_ms: row.get(6)?,
        tenant_jobs_max: row.get(7)?,
        is_live: row.get(8)?,
    })
}
