//! Connectors' hints in SQLite.

use super::SqliteStore;
use super::failure::{Failure, Violation};
use crate::Error;
use crate::kv::{KvScope, KvStore};
use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, params};

#[async_trait]
impl KvStore for SqliteStore {
    async fn kv_get(&self, scope: &KvScope, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let (scope, key) = (scope.clone(), key.to_owned());
        self.read("kv get", move |database| {
            let found = database
                .prepare_cached(
                    "SELECT value FROM kv WHERE tenant = ?1 AND connection = ?2 AND key = ?3",
                )?
                .query_row(
                    params![
                        scope.tenant.as_str(),
                        scope.connection.as_str(),
                        key.as_bytes()
                    ],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(found)
        })
        .await
    }

    async fn kv_set(&self, scope: &KvScope, key: &str, value: &[u8]) -> Result<(), Error> {
        let (scope, key, value) = (scope.clone(), key.to_owned(), value.to_vec());
        self.write("kv set", move |database| {
            database
                .prepare_cached(
                    "INSERT INTO kv (tenant, connection, key, value) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (tenant, connection, key) DO UPDATE SET value = excluded.value",
                )?
                .execute(params![
                    scope.tenant.as_str(),
                    scope.connection.as_str(),
                    key.as_bytes(),
                    value
                ])?;
            Ok(())
        })
        .await
    }

    async fn kv_remove(&self, scope: &KvScope, key: &str) -> Result<(), Error> {
        let (scope, key) = (scope.clone(), key.to_owned());
        self.write("kv remove", move |database| {
            database
                .prepare_cached(
                    "DELETE FROM kv WHERE tenant = ?1 AND connection = ?2 AND key = ?3",
                )?
                .execute(params![
                    scope.tenant.as_str(),
                    scope.connection.as_str(),
                    key.as_bytes()
                ])?;
            Ok(())
        })
        .await
    }

    async fn kv_keys(
        &self,
        scope: &KvScope,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        let (scope, prefix) = (scope.clone(), prefix.to_owned());
        self.read("kv keys", move |database| {
            let mut statement = database.prepare_cached(
                "SELECT key FROM kv
                 WHERE tenant = ?1 AND connection = ?2 AND key >= ?3
                   AND (length(?3) = 0 OR substr(key, 1, length(?3)) = ?3)
                 ORDER BY key LIMIT ?4",
            )?;
            let mut rows = statement.query(params![
                scope.tenant.as_str(),
                scope.connection.as_str(),
                prefix.as_bytes(),
                limit
            ])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                let key = String::from_utf8(row.get(0)?);
                keys.push(key.map_err(|source| {
                    Failure::Violation(Violation::Damaged {
                        problem: source.to_string(),
                    })
                })?);
            }
            Ok(keys)
        })
        .await
    }

    async fn kv_bytes(&self, scope: &KvScope) -> Result<u64, Error> {
        let scope = scope.clone();
        self.read("kv bytes", move |database| {
            let bytes = database
                .prepare_cached(
                    "SELECT coalesce(sum(length(key) + length(value)), 0) FROM kv
                     WHERE tenant = ?1 AND connection = ?2",
                )?
                .query_row(
                    params![scope.tenant.as_str(), scope.connection.as_str()],
                    |row| row.get(0),
                )?;
            Ok(bytes)
        })
        .await
    }
}
