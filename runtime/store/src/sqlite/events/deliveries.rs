//! Deliveries: claimed, tried, settled.

use super::{read_event, writes};
use crate::events::{
    Delivery, DeliveryCaps, DeliveryRow, DueDeliveries, GIVEN_UP, NewEvent, Tried,
};
use crate::sqlite::encoding::decode_word;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, params};
use serde_json::json;
use tidegate_domain::id::{OwnerToken, TenantId};

/// The subscriptions as the JSON that [`due`] reads.
pub(super) fn names(subscriptions: &[(TenantId, String)]) -> String {
    serde_json::to_string(subscriptions).expect("names are texts")
}

pub(super) fn claim(
    database: &Connection,
    due: Vec<Delivery>,
    now_ms: u64,
    lifetime_ms: u64,
) -> Result<DueDeliveries, Failure> {
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
                delivery.owner.to_string(),
                lifetime_ms
            ])?;
    }
    let next_at_ms = database
        .prepare_cached(
            "SELECT min(next_at_ms) FROM deliveries WHERE state = 'pending' AND next_at_ms > ?1",
        )?
        .query_row([now_ms], |row| row.get(0))?;
    Ok(DueDeliveries { due, next_at_ms })
}

/// What may be taken. The subscriptions that wait for anything are found one by one in
/// the index, and of each only the first are looked at: a long queue behind a dead
/// endpoint costs no more than a short one.
pub(super) fn due(
    database: &Connection,
    owner: OwnerToken,
    now_ms: u64,
    caps: DeliveryCaps,
    except: &str,
) -> Result<Vec<Delivery>, Failure> {
    let mut statement = database.prepare_cached(
        "WITH RECURSIVE
         tenant_names (tenant) AS (
             SELECT min(tenant) FROM deliveries WHERE state = 'pending'
             UNION ALL
             SELECT (SELECT min(tenant) FROM deliveries
                     WHERE state = 'pending' AND tenant > last.tenant)
             FROM tenant_names last WHERE last.tenant IS NOT NULL),
         waiting (tenant, subscription) AS (
             SELECT tenant, (SELECT min(subscription) FROM deliveries d
                             WHERE state = 'pending' AND d.tenant = t.tenant)
             FROM tenant_names t WHERE tenant IS NOT NULL
             UNION ALL
             SELECT tenant, (SELECT min(subscription) FROM deliveries d
                             WHERE state = 'pending' AND d.tenant = last.tenant
                               AND d.subscription > last.subscription)
             FROM waiting last WHERE subscription IS NOT NULL),
         first (event, tenant, subscription, tried, since_ms, next_at_ms, taken) AS MATERIALIZED (
             SELECT d.event, d.tenant, d.subscription, d.tried, d.since_ms, d.next_at_ms,
                    d.claim_expires_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER)
             FROM waiting w CROSS JOIN deliveries d ON d.subscription = w.subscription
              AND d.event IN (
                  SELECT event FROM deliveries q
                  WHERE q.state = 'pending' AND q.tenant = w.tenant
                    AND q.subscription = w.subscription AND q.next_at_ms <= ?1
                  ORDER BY q.next_at_ms, q.event LIMIT ?4)
             WHERE NOT EXISTS (
                 SELECT 1 FROM json_each(?5) x WHERE x.value ->> 0 = w.tenant
                   AND x.value ->> 1 = w.subscription)),
         placed AS (
             SELECT *, row_number() OVER (PARTITION BY tenant
                 ORDER BY taken DESC, next_at_ms, event, subscription) AS place
             FROM first)
         SELECT e.seq, e.tenant, e.at_ms, e.kind, e.subject, e.body,
                p.subscription, p.tried, p.since_ms
         FROM placed p JOIN events e ON e.seq = p.event
         WHERE NOT p.taken AND p.place <= ?3
         ORDER BY p.place, p.next_at_ms, p.event, p.subscription LIMIT ?2",
    )?;
    let mut rows = statement.query(params![
        now_ms,
        caps.taken_max,
        caps.tenant_max,
        caps.subscription_max,
        except
    ])?;
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
    at_ms: u64,
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
    if let (1, Tried::GivenUp { error }) = (settled, tried) {
        let body = json!({
            "subscription": delivery.subscription,
            "event": delivery.event.seq,
            "kind": delivery.event.event.kind,
            "tried": delivery.tried + 1,
            "error": error,
        });
        let event = NewEvent {
            kind: GIVEN_UP.to_owned(),
            subject: format!("subscription {}", delivery.subscription),
            body: body.to_string(),
        };
        writes::insert(database, &delivery.event.tenant, at_ms, &[event])?;
    }
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
