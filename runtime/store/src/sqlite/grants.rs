//! Grants and data keys in SQLite.

use super::SqliteStore;
use super::encoding::decode_word;
use super::failure::Failure;
use crate::Error;
use crate::grants::{GrantKey, GrantState, GrantStore, StoredGrant};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use tidegate_domain::id::{OwnerToken, TenantId};

fn word(state: GrantState) -> &'static str {
    match state {
        GrantState::Active => "active",
        GrantState::Unknown => "unknown",
        GrantState::Refused => "refused",
        GrantState::NeedsReauth => "needs_reauth",
    }
}

/// Where the pair of a connection is kept.
fn holder(database: &Connection, key: &GrantKey) -> Result<Option<String>, Failure> {
    let found = database
        .prepare_cached(
            "SELECT holder FROM grant_uses WHERE tenant = ?1 AND connection = ?2 AND method = ?3",
        )?
        .query_row(
            params![key.tenant.as_str(), key.connection.as_str(), key.method],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found)
}

fn find(
    database: &Connection,
    tenant: &TenantId,
    holder: String,
) -> Result<Option<StoredGrant>, Failure> {
    let found: Option<(u64, Vec<u8>, String, u64, u32)> = database
        .prepare_cached(
            "SELECT version, sealed, state, noted_ms, approvals FROM grants
             WHERE tenant = ?1 AND holder = ?2",
        )?
        .query_row(params![tenant.as_str(), holder], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .optional()?;
    let Some((version, sealed, state, noted_at_ms, approvals)) = found else {
        return Ok(None);
    };
    Ok(Some(StoredGrant {
        holder,
        version,
        sealed,
        state: decode_word("grant", &state)?,
        noted_at_ms,
        approvals,
    }))
}

fn insert(
    database: &Connection,
    tenant: &TenantId,
    holder: &str,
    version: u64,
    sealed: &[u8],
) -> Result<bool, Failure> {
    if version != 1 {
        return Ok(false);
    }
    let stored = database
        .prepare_cached(
            "INSERT INTO grants (tenant, holder, version, sealed, state, noted_ms)
             VALUES (?1, ?2, 1, ?3, ?4, CAST(unixepoch('subsec') * 1000 AS INTEGER))
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            tenant.as_str(),
            holder,
            sealed,
            word(GrantState::Active)
        ])?;
    Ok(stored == 1)
}

fn replace(
    database: &Connection,
    tenant: &TenantId,
    holder: &str,
    version: u64,
    sealed: &[u8],
) -> Result<bool, Failure> {
    let stored = database
        .prepare_cached(
            "UPDATE grants SET version = ?3, sealed = ?4, state = ?5, refresh_owner = NULL,
                    noted_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER)
             WHERE tenant = ?1 AND holder = ?2 AND version = ?3 - 1",
        )?
        .execute(params![
            tenant.as_str(),
            holder,
            version,
            sealed,
            word(GrantState::Active)
        ])?;
    Ok(stored == 1)
}

fn use_of(database: &Connection, key: &GrantKey, holder: &str) -> Result<(), Failure> {
    database
        .prepare_cached(
            "INSERT OR REPLACE INTO grant_uses (tenant, connection, method, holder)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            key.tenant.as_str(),
            key.connection.as_str(),
            key.method,
            holder
        ])?;
    Ok(())
}

/// Tokens do not outlive what they were given for.
pub(super) fn forget_connection(
    database: &Connection,
    tenant: &TenantId,
    connection: &str,
) -> Result<(), Failure> {
    database
        .prepare_cached("DELETE FROM grant_uses WHERE tenant = ?1 AND connection = ?2")?
        .execute(params![tenant.as_str(), connection])?;
    remove_unused(database, tenant)
}

fn remove_unused(database: &Connection, tenant: &TenantId) -> Result<(), Failure> {
    database
        .prepare_cached(
            "DELETE FROM grants WHERE tenant = ?1 AND holder NOT IN (
                 SELECT holder FROM grant_uses WHERE tenant = ?1)",
        )?
        .execute([tenant.as_str()])?;
    Ok(())
}

#[async_trait]
impl GrantStore for SqliteStore {
    async fn grant(&self, key: &GrantKey) -> Result<Option<StoredGrant>, Error> {
        let key = key.clone();
        self.read("grant", move |database| match holder(database, &key)? {
            Some(holder) => find(database, &key.tenant, holder),
            None => Ok(None),
        })
        .await
    }

    async fn held_grant(
        &self,
        tenant: &TenantId,
        holder: &str,
    ) -> Result<Option<StoredGrant>, Error> {
        let (tenant, holder) = (tenant.clone(), holder.to_owned());
        self.read("held grant", move |database| {
            find(database, &tenant, holder)
        })
        .await
    }

    async fn put_grant(&self, key: &GrantKey, version: u64, sealed: &[u8]) -> Result<bool, Error> {
        let (key, sealed) = (key.clone(), sealed.to_vec());
        self.write("put grant", move |database| {
            if let Some(holder) = holder(database, &key)? {
                return replace(database, &key.tenant, &holder, version, &sealed);
            }
            let holder = key.own_holder();
            let stored = insert(database, &key.tenant, &holder, version, &sealed)?;
            if stored {
                use_of(database, &key, &holder)?;
            }
            Ok(stored)
        })
        .await
    }

    async fn share_grant(
        &self,
        key: &GrantKey,
        holder: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Option<u32>, Error> {
        let (key, holder, sealed) = (key.clone(), holder.to_owned(), sealed.to_vec());
        self.write("share grant", move |database| {
            let stored = match version {
                1 => insert(database, &key.tenant, &holder, version, &sealed)?,
                _ => replace(database, &key.tenant, &holder, version, &sealed)?,
            };
            if !stored {
                return Ok(None);
            }
            use_of(database, &key, &holder)?;
            remove_unused(database, &key.tenant)?;
            let approvals = database
                .prepare_cached(
                    "UPDATE grants SET approvals = approvals + (version > 1)
                     WHERE tenant = ?1 AND holder = ?2 RETURNING approvals",
                )?
                .query_row(params![key.tenant.as_str(), holder], |row| row.get(0))?;
            Ok(Some(approvals))
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
                     WHERE tenant = ?1 AND version = ?4 AND holder = (
                           SELECT holder FROM grant_uses
                           WHERE tenant = ?1 AND connection = ?2 AND method = ?3)
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
                            refresh_owner = NULL,
                            noted_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER)
                     WHERE tenant = ?1 AND version = ?4 AND holder = (
                           SELECT holder FROM grant_uses
                           WHERE tenant = ?1 AND connection = ?2 AND method = ?3)
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
                    "UPDATE grants SET state = ?6, refresh_owner = NULL,
                            noted_ms = CASE state WHEN ?6 THEN noted_ms
                                       ELSE CAST(unixepoch('subsec') * 1000 AS INTEGER) END
                     WHERE tenant = ?1 AND version = ?4 AND holder = (
                           SELECT holder FROM grant_uses
                           WHERE tenant = ?1 AND connection = ?2 AND method = ?3)
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

    async fn idle_grants(
        &self,
        noted_before_ms: u64,
        limit: usize,
    ) -> Result<Vec<GrantKey>, Error> {
        self.read("idle grants", move |database| {
            // Any connection that uses a grant can keep it alive.
            let mut statement = database.prepare_cached(
                "SELECT tenant, connection, method FROM grants JOIN grant_uses USING (tenant, holder)
                 WHERE state = 'active' AND noted_ms < ?1
                 GROUP BY tenant, holder ORDER BY noted_ms LIMIT ?2",
            )?;
            let rows = statement.query_map(params![noted_before_ms, limit as u64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.map(|row| {
                let (tenant, connection, method): (String, String, String) = row?;
                Ok(GrantKey {
                    tenant: decode_word("grant", &tenant)?,
                    connection: decode_word("grant", &connection)?,
                    method,
                })
            })
            .collect()
        })
        .await
    }

    async fn remove_grant(&self, key: &GrantKey) -> Result<bool, Error> {
        let key = key.clone();
        self.write("remove grant", move |database| {
            let removed = database
                .prepare_cached(
                    "DELETE FROM grant_uses WHERE tenant = ?1 AND connection = ?2 AND method = ?3",
                )?
                .execute(params![
                    key.tenant.as_str(),
                    key.connection.as_str(),
                    key.method
                ])?;
            remove_unused(database, &key.tenant)?;
            Ok(removed == 1)
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

    async fn data_keys(&self) -> Result<Vec<(TenantId, Vec<u8>)>, Error> {
        self.read("data keys", move |database| {
            let mut statement =
                database.prepare_cached("SELECT tenant, wrapped FROM data_keys ORDER BY tenant")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.map(|row| {
                let (tenant, wrapped): (String, Vec<u8>) = row?;
                Ok((decode_word("data key", &tenant)?, wrapped))
            })
            .collect()
        })
        .await
    }

    async fn rewrap_data_key(
        &self,
        tenant: &TenantId,
        old: &[u8],
        new: &[u8],
    ) -> Result<bool, Error> {
        let (tenant, old, new) = (tenant.clone(), old.to_vec(), new.to_vec());
        self.write("rewrap data key", move |database| {
            let replaced = database
                .prepare_cached(
                    "UPDATE data_keys SET wrapped = ?3 WHERE tenant = ?1 AND wrapped = ?2",
                )?
                .execute(params![tenant.as_str(), old, new])?;
            Ok(replaced == 1)
        })
        .await
    }

    async fn destroy_data_key(&self, tenant: &TenantId) -> Result<bool, Error> {
        let tenant = tenant.clone();
        self.write("destroy data key", move |database| {
            for table in ["grants", "grant_uses"] {
                database
                    .prepare_cached(&format!("DELETE FROM {table} WHERE tenant = ?1"))?
                    .execute([tenant.as_str()])?;
            }
            let destroyed = database
                .prepare_cached("DELETE FROM data_keys WHERE tenant = ?1")?
                .execute([tenant.as_str()])?;
            Ok(destroyed == 1)
        })
        .await
    }
}
