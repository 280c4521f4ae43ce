//! Leases: taken, prolonged, given back. Time is the database's.

use super::{empty_state, fenced};
use crate::Error;
use crate::sqlite::failure::{Failure, Violation};
use crate::streams::Lease;
use rusqlite::{Connection, params};
use tidegate_domain::id::{OwnerToken, StreamKey};

/// Ends every lease of former processes; called while the directory's lock proves
/// that there is no other process.
pub(in crate::sqlite) fn expire_leases(database: &Connection) -> Result<(), Failure> {
    database.execute(
        "UPDATE streams SET lease_expires_ms = 0 WHERE lease_expires_ms > 0",
        [],
    )?;
    Ok(())
}

pub(super) fn acquire(
    database: &Connection,
    key: StreamKey,
    owner: OwnerToken,
    epoch_floor: u64,
    lifetime_ms: u64,
) -> Result<Lease, Failure> {
    database
        .prepare_cached(
            "INSERT INTO streams (tenant, sync, stream, epoch, lease_expires_ms, staged,
                                  published, log_tail, next_batch)
             VALUES (?1, ?2, ?3, 0, 0, ?4, ?4, 0, 0)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            key.tenant.as_str(),
            key.sync.as_str(),
            key.stream.as_str(),
            empty_state()?
        ])?;
    let (id, epoch, holder, remaining_ms): (i64, u64, Option<String>, i64) = database
        .prepare_cached(
            "SELECT id, epoch, owner,
                    lease_expires_ms - CAST(unixepoch('subsec') * 1000 AS INTEGER)
             FROM streams WHERE tenant = ?1 AND sync = ?2 AND stream = ?3",
        )?
        .query_row(
            params![key.tenant.as_str(), key.sync.as_str(), key.stream.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )?;
    let token = owner.to_string();
    let remaining_ms = u64::try_from(remaining_ms).unwrap_or(0);
    if holder.as_ref().is_some_and(|holder| *holder != token) && remaining_ms > 0 {
        return Err(Error::Held {
            stream: key,
            remaining_ms,
        }
        .into());
    }
    let epoch = epoch
        .max(epoch_floor)
        .checked_add(1)
        .ok_or(Violation::Epoch)?;
    database
        .prepare_cached(
            "UPDATE streams SET epoch = ?2, owner = ?3,
                    lease_expires_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
             WHERE id = ?1",
        )?
        .execute(params![id, epoch, token, lifetime_ms])?;
    Ok(Lease {
        key,
        epoch,
        owner,
        released_before: holder.is_none(),
    })
}

pub(super) fn renew(database: &Connection, lease: &Lease, lifetime_ms: u64) -> Result<(), Failure> {
    let renewed = database
        .prepare_cached(
            "UPDATE streams
             SET lease_expires_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?6
             WHERE tenant = ?1 AND sync = ?2 AND stream = ?3 AND epoch = ?4 AND owner = ?5",
        )?
        .execute(params![
            lease.key.tenant.as_str(),
            lease.key.sync.as_str(),
            lease.key.stream.as_str(),
            lease.epoch,
            lease.owner.to_string(),
            lifetime_ms
        ])?;
    if renewed == 0 {
        Err(fenced(lease))
    } else {
        Ok(())
    }
}

pub(super) fn release(database: &Connection, lease: &Lease) -> Result<(), Failure> {
    let released = database
        .prepare_cached(
            "UPDATE streams SET owner = NULL, lease_expires_ms = 0
             WHERE tenant = ?1 AND sync = ?2 AND stream = ?3 AND epoch = ?4 AND owner = ?5",
        )?
        .execute(params![
            lease.key.tenant.as_str(),
            lease.key.sync.as_str(),
            lease.key.stream.as_str(),
            lease.epoch,
            lease.owner.to_string()
        ])?;
    if released == 0 {
        Err(fenced(lease))
    } else {
        Ok(())
    }
}
