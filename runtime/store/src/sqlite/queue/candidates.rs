//! What could be claimed now, and what is.

use crate::queue::{Candidate, Candidates};
use crate::sqlite::encoding::decode_word;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, Row};

/// Of each class, tenant and connection the job that is due longest.
const DUE: &str = "
    SELECT id, tenant, sync, connection, connector, class, wake_at_ms, jobs_max FROM (
        SELECT j.*, t.jobs_max, row_number() OVER (
                   PARTITION BY j.class, j.tenant, j.connection ORDER BY j.wake_at_ms, j.id
               ) AS place
        FROM jobs j JOIN tenants t ON t.id = j.tenant
        WHERE j.finished = 0 AND j.request IS NOT NULL AND j.wake_at_ms <= ?1
          AND j.claim_expires_ms <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
          AND t.state = 'active'
          AND NOT EXISTS (SELECT 1 FROM jobs begun
              WHERE begun.tenant = j.tenant AND begun.sync = j.sync AND begun.track = j.track
                AND begun.finished = 0 AND begun.claim_epoch > 0 AND begun.id <> j.id))
    WHERE place = 1 ORDER BY wake_at_ms, id";

const RUNNING: &str = "
    SELECT j.id, j.tenant, j.sync, j.connection, j.connector, j.class, j.wake_at_ms, t.jobs_max
    FROM jobs j JOIN tenants t ON t.id = j.tenant
    WHERE j.claim_owner IS NOT NULL AND j.finished = 0
      AND j.claim_expires_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER)
    ORDER BY j.id";

/// A job's time comes, or a claim runs out. Both are milliseconds of one clock, as
/// long as the database is on this machine.
const NEXT: &str = "
    SELECT min(at_ms) FROM (
        SELECT min(wake_at_ms) AS at_ms FROM jobs
        WHERE finished = 0 AND request IS NOT NULL AND wake_at_ms > ?1
        UNION ALL
        SELECT min(claim_expires_ms) FROM jobs
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
        .query_row([now_ms], |row| row.get(0))?;
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
    })
}
