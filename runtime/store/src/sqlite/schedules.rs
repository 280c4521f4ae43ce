//! Schedules in SQLite.

use super::SqliteStore;
use super::encoding::decode_word;
use super::failure::Failure;
use super::queue;
use crate::Error;
use crate::queue::Enqueue;
use crate::schedules::{DueSchedules, Fired, ScheduleRow, ScheduleStore};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tidegate_domain::id::{SyncId, TenantId};

/// Arms a schedule or takes it away; what it fired stays known while it is armed.
pub(super) fn set(
    database: &Connection,
    tenant: &TenantId,
    sync: &SyncId,
    next_at_ms: Option<u64>,
) -> Result<(), Failure> {
    let of = params![tenant.as_str(), sync.as_str(), next_at_ms];
    if next_at_ms.is_none() {
        database
            .prepare_cached("DELETE FROM schedules WHERE tenant = ?1 AND sync = ?2 AND ?3 IS NULL")?
            .execute(of)?;
        return Ok(());
    }
    database
        .prepare_cached(
            "INSERT INTO schedules (tenant, sync, next_at_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (tenant, sync) DO UPDATE SET next_at_ms = excluded.next_at_ms",
        )?
        .execute(of)?;
    Ok(())
}

fn read_row(row: &Row<'_>) -> Result<ScheduleRow, Failure> {
    let word = |at| row.get::<_, String>(at);
    let job: Option<String> = row.get(4)?;
    Ok(ScheduleRow {
        tenant: decode_word("schedule", &word(0)?)?,
        sync: decode_word("schedule", &word(1)?)?,
        next_at_ms: row.get(2)?,
        fired_at_ms: row.get(3)?,
        job: job.map(|id| decode_word("schedule", &id)).transpose()?,
    })
}

fn due(database: &Connection, now_ms: u64, limit: u32) -> Result<DueSchedules, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT s.tenant, s.sync, s.next_at_ms, s.fired_at_ms, s.job
         FROM schedules s JOIN tenants t ON t.id = s.tenant
         WHERE s.next_at_ms <= ?1 AND t.state = 'active'
         ORDER BY s.next_at_ms, s.tenant, s.sync LIMIT ?2",
    )?;
    let mut rows = statement.query(params![now_ms, limit])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(read_row(row)?);
    }
    let next_at_ms = database
        .prepare_cached("SELECT min(next_at_ms) FROM schedules WHERE next_at_ms > ?1")?
        .query_row([now_ms], |row| row.get(0))?;
    Ok(DueSchedules { due, next_at_ms })
}

fn fire(
    database: &Connection,
    due: &ScheduleRow,
    job: Option<&Enqueue>,
    next_at_ms: Option<u64>,
    now_ms: u64,
) -> Result<Option<Fired>, Failure> {
    let unchanged = database
        .prepare_cached(
            "SELECT 1 FROM schedules
             WHERE tenant = ?1 AND sync = ?2 AND next_at_ms = ?3 AND fired_at_ms IS ?4",
        )?
        .exists(params![
            due.tenant.as_str(),
            due.sync.as_str(),
            due.next_at_ms,
            due.fired_at_ms
        ])?;
    if !unchanged {
        return Ok(None);
    }
    let job = job
        .map(|job| queue::enqueue(database, &due.tenant, job, now_ms))
        .transpose()?;
    if let Some(fired) = &job {
        database
            .prepare_cached(
                "UPDATE schedules SET fired_at_ms = ?3, job = ?4 WHERE tenant = ?1 AND sync = ?2",
            )?
            .execute(params![
                due.tenant.as_str(),
                due.sync.as_str(),
                now_ms,
                fired.id().as_str()
            ])?;
    }
    set(database, &due.tenant, &due.sync, next_at_ms)?;
    Ok(Some(Fired { job }))
}

#[async_trait]
impl ScheduleStore for SqliteStore {
    async fn due_schedules(&self, now_ms: u64, limit: u32) -> Result<DueSchedules, Error> {
        self.read("due schedules", move |database| {
            due(database, now_ms, limit)
        })
        .await
    }

    async fn fire(
        &self,
        due: &ScheduleRow,
        job: Option<Enqueue>,
        next_at_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<Option<Fired>, Error> {
        let due = due.clone();
        self.write("fire", move |database| {
            fire(database, &due, job.as_ref(), next_at_ms, now_ms)
        })
        .await
    }

    async fn schedule(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
    ) -> Result<Option<ScheduleRow>, Error> {
        let (tenant, sync) = (tenant.clone(), sync.clone());
        self.read("schedule", move |database| {
            database
                .prepare_cached(
                    "SELECT tenant, sync, next_at_ms, fired_at_ms, job FROM schedules
                     WHERE tenant = ?1 AND sync = ?2",
                )?
                .query_row(params![tenant.as_str(), sync.as_str()], |row| {
                    Ok(read_row(row))
                })
                .optional()?
                .transpose()
        })
        .await
    }
}
