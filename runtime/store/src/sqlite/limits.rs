//! Reserved blocks of limits in SQLite.

use super::SqliteStore;
use crate::Error;
use crate::limits::{Block, BlockId, ClockReading, Closure, LimitStore, Reserved, Settlement};
use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, params};

#[async_trait]
impl LimitStore for SqliteStore {
    async fn reserve_units(&self, limit: &str, block: Block) -> Result<BlockId, Error> {
        let limit = limit.to_owned();
        self.write("reserve units", move |database| {
            database
                .prepare_cached(
                    "INSERT INTO limit_blocks (limit_name, at_ms, units, forget_at_ms)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![limit, block.at_ms, block.units, block.forget_at_ms])?;
            Ok(BlockId(database.last_insert_rowid()))
        })
        .await
    }

    async fn settle_units(&self, settled: Vec<Settlement>) -> Result<(), Error> {
        self.write("settle units", move |database| {
            let mut removal = database
                .prepare_cached("DELETE FROM limit_blocks WHERE id = ?1 AND limit_name = ?2")?;
            let mut spending = database.prepare_cached(
                "INSERT INTO limit_spent (limit_name, counted_by_ms, units, forget_at_ms)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (limit_name, counted_by_ms) DO UPDATE
                 SET units = units + excluded.units,
                     forget_at_ms = max(forget_at_ms, excluded.forget_at_ms)",
            )?;
            for one in settled {
                let removed = removal.execute(params![one.block.0, one.limit])?;
                if removed > 0 && one.units > 0 {
                    let counted =
                        params![one.limit, one.counted_by_ms, one.units, one.forget_at_ms];
                    spending.execute(counted)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn reserved_units(&self, limit: &str) -> Result<Vec<Reserved>, Error> {
        let limit = limit.to_owned();
        self.read("reserved units", move |database| {
            let mut statement = database.prepare_cached(
                "SELECT at_ms, units, 0 FROM limit_blocks WHERE limit_name = ?1
                 UNION ALL
                 SELECT counted_by_ms, units, 1 FROM limit_spent WHERE limit_name = ?1
                 ORDER BY 1",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(Reserved {
                    at_ms: row.get(0)?,
                    units: row.get(1)?,
                    is_settled: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn close_gates(&self, closed: Vec<Closure>, now_ms: u64) -> Result<(), Error> {
        self.write("close gates", move |database| {
            database
                .prepare_cached("DELETE FROM limit_closures WHERE until_ms < ?1")?
                .execute([now_ms])?;
            let mut closing = database.prepare_cached(
                "INSERT INTO limit_closures (account, gate, until_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account, gate) DO UPDATE
                 SET until_ms = max(until_ms, excluded.until_ms)",
            )?;
            for one in closed {
                closing.execute(params![one.account, one.gate, one.until_ms])?;
            }
            Ok(())
        })
        .await
    }

    async fn closed_gates(&self, account: &str) -> Result<Vec<Closure>, Error> {
        let account = account.to_owned();
        self.read("closed gates", move |database| {
            let mut statement = database
                .prepare_cached("SELECT gate, until_ms FROM limit_closures WHERE account = ?1")?;
            let rows = statement.query_map([&account], |row| {
                Ok(Closure {
                    account: account.clone(),
                    gate: row.get(0)?,
                    until_ms: row.get(1)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn clock_reading(&self) -> Result<Option<ClockReading>, Error> {
        self.read("clock reading", |database| {
            let mut statement =
                database.prepare_cached("SELECT boot, uptime_ms, now_ms FROM limit_clock")?;
            let reading = statement.query_row([], |row| {
                Ok(ClockReading {
                    boot: row.get(0)?,
                    uptime_ms: row.get(1)?,
                    now_ms: row.get(2)?,
                })
            });
            Ok(reading.optional()?)
        })
        .await
    }

    async fn keep_clock_reading(&self, reading: ClockReading) -> Result<(), Error> {
        self.write("keep a clock reading", move |database| {
            database
                .prepare_cached("INSERT OR REPLACE INTO limit_clock VALUES (1, ?1, ?2, ?3)")?
                .execute(params![reading.boot, reading.uptime_ms, reading.now_ms])?;
            Ok(())
        })
        .await
    }
}
