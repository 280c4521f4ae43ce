//! The record of requests in SQLite.

use super::SqliteStore;
use super::encoding::{decode_word, encode_word};
use super::failure::Failure;
use crate::Error;
use crate::flow::{FlowStore, RequestOrigin, RequestRecord, RequestsLost};
use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use tidegate_domain::id::{JobId, Sha256, StreamName, TenantId};

#[async_trait]
impl FlowStore for SqliteStore {
    async fn begin_recording(&self) -> Result<(), Error> {
        self.write("begin recording", |database| {
            database.execute(
                "UPDATE requests_lost SET cut_short = cut_short + is_recorded, is_recorded = 1",
                [],
            )?;
            Ok(())
        })
        .await
    }

    async fn record_requests(
        &self,
        records: Vec<RequestRecord>,
        dropped: u64,
    ) -> Result<(), Error> {
        self.write("record requests", move |database| {
            for record in &records {
                insert(database, record)?;
            }
            if dropped > 0 {
                database
                    .prepare_cached("UPDATE requests_lost SET dropped = dropped + ?1")?
                    .execute([dropped])?;
            }
            Ok(())
        })
        .await
    }

    async fn end_recording(&self) -> Result<(), Error> {
        self.write("end recording", |database| {
            database.execute("UPDATE requests_lost SET is_recorded = 0", [])?;
            Ok(())
        })
        .await
    }

    async fn requests_of_job(
        &self,
        tenant: &TenantId,
        job: &JobId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, RequestRecord)>, Error> {
        let (tenant, job) = (tenant.clone(), job.clone());
        self.read("requests of a job", move |database| {
            let mut statement = database.prepare_cached(
                "SELECT id, connection, attempt, stream, partition, connector, method, endpoint,
                     path, status, fault, bytes_sent, bytes_received, sent_at_ms, waited_ms, took_ms
                 FROM requests WHERE tenant = ?1 AND job = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
            )?;
            let mut rows = statement.query(params![tenant.as_str(), job.as_str(), after, limit])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push((row.get(0)?, read(row, &tenant, &job)?));
            }
            Ok(records)
        })
        .await
    }

    async fn requests_lost(&self) -> Result<RequestsLost, Error> {
        self.read("requests lost", |database| {
            let lost =
                database.query_row("SELECT dropped, cut_short FROM requests_lost", [], |row| {
                    Ok(RequestsLost {
                        dropped: row.get(0)?,
                        cut_short: row.get(1)?,
                    })
                });
            Ok(lost?)
        })
        .await
    }
}

fn insert(database: &Connection, record: &RequestRecord) -> Result<(), Failure> {
    let origin = record.origin.as_ref();
    let fault = record.fault.as_ref().map(encode_word).transpose()?;
    database
        .prepare_cached(
            "INSERT INTO requests (tenant, connection, job, attempt, stream, partition, connector,
                 method, endpoint, path, status, fault, bytes_sent, bytes_received, sent_at_ms,
                 waited_ms, took_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params![
            record.tenant.as_str(),
            record.connection.as_str(),
            origin.map(|origin| origin.job.as_str()),
            origin.map(|origin| origin.attempt),
            origin.and_then(|origin| origin.stream.as_ref().map(StreamName::as_str)),
            origin.and_then(|origin| origin.partition.as_deref()),
            record.connector.as_ref().map_or("", Sha256::as_str),
            record.method,
            record.endpoint,
            record.path,
            record.status,
            fault,
            record.bytes_sent,
            record.bytes_received,
            record.sent_at_ms,
            record.waited_ms,
            record.took_ms,
        ])?;
    Ok(())
}

fn read(row: &Row<'_>, tenant: &TenantId, job: &JobId) -> Result<RequestRecord, Failure> {
    let word = |column: usize| row.get::<_, Option<String>>(column);
    let connection: String = row.get(1)?;
    let connector: String = row.get(5)?;
    let stream = word(3)?.map(|name| decode_word("stream name", &name));
    let fault = word(10)?.map(|fault| decode_word("fault", &fault));
    let connector = Some(connector).filter(|digest| !digest.is_empty());
    Ok(RequestRecord {
        tenant: tenant.clone(),
        connection: decode_word("connection id", &connection)?,
        origin: Some(RequestOrigin {
            job: job.clone(),
            attempt: row.get(2)?,
            stream: stream.transpose()?,
            partition: row.get(4)?,
        }),
        connector: connector
            .map(|digest| decode_word("digest", &digest))
            .transpose()?,
        method: row.get(6)?,
        endpoint: row.get(7)?,
        path: row.get(8)?,
        status: row.get(9)?,
        fault: fault.transpose()?,
        bytes_sent: row.get(11)?,
        bytes_received: row.get(12)?,
        sent_at_ms: row.get(13)?,
        waited_ms: row.get(14)?,
        took_ms: row.get(15)?,
    })
}
