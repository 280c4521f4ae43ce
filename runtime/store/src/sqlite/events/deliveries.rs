//! Deliveries: claimed, tried, settled.

use super::read_event;
use crate::events::{Delivery, DeliveryRow, DueDeliveries, Tried};
use crate::sqlite::encoding::decode_word;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, params};
use tidegate_domain::id::{OwnerToken, TenantId};

pub(super) fn claim(
    database: &Connection,
    owner: OwnerToken,
    now_ms: u64,
    lifetime_ms: u64,
    limit: u32,
) -> Result<DueDeliveries, Failure> {
    let due = due(database, owner, now_ms, limit)?;
    for delivery in &due {
        database
            .prepare_cached(
                "UPDATE deliveries SET claim_owner = ?3,
                        claim_expires_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
                 WHERE event = ?1 AND subscription = ?2",
            )?
            .execute(params![
                delivery.event.seq,
                delivery.subscription,
                owner.to_string(),
                lifetime_ms
            ])?;
    }
    let next_at_ms = database
        .prepare_cached(
            "SELECT min(max(next_at_ms, claim_expires_ms)) FROM deliveries
             WHERE state = 'pending'",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(DueDeliveries { due, next_at_ms })
}

fn due(
    database: &Connection,
    owner: OwnerToken,
    now_ms: u64,
    limit: u32,
) -> Result<Vec<Delivery>, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT e.seq, e.tenant, e.at_ms, e.kind, e.subject, e.body,
                d.subscription, d.tried, d.since_ms
         FROM deliveries d JOIN events e ON e.seq = d.event
         WHERE d.state = 'pending' AND d.next_at_ms <= ?1
           AND d.claim_expires_ms <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
         ORDER BY d.next_at_ms, d.event, d.subscription LIMIT ?2",
    )?;
    let mut rows = statement.query(params![now_ms, limit])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(Delivery {
            event: read_event(row)?,
            subscription: row.get(6)?,
            tried: row.get(7)?,
            since_ms: row.get(8)?,
            owner,
        });
    }
    Ok(due)
}

pub(super) fn settle(
    database: &Connection,
    delivery: &Delivery,
    tried: &Tried,
) -> Result<bool, Failure> {
    let (state, next_at_ms, error) = match tried {
        Tried::Delivered => ("delivered", None, None),
        Tried::Again { at_ms, error } => ("pending", Some(at_ms), Some(error)),
        Tried::GivenUp { error } => ("given_up", None, Some(error)),
    };
    let settled = database
        .prepare_cached(
            "UPDATE deliveries SET state = ?5, tried = tried + 1,
                    next_at_ms = coalesce(?6, next_at_ms), error = ?7,
                    claim_owner = NULL, claim_expires_ms = 0
             WHERE event = ?1 AND subscription = ?2 AND claim_owner = ?3 AND tried = ?4",
        )?
        .execute(params![
            delivery.event.seq,
            delivery.subscription,
            delivery.owner.to_string(),
            delivery.tried,
            state,
            next_at_ms,
            error
        ])?;
    Ok(settled == 1)
}

pub(super) fn list(
    database: &Connection,
    tenant: &TenantId,
    subscription: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<DeliveryRow>, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT d.event, e.kind, d.state, d.tried, d.next_at_ms, d.error
         FROM deliveries d JOIN events e ON e.seq = d.event
         WHERE d.tenant = ?1 AND d.subscription = ?2 AND d.event > ?3 ORDER BY d.event LIMIT ?4",
    )?;
    let mut rows = statement.query(params![tenant.as_str(), subscription, after, limit])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        deliveries.push(DeliveryRow {
            event: row.get(0)?,
            kind: row.get(1)?,
            state: decode_word("delivery", &row.get::<_, String>(2)?)?,
            tried: row.get(3)?,
            next_at_ms: row.get(4)?,
            error: row.get(5)?,
        });
    }
    Ok(deliveries)
}
