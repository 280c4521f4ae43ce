//! Retention and backups in SQLite.

mod backup;
mod sweep;

use super::SqliteStore;
use crate::Error;
use crate::upkeep::{Retention, Swept, UpkeepStore};
use async_trait::async_trait;
use std::path::Path;

#[async_trait]
impl UpkeepStore for SqliteStore {
    async fn sweep(&self, now_ms: u64, keep: Retention) -> Result<Swept, Error> {
        self.write("sweep", move |database| {
            sweep::sweep(database, now_ms, keep)
        })
        .await
    }

    async fn backup(&self, to: &Path) -> Result<(), Error> {
        let to = to.to_owned();
        self.read("backup", move |database| backup::write(database, &to))
            .await
    }
}
