//! The store in one SQLite file, for one process.
//!
//! One thread writes, in groups that share a commit; a few threads read. A call
//! whose future is dropped may still take effect.

mod connection;
mod control;
mod encoding;
mod events;
mod failure;
mod flow;
mod grants;
mod jobs;
mod kv;
mod limits;
mod lock;
mod migrations;
mod queue;
mod readers;
mod schedules;
mod schemas;
mod streams;
mod upkeep;
mod writer;

use crate::Error;
use failure::Failure;
use rusqlite::Connection;
use std::path::Path;

/// The file's name in the state directory.
pub const FILE_NAME: &str = "tidegate.db";

/// Bounds of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Pages of 4 KiB that the file may grow to; a full one answers
    /// [`Error::Full`]. None: as many as the disk has.
    pub pages_max: Option<u32>,
}

/// The store of one process, in one directory.
pub struct SqliteStore {
    // Dropped in this order: the last connection to close must be the writer's,
    // which checkpoints, and the lock goes when no connection is left.
    readers: readers::Readers,
    writer: writer::Writer,
    _lock: lock::Lock,
}

impl SqliteStore {
    /// Opens the directory's database, or creates both. Blocks on the disk.
    ///
    /// Leases and claims that were left by a killed process have run out: the lock proves that
    /// their owner is gone, and the log's fence shuts out what it still has in
    /// flight. The right to refresh a grant is not cut short, since a provider
    /// cannot be fenced.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Version`], [`Error::Schema`], [`Error::Full`], and
    /// [`Error::Open`] for everything else, a damaged file included.
    pub fn open(dir: &Path) -> Result<SqliteStore, Error> {
        SqliteStore::open_with(dir, Options::default())
    }

    /// [`SqliteStore::open`] with bounds.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`].
    pub fn open_with(dir: &Path, options: Options) -> Result<SqliteStore, Error> {
        connection::check_version(rusqlite::version(), rusqlite::version_number())?;
        let lock = lock::Lock::take(dir)?;
        let path = dir.join(FILE_NAME);
        let failed = |failure: Failure| failure.into_open_error(&path);
        let mut database = connection::open_writer(&path, options).map_err(failed)?;
        migrations::run(&mut database).map_err(failed)?;
        streams::expire_leases(&database).map_err(failed)?;
        queue::expire_claims(&database).map_err(failed)?;
        let writer = writer::Writer::start(database).map_err(failed)?;
        let readers = readers::Readers::start(&path).map_err(failed)?;
        Ok(SqliteStore {
            readers,
            writer,
            _lock: lock,
        })
    }

    async fn read<T, W>(&self, operation: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.readers.read(operation, work).await
    }

    async fn write<T, W>(&self, operation: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.writer.write(operation, work).await
    }
}
