//! Reserved blocks of limits in SQLite.

use super::SqliteStore;
use crate::Error;
use crate::limits::{LimitStore, Reserved};
use async_trait::async_trait;
use rusqlite::params;

#[async_trait]
impl LimitStore for SqliteStore {
    async fn reserve_units(
        &self,
        limit: &str,
        block: Reserved,
        forget_before_ms: u64,
    ) -> Result<(), Error> {
        let limit = limit.to_owned();
        self.write("reserve units", move |database| {
            database
                .prepare_cached("DELETE FROM reserved_units WHERE limit_name = ?1 AND at_ms < ?2")?
                .execute(params![limit, forget_before_ms])?;
            database
                .prepare_cached(
                    "INSERT INTO reserved_units (limit_name, at_ms, units) VALUES (?1, ?2, ?3)
                     ON CONFLICT (limit_name, at_ms) DO UPDATE SET units = units + excluded.units",
                )?
                .execute(params![limit, block.at_ms, block.units])?;
            Ok(())
        })
        .await
    }

    async fn reserved_units(&self, limit: &str) -> Result<Vec<Reserved>, Error> {
        let limit = limit.to_owned();
        self.read("reserved units", move |database| {
            let mut statement = database.prepare_cached(
                "SELECT at_ms, units FROM reserved_units WHERE limit_name = ?1 ORDER BY at_ms",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(Reserved {
                    at_ms: row.get(0)?,
                    units: row.get(1)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
