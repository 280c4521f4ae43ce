//! Jobs in SQLite, and how many finished ones are kept.

use super::SqliteStore;
use super::encoding::{decode, decode_word, encode};
use super::failure::{Failure, Violation};
use crate::Error;
use crate::jobs::{FINISHED_JOBS_MAX, JobRow, JobStore};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tidegate_domain::id::{JobId, SyncId, TenantId};

fn put(database: &Connection, row: &JobRow) -> Result<(), Failure> {
    let finished = row.job.state.is_final();
    let stored = database
        .prepare_cached(
            "INSERT INTO jobs (id, tenant, sync, job, finished, created_at_ms, updated_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET job = excluded.job, finished = excluded.finished,
                 created_at_ms = excluded.created_at_ms, updated_at_ms = excluded.updated_at_ms
             WHERE tenant = excluded.tenant AND sync = excluded.sync AND request IS NULL",
        )?
        .execute(params![
            row.id.as_str(),
            row.tenant.as_str(),
            row.sync.as_str(),
            encode(&row.job)?,
            finished,
            row.created_at_ms,
            row.updated_at_ms
        ])?;
    if stored == 0 {
        return Err(Violation::JobOwner {
            id: row.id.to_string(),
        }
        .into());
    }
    if finished {
        forget_finished(database, &row.tenant, &row.sync)?;
    }
    Ok(())
}

pub(super) fn forget_finished(
    database: &Connection,
    tenant: &TenantId,
    sync: &SyncId,
) -> Result<(), Failure> {
    database
        .prepare_cached(
            "DELETE FROM jobs WHERE id IN (
                 SELECT id FROM jobs WHERE tenant = ?1 AND sync = ?2 AND finished = 1
                 ORDER BY created_at_ms DESC, id DESC LIMIT -1 OFFSET ?3)",
        )?
        .execute(params![tenant.as_str(), sync.as_str(), FINISHED_JOBS_MAX])?;
    Ok(())
}

fn read_row(row: &Row<'_>) -> Result<JobRow, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(JobRow {
        id: decode_word("job", &word(0)?)?,
        tenant: decode_word("job", &word(1)?)?,
        sync: decode_word("job", &word(2)?)?,
        job: decode("job", &word(3)?)?,
        created_at_ms: row.get(4)?,
        updated_at_ms: row.get(5)?,
    })
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn put_job(&self, row: &JobRow) -> Result<(), Error> {
        let row = row.clone();
        self.write("put job", move |database| put(database, &row))
            .await
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRow>, Error> {
        let id = id.clone();
        self.read("job", move |database| {
            database
                .prepare_cached(
                    "SELECT id, tenant, sync, job, created_at_ms, updated_at_ms
                     FROM jobs WHERE id = ?1",
                )?
                .query_row([id.as_str()], |row| Ok(read_row(row)))
                .optional()?
                .transpose()
        })
        .await
    }

    async fn jobs_of(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
        limit: u32,
    ) -> Result<Vec<JobRow>, Error> {
        let (tenant, sync) = (tenant.clone(), sync.clone());
        self.read("jobs of", move |database| {
            let mut statement = database.prepare_cached(
                "SELECT id, tenant, sync, job, created_at_ms, updated_at_ms FROM jobs
                 WHERE tenant = ?1 AND sync = ?2
                 ORDER BY created_at_ms DESC, id DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![tenant.as_str(), sync.as_str(), limit])?;
            let mut jobs = Vec::new();
            while let Some(row) = rows.next()? {
                jobs.push(read_row(row)?);
            }
            Ok(jobs)
        })
        .await
    }
}
