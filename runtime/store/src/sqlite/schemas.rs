//! Catalogs and contracts in SQLite.

use super::SqliteStore;
use super::encoding::{decode, decode_word, encode};
use super::events;
use super::failure::Failure;
use crate::Error;
use crate::events::NewEvent;
use crate::schemas::{CATALOGS_KEPT, CatalogKey, CatalogRow, ContractRow, SchemaStore};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tidegate_domain::catalog::Catalog;
use tidegate_domain::contract::Contract;
use tidegate_domain::id::{Sha256, StreamKey, TenantId};

/// A connection was removed: what was found in it goes.
pub(super) fn forget_connection(
    database: &Connection,
    tenant: &TenantId,
    connection: &str,
) -> Result<(), Failure> {
    database
        .prepare_cached("DELETE FROM catalogs WHERE tenant = ?1 AND connection = ?2")?
        .execute(params![tenant.as_str(), connection])?;
    Ok(())
}

/// A sync was removed: what its streams landed under goes.
pub(super) fn forget_sync(
    database: &Connection,
    tenant: &TenantId,
    sync: &str,
) -> Result<(), Failure> {
    database
        .prepare_cached("DELETE FROM contracts WHERE tenant = ?1 AND sync = ?2")?
        .execute(params![tenant.as_str(), sync])?;
    Ok(())
}

fn read_row(row: &Row<'_>) -> Result<CatalogRow, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(CatalogRow {
        number: row.get(0)?,
        catalog: Catalog {
            id: decode_word("catalog", &word(1)?)?,
            connector: decode_word("catalog", &word(2)?)?,
            streams: decode("catalog", &word(4)?)?,
        },
        asked: decode_word("catalog", &word(3)?)?,
        found_at_ms: row.get(5)?,
        confirmed_at_ms: row.get(6)?,
    })
}

fn list(
    database: &Connection,
    key: &CatalogKey,
    from: u64,
    through: u64,
    limit: u32,
) -> Result<Vec<CatalogRow>, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT number, id, connector, asked, streams, found_at_ms, confirmed_at_ms
         FROM catalogs WHERE tenant = ?1 AND connection = ?2 AND number BETWEEN ?3 AND ?4
         ORDER BY number DESC LIMIT ?5",
    )?;
    let (tenant, connection) = (key.tenant.as_str(), key.connection.as_str());
    let mut rows = statement.query(params![tenant, connection, from, through, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_row(row)?);
    }
    Ok(found)
}

/// The greatest number that SQLite counts to.
const NUMBER_MAX: u64 = i64::MAX.cast_unsigned();

struct Kept {
    newest: Option<u64>,
    catalog: Catalog,
    asked: Sha256,
    at_ms: u64,
    events: Vec<NewEvent>,
}

fn keep(database: &Connection, key: &CatalogKey, kept: &Kept) -> Result<bool, Failure> {
    let (tenant, connection) = (key.tenant.as_str(), key.connection.as_str());
    let newest: Option<(u64, String)> = database
        .prepare_cached(
            "SELECT number, id FROM catalogs WHERE tenant = ?1 AND connection = ?2
             ORDER BY number DESC LIMIT 1",
        )?
        .query_row(params![tenant, connection], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let number = newest.as_ref().map(|(number, _)| *number);
    let catalog = &kept.catalog;
    let (asked, connector) = (kept.asked.as_str(), catalog.connector.as_str());
    if newest.is_some_and(|(_, id)| id == catalog.id.as_str()) {
        database
            .prepare_cached(
                "UPDATE catalogs SET connector = ?4, asked = ?5,
                     confirmed_at_ms = max(confirmed_at_ms, ?6)
                 WHERE tenant = ?1 AND connection = ?2 AND number = ?3",
            )?
            .execute(params![
                tenant, connection, number, connector, asked, kept.at_ms
            ])?;
        return Ok(true);
    }
    if number != kept.newest {
        return Ok(false);
    }
    let next = number.unwrap_or_default() + 1;
    database
        .prepare_cached("INSERT INTO catalogs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)")?
        .execute(params![
            tenant,
            connection,
            next,
            catalog.id.as_str(),
            connector,
            asked,
            encode(&catalog.streams)?,
            kept.at_ms
        ])?;
    database
        .prepare_cached(
            "DELETE FROM catalogs WHERE tenant = ?1 AND connection = ?2 AND number <= ?3",
        )?
        .execute(params![
            tenant,
            connection,
            next.saturating_sub(CATALOGS_KEPT)
        ])?;
    events::tell(database, &key.tenant, kept.at_ms, &kept.events)?;
    Ok(true)
}

fn put_contract(
    database: &Connection,
    key: &StreamKey,
    revision: Option<u64>,
    contract: &Contract,
    at_ms: u64,
    events: &[NewEvent],
) -> Result<bool, Failure> {
    let put = database
        .prepare_cached(
            "INSERT INTO contracts (tenant, sync, stream, revision, contract, updated_at_ms)
             SELECT ?1, ?2, ?3, 1, ?5, ?6 WHERE ?4 IS NULL OR EXISTS (SELECT 1 FROM contracts
                 WHERE tenant = ?1 AND sync = ?2 AND stream = ?3)
             ON CONFLICT (tenant, sync, stream) DO UPDATE SET revision = revision + 1,
                 contract = excluded.contract, updated_at_ms = excluded.updated_at_ms
             WHERE revision = ?4",
        )?
        .execute(params![
            key.tenant.as_str(),
            key.sync.as_str(),
            key.stream.as_str(),
            revision,
            encode(contract)?,
            at_ms
        ])?;
    if put == 1 {
        events::tell(database, &key.tenant, at_ms, events)?;
    }
    Ok(put == 1)
}

#[async_trait]
impl SchemaStore for SqliteStore {
    async fn catalog(
        &self,
        key: &CatalogKey,
        number: Option<u64>,
    ) -> Result<Option<CatalogRow>, Error> {
        let key = key.clone();
        self.read("catalog", move |database| {
            let (from, through) = match number {
                Some(number) => (number, number),
                None => (0, NUMBER_MAX),
            };
            Ok(list(database, &key, from, through, 1)?.pop())
        })
        .await
    }

    async fn catalogs(
        &self,
        key: &CatalogKey,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<CatalogRow>, Error> {
        let key = key.clone();
        self.read("catalogs", move |database| {
            let through = before.map_or(NUMBER_MAX, |before| before.saturating_sub(1));
            list(database, &key, 1, through.min(NUMBER_MAX), limit)
        })
        .await
    }

    async fn keep_catalog(
        &self,
        key: &CatalogKey,
        newest: Option<u64>,
        catalog: &Catalog,
        asked: &Sha256,
        at_ms: u64,
        events: Vec<NewEvent>,
    ) -> Result<bool, Error> {
        let key = key.clone();
        let kept = Kept {
            newest,
            catalog: catalog.clone(),
            asked: asked.clone(),
            at_ms,
            events,
        };
        self.write("keep catalog", move |database| keep(database, &key, &kept))
            .await
    }

    async fn contract(&self, key: &StreamKey) -> Result<Option<ContractRow>, Error> {
        let key = key.clone();
        self.read("contract", move |database| {
            let found: Option<(u64, String, u64)> = database
                .prepare_cached(
                    "SELECT revision, contract, updated_at_ms FROM contracts
                     WHERE tenant = ?1 AND sync = ?2 AND stream = ?3",
                )?
                .query_row(
                    params![key.tenant.as_str(), key.sync.as_str(), key.stream.as_str()],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()?;
            let Some((revision, contract, updated_at_ms)) = found else {
                return Ok(None);
            };
            Ok(Some(ContractRow {
                revision,
                contract: decode("contract", &contract)?,
                updated_at_ms,
            }))
        })
        .await
    }

    async fn put_contract(
        &self,
        key: &StreamKey,
        revision: Option<u64>,
        contract: &Contract,
        at_ms: u64,
        events: Vec<NewEvent>,
    ) -> Result<bool, Error> {
        let (key, contract) = (key.clone(), contract.clone());
        self.write("put contract", move |database| {
            put_contract(database, &key, revision, &contract, at_ms, &events)
        })
        .await
    }
}
