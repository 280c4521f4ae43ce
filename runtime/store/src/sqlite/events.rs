//! The outbox in SQLite.

mod deliveries;
mod writes;

pub(super) use writes::{forget_subscription, insert, replay, tell};

use super::SqliteStore;
use super::encoding::decode_word;
use super::failure::Failure;
use crate::Error;
use crate::clock::now_ms;
use crate::events::{
    Delivery, DeliveryCaps, DeliveryRow, DueDeliveries, EventRow, EventStore, NewEvent, Tried,
};
use async_trait::async_trait;
use rusqlite::{Row, params};
use tidegate_domain::id::{OwnerToken, TenantId};

/// Reads `seq, tenant, at_ms, kind, subject, body` from the first column on.
fn read_event(row: &Row<'_>) -> Result<EventRow, Failure> {
    Ok(EventRow {
        seq: row.get(0)?,
        tenant: decode_word("event", &row.get::<_, String>(1)?)?,
        at_ms: row.get(2)?,
        event: NewEvent {
            kind: row.get(3)?,
            subject: row.get(4)?,
            body: row.get(5)?,
        },
    })
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn events(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, Error> {
        let tenant = tenant.clone();
        self.read("events", move |database| {
            let mut statement = database.prepare_cached(
                "SELECT seq, tenant, at_ms, kind, subject, body FROM events
                 WHERE tenant = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )?;
            let mut rows = statement.query(params![tenant.as_str(), after, limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(read_event(row)?);
            }
            Ok(events)
        })
        .await
    }

    async fn undispatched(&self, limit: u32) -> Result<Vec<EventRow>, Error> {
        self.read("undispatched", move |database| {
            let mut statement = database.prepare_cached(
                "SELECT seq, tenant, at_ms, kind, subject, body FROM events
                 WHERE seq > (SELECT dispatched FROM outbox) ORDER BY seq LIMIT ?1",
            )?;
            let mut rows = statement.query([limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(read_event(row)?);
            }
            Ok(events)
        })
        .await
    }

    async fn dispatch(
        &self,
        from: u64,
        through: u64,
        to: Vec<(u64, String)>,
        now_ms: u64,
    ) -> Result<bool, Error> {
        self.write("dispatch", move |database| {
            writes::dispatch(database, from, through, &to, now_ms)
        })
        .await
    }

    async fn claim_deliveries(
        &self,
        owner: OwnerToken,
        now_ms: u64,
        lifetime_ms: u64,
        caps: DeliveryCaps,
        except: Vec<(TenantId, String)>,
    ) -> Result<DueDeliveries, Error> {
        let except = deliveries::names(&except);
        self.write("claim deliveries", move |database| {
            let due = deliveries::due(database, owner, now_ms, caps, &except)?;
            deliveries::claim(database, due, now_ms, lifetime_ms)
        })
        .await
    }

    async fn settle_delivery(&self, delivery: &Delivery, tried: Tried) -> Result<bool, Error> {
        let (delivery, at_ms) = (delivery.clone(), now_ms());
        self.write("settle delivery", move |database| {
            deliveries::settle(database, &delivery, &tried, at_ms)
        })
        .await
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        subscription: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, Error> {
        let (tenant, subscription) = (tenant.clone(), subscription.to_owned());
        self.read("deliveries", move |database| {
            deliveries::list(database, &tenant, &subscription, after, limit)
        })
        .await
    }
}
