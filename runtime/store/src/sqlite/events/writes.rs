//! Events come in, and it is noted who hears of them.

use crate::events::NewEvent;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, params};
use tidegate_domain::id::TenantId;

pub(in crate::sqlite) fn insert(
    database: &Connection,
    tenant: &TenantId,
    at_ms: u64,
    events: &[NewEvent],
) -> Result<(), Failure> {
    for event in events {
        database
            .prepare_cached(
                "INSERT INTO events (tenant, at_ms, kind, subject, body)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                tenant.as_str(),
                at_ms,
                event.kind,
                event.subject,
                event.body
            ])?;
    }
    Ok(())
}

/// Nobody could ever hear of a tenant that the service does not know, and nothing would
/// remove its events.
pub(in crate::sqlite) fn tell(
    database: &Connection,
    tenant: &TenantId,
    at_ms: u64,
    told: &[NewEvent],
) -> Result<(), Failure> {
    let is_known = database
        .prepare_cached("SELECT 1 FROM tenants WHERE id = ?1")?
        .exists([tenant.as_str()])?;
    if is_known {
        insert(database, tenant, at_ms, told)?;
    }
    Ok(())
}

pub(super) fn dispatch(
    database: &Connection,
    from: u64,
    through: u64,
    to: &[(u64, String)],
    now_ms: u64,
) -> Result<bool, Failure> {
    let moved = database
        .prepare_cached(
            "UPDATE outbox SET dispatched = ?2 WHERE ?1 <= ?2
               AND ?1 = (SELECT min(seq) FROM events WHERE seq > dispatched)
               AND EXISTS (SELECT 1 FROM events WHERE seq = ?2)",
        )?
        .execute(params![from, through])?;
    if moved == 0 {
        return Ok(false);
    }
    for (event, subscription) in to {
        database
            .prepare_cached(
                "INSERT INTO deliveries (event, tenant, subscription, state, since_ms, next_at_ms)
                 SELECT seq, tenant, ?2, 'pending', ?3, ?3 FROM events
                 WHERE seq = ?1 AND seq BETWEEN ?4 AND ?5
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![event, subscription, now_ms, from, through])?;
    }
    Ok(true)
}

/// Sends what a subscription was to hear once more. A try that is under way counts
/// for nothing.
pub(in crate::sqlite) fn replay(
    database: &Connection,
    tenant: &TenantId,
    subscription: &str,
    since: u64,
    at_ms: u64,
) -> Result<(), Failure> {
    database
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', tried = 0, since_ms = ?4, next_at_ms = ?4,
                    error = NULL, claim_owner = NULL, claim_expires_ms = 0
             WHERE tenant = ?1 AND subscription = ?2 AND event >= ?3",
        )?
        .execute(params![tenant.as_str(), subscription, since, at_ms])?;
    Ok(())
}

/// Nobody hears any more; one of the same name begins anew.
pub(in crate::sqlite) fn forget_subscription(
    database: &Connection,
    tenant: &TenantId,
    subscription: &str,
) -> Result<(), Failure> {
    database
        .prepare_cached("DELETE FROM deliveries WHERE tenant = ?1 AND subscription = ?2")?
        .execute(params![tenant.as_str(), subscription])?;
    Ok(())
}
