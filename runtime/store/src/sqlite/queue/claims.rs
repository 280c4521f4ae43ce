//! Claims: taken, prolonged, given back. Their time is the database's.

use super::{lost, reads};
use crate::queue::{Claim, QueuedJob, RESTS_MS};
use crate::sqlite::encoding::decode_word;
use crate::sqlite::failure::{Failure, Violation};
use rusqlite::{Connection, OptionalExtension as _, params};
use tidegate_domain::id::{JobId, OwnerToken, TenantId};

/// Ends every claim of former processes; called while the directory's lock proves
/// that there is no other process.
pub(in crate::sqlite) fn expire_claims(database: &Connection) -> Result<(), Failure> {
    database.execute_batch(
        "UPDATE queue SET claim_expires_ms = 0 WHERE claim_expires_ms > 0;
         UPDATE deliveries SET claim_expires_ms = 0 WHERE claim_expires_ms > 0;",
    )?;
    Ok(())
}

pub(super) fn claim(
    database: &Connection,
    job: JobId,
    owner: OwnerToken,
    now_ms: u64,
    lifetime_ms: u64,
) -> Result<Option<(Claim, QueuedJob)>, Failure> {
    let epoch: Option<u64> = database
        .prepare_cached(
            "UPDATE queue AS q SET claim_epoch = claim_epoch + 1, claim_owner = ?2,
                    claim_expires_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
             WHERE job = ?1 AND wake_at_ms <= ?3
               AND claim_expires_ms <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
               AND EXISTS (SELECT 1 FROM tenants WHERE id = q.tenant AND state = 'active')
               AND (q.claim_epoch > 0 OR NOT EXISTS (SELECT 1 FROM queue begun
                   WHERE begun.tenant = q.tenant AND begun.sync = q.sync
                     AND begun.track = q.track AND begun.claim_epoch > 0))
             RETURNING claim_epoch",
        )?
        .query_row(
            params![job.as_str(), owner.to_string(), now_ms, lifetime_ms],
            |row| row.get(0),
        )
        .optional()?;
    let Some(epoch) = epoch else {
        return Ok(None);
    };
    let row = reads::job(database, &job)?.ok_or_else(|| Violation::NoJob {
        id: job.to_string(),
    })?;
    Ok(Some((Claim { job, epoch, owner }, row)))
}

pub(super) fn renew(
    database: &Connection,
    claim: &Claim,
    lifetime_ms: u64,
) -> Result<bool, Failure> {
    let cancel_requested = database
        .prepare_cached(
            "UPDATE queue
             SET claim_expires_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
             WHERE job = ?1 AND claim_epoch = ?2 AND claim_owner = ?3
             RETURNING cancel_requested",
        )?
        .query_row(
            params![
                claim.job.as_str(),
                claim.epoch,
                claim.owner.to_string(),
                lifetime_ms
            ],
            |row| row.get(0),
        )
        .optional()?;
    cancel_requested.ok_or_else(|| lost(claim))
}

/// Compares the revision where it writes: a document that was written meanwhile has
/// roused what rested, and this job would rest for ever; so would one whose end was asked
/// for meanwhile.
pub(super) fn rest(database: &Connection, claim: &Claim, revision: u64) -> Result<(), Failure> {
    let released = database
        .prepare_cached(
            "UPDATE queue AS q SET claim_owner = NULL, claim_expires_ms = 0,
                    wake_at_ms = iif(cancel_requested = 0 AND EXISTS (
                        SELECT 1 FROM documents WHERE tenant = q.tenant AND kind = 'sync'
                            AND id = q.sync AND revision = ?4), ?5, wake_at_ms)
             WHERE job = ?1 AND claim_epoch = ?2 AND claim_owner = ?3",
        )?
        .execute(params![
            claim.job.as_str(),
            claim.epoch,
            claim.owner.to_string(),
            revision,
            RESTS_MS
        ])?;
    if released == 0 {
        return Err(lost(claim));
    }
    Ok(())
}

/// A sync's document was written: its jobs that rest are due.
pub(in crate::sqlite) fn rouse(
    database: &Connection,
    tenant: &TenantId,
    sync: &str,
    at_ms: u64,
) -> Result<(), Failure> {
    database
        .prepare_cached(
            "UPDATE queue SET wake_at_ms = ?3
             WHERE tenant = ?1 AND sync = ?2 AND wake_at_ms = ?4",
        )?
        .execute(params![tenant.as_str(), sync, at_ms, RESTS_MS])?;
    Ok(())
}

pub(super) fn cancel_requests(database: &Connection) -> Result<Vec<JobId>, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT job FROM queue INDEXED BY queue_claimed
         WHERE claim_owner IS NOT NULL AND cancel_requested = 1 ORDER BY job",
    )?;
    let mut rows = statement.query([])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(decode_word("job", &row.get::<_, String>(0)?)?);
    }
    Ok(jobs)
}
