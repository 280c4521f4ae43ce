//! Removing what is older than its time.

use crate::control::ANSWER_KEPT_MS;
use crate::sqlite::failure::Failure;
use crate::upkeep::{Retention, Swept};
use rusqlite::{Connection, OptionalExtension as _, params};

/// Rows of one table that go in one transaction.
const ROWS_MAX: u64 = 500;
/// Records of requests are small, and many.
const REQUESTS_MAX: u64 = 5_000;
/// Jobs take their attempts and logs along.
const JOBS_MAX: u64 = 20;

const JOBS: &str = "DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE finished = 1 AND updated_at_ms < ?1 ORDER BY updated_at_ms LIMIT ?2)";
const EVENTS: &str = "DELETE FROM events WHERE seq IN (
    SELECT seq FROM events WHERE seq <= (SELECT dispatched FROM outbox) AND at_ms < ?1
    ORDER BY seq LIMIT ?2)";
const ANSWERS: &str = "DELETE FROM answers WHERE (tenant, key) IN (
    SELECT tenant, key FROM answers WHERE at_ms < ?1 LIMIT ?2)";
const KEYS: &str = "DELETE FROM api_keys WHERE id IN (
    SELECT id FROM api_keys WHERE revoked_at_ms < ?1 OR expires_at_ms < ?1 LIMIT ?2)";

const REQUESTS: &str = "DELETE FROM requests WHERE id IN (
    SELECT id FROM requests WHERE sent_at_ms < ?1 ORDER BY sent_at_ms LIMIT ?2)";
const BLOCKS: &str = "DELETE FROM limit_blocks WHERE id IN (
    SELECT id FROM limit_blocks WHERE forget_at_ms < ?1 LIMIT ?2)";
const SPENT: &str = "DELETE FROM limit_spent WHERE (limit_name, counted_by_ms) IN (
    SELECT limit_name, counted_by_ms FROM limit_spent WHERE forget_at_ms < ?1 LIMIT ?2)";

pub(super) fn sweep(database: &Connection, now_ms: u64, keep: Retention) -> Result<Swept, Failure> {
    let mut swept = Swept::default();
    let answers_ms = ANSWER_KEPT_MS;
    for (sql, kept_ms, rows_max) in [
        (JOBS, keep.jobs_ms, JOBS_MAX),
        (EVENTS, keep.events_ms, ROWS_MAX),
        (ANSWERS, answers_ms, ROWS_MAX),
        (KEYS, keep.keys_ms, ROWS_MAX),
        (REQUESTS, keep.requests_ms, REQUESTS_MAX),
        (BLOCKS, 0, ROWS_MAX),
        (SPENT, 0, ROWS_MAX),
    ] {
        let before_ms = now_ms.saturating_sub(kept_ms);
        let removed = database
            .prepare_cached(sql)?
            .execute(params![before_ms, rows_max])?;
        swept.add(removed, rows_max);
    }
    let removed = shorten_audit(database, now_ms.saturating_sub(keep.audit_ms))?;
    swept.add(removed, ROWS_MAX);
    Ok(swept)
}

impl Swept {
    fn add(&mut self, removed: usize, rows_max: u64) {
        let removed = u64::try_from(removed).unwrap_or(u64::MAX);
        self.rows += removed;
        self.more |= removed >= rows_max;
    }
}

/// The log loses entries only from its start, up to the first that is kept; the hash
/// of the last that goes stays, so that the chain can still be followed.
fn shorten_audit(database: &Connection, before_ms: u64) -> Result<usize, Failure> {
    let last: Option<(u64, String)> = database
        .prepare_cached(
            "SELECT seq, sha256 FROM audit
             WHERE seq <= (SELECT seq FROM audit_start) + ?2 AND seq < coalesce(
                 (SELECT seq FROM audit WHERE at_ms >= ?1 ORDER BY seq LIMIT 1), 1 << 62)
             ORDER BY seq DESC LIMIT 1",
        )?
        .query_row(params![before_ms, ROWS_MAX], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((seq, sha256)) = last else {
        return Ok(0);
    };
    database
        .prepare_cached("UPDATE audit_start SET seq = ?1, sha256 = ?2")?
        .execute(params![seq, sha256])?;
    let removed = database
        .prepare_cached("DELETE FROM audit WHERE seq <= ?1")?
        .execute([seq])?;
    Ok(removed)
}
