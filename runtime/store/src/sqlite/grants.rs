//! Grants and data keys in SQLite.

use super::SqliteStore;
use super::encoding::decode_word;
use crate::Error;
use crate::grants::{GrantKey, GrantState, GrantStore, StoredGrant};
use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, params};
use tidegate_domain::id::{OwnerToken, TenantId};

fn word(state: GrantState) -> &'static str {
    match state {
        GrantState::Active => "active",
        GrantState::Unknown => "unknown",
        GrantState::NeedsReauth => "needs_reauth",
    }
}

#[async_trait]
impl GrantStore for SqliteStore {
    async fn grant(&self, key: &GrantKey) -> Result<Option<StoredGrant>, Error> {
        let key = key.clone();
        self.read("grant", move |database| {
            let found: Option<(u64, Vec<u8>, String)> = database
                .prepare_cached(
                    "SELECT version, sealed, state FROM grants
                     WHERE tenant = ?1 AND connection = ?2 AND method = ?3",
                )?
                .query_row(
                    params![key.tenant.as_str(), key.connection.as_str(), key.method],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()?;
            found
                .map(|(version, sealed, state)| {
                    let state = decode_word("grant", &state)?;
                    Ok(StoredGrant {
                        version,
                        sealed,
                        state,
                    })
                })
                .transpose()
        })
        .await
    }

    async fn put_grant(&self, key: &GrantKey, version: u64, sealed: &[u8]) -> Result<bool, Error> {
        let (key, sealed) = (key.clone(), sealed.to_vec());
        let sql = if version == 1 {
            "INSERT INTO grants (tenant, connection, method, version, sealed, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"
        } else {
            "UPDATE grants SET version = ?4, sealed = ?5, state = ?6, refresh_owner = NULL
             WHERE tenant = ?1 AND connection = ?2 AND method = ?3 AND version = ?4 - 1"
        };
        self.write("put grant", move |database| {
            let stored = database.prepare_cached(sql)?.execute(params![
                key.tenant.as_str(),
                key.connection.as_str(),
                key.method,
                version,
                sealed,
                word(GrantState::Active)
            ])?;
            Ok(stored == 1)
        })
        .await
    }

    async fn begin_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        lifetime_ms: u64,
    ) -> Result<bool, Error> {
        let key = key.clone();
        self.write("begin refresh", move |database| {
            let taken = database
                .prepare_cached(
                    "UPDATE grants SET refresh_owner = ?5, refresh_expires_ms =
                            CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?6
                     WHERE tenant = ?1 AND connection = ?2 AND method = ?3 AND version = ?4
                       AND (refresh_owner IS NULL OR refresh_owner = ?5 OR refresh_expires_ms
                            <= CAST(unixepoch('subsec') * 1000 AS INTEGER))",
                )?
                .execute(params![
                    key.tenant.as_str(),
                    key.connection.as_str(),
                    key.method,
                    version,
                    owner.to_string(),
                    lifetime_ms
                ])?;
            Ok(taken == 1)
        })
        .await
    }

    async fn finish_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        sealed: &[u8],
    ) -> Result<bool, Error> {
        let (key, sealed) = (key.clone(), sealed.to_vec());
        self.write("finish refresh", move |database| {
            let replaced = database
                .prepare_cached(
                    "UPDATE grants SET version = version + 1, sealed = ?6, state = ?7,
                            refresh_owner = NULL
                     WHERE tenant = ?1 AND connection = ?2 AND method = ?3 AND version = ?4
                       AND refresh_owner = ?5",
                )?
                .execute(params![
                    key.tenant.as_str(),
                    key.connection.as_str(),
                    key.method,
                    version,
                    owner.to_string(),
                    sealed,
                    word(GrantState::Active)
                ])?;
            Ok(replaced == 1)
        })
        .await
    }

    async fn abandon_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        state: GrantState,
    ) -> Result<bool, Error> {
        let key = key.clone();
        self.write("abandon refresh", move |database| {
            let noted = database
                .prepare_cached(
                    "UPDATE grants SET state = ?6, refresh_owner = NULL
                     WHERE tenant = ?1 AND connection = ?2 AND method = ?3 AND version = ?4
                       AND refresh_owner = ?5",
                )?
                .execute(params![
                    key.tenant.as_str(),
                    key.connection.as_str(),
                    key.method,
                    version,
                    owner.to_string(),
                    word(state)
                ])?;
            Ok(noted == 1)
        })
        .await
    }

    async fn data_key(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>, Error> {
        let tenant = tenant.clone();
        self.read("data key", move |database| {
            let found = database
                .prepare_cached("SELECT wrapped FROM data_keys WHERE tenant = ?1")?
                .query_row([tenant.as_str()], |row| row.get(0))
                .optional()?;
            Ok(found)
        })
        .await
    }

    async fn put_data_key(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<Vec<u8>, Error> {
        let (tenant, wrapped) = (tenant.clone(), wrapped.to_vec());
        self.write("put data key", move |database| {
            database
                .prepare_cached(
                    "INSERT INTO data_keys (tenant, wrapped) VALUES (?1, ?2)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![tenant.as_str(), wrapped])?;
            let stays = database
                .prepare_cached("SELECT wrapped FROM data_keys WHERE tenant = ?1")?
                .query_row([tenant.as_str()], |row| row.get(0))?;
            Ok(stays)
        })
        .await
    }
}
