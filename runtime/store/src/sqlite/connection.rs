//! Connections: how they are set up, and the proof that the settings took.

use super::Options;
use super::failure::{Failure, Violation};
use crate::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// The first SQLite whose write-ahead log is not corrupted by a checkpoint that
/// races with a reset of the log: <https://sqlite.org/wal.html>, "the WAL-reset bug".
const VERSION_MIN: i32 = 3_051_003;

/// Nobody else has the file, so nobody waits this long except behind a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements that a connection keeps; the store has fewer.
const STATEMENTS_KEPT: usize = 160;

/// Pages of the log after which a commit copies them into the file. A page that many
/// commits changed is copied once, so a long log saves work; this one is 16 MiB.
const LOG_PAGES: u32 = 4_000;

/// Refuses a library that may corrupt the log.
pub(super) fn check_version(version: &str, number: i32) -> Result<(), Error> {
    if number < VERSION_MIN {
        return Err(Error::Version {
            found: version.to_owned(),
        });
    }
    Ok(())
}

/// The connection that writes, on a file that is there and sound.
pub(super) fn open_writer(path: &Path, options: Options) -> Result<Connection, Failure> {
    create_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    set_up(&database)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    // FULL: a commit is on disk when it is answered.
    database.pragma_update(None, "synchronous", "full")?;
    database.pragma_update(None, "foreign_keys", true)?;
    database.pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_| Ok(()))?;
    if let Some(pages_max) = options.pages_max {
        database.pragma_update_and_check(None, "max_page_count", pages_max, |_| Ok(()))?;
    }
    check_pragma(&database, "journal_mode", "wal")?;
    check_pragma(&database, "synchronous", "2")?;
    check_pragma(&database, "foreign_keys", "1")?;
    check_sound(&database)?;
    Ok(database)
}

/// A connection that can only read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    set_up(&database)?;
    database.pragma_update(None, "query_only", true)?;
    check_pragma(&database, "query_only", "1")?;
    Ok(database)
}

fn set_up(database: &Connection) -> Result<(), Failure> {
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // A plan is made once, whatever is bound. Without this a statement that compares a
    // parameter with what a partial index is on is planned anew each time it is run.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    check_pragma(
        database,
        "busy_timeout",
        &BUSY_TIMEOUT.as_millis().to_string(),
    )
}

/// SQLite would create the file readable by everybody; its log inherits the mode.
fn create_private(path: &Path) -> Result<(), Failure> {
    let made = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|source| {
        Failure::Known(Error::Open {
            path: path.to_owned(),
            source: source.into(),
        })
    })
}

fn check_pragma(
    database: &Connection,
    pragma: &'static str,
    expected: &str,
) -> Result<(), Failure> {
    use rusqlite::types::Value;
    let value = database.pragma_query_value(None, pragma, |row| row.get::<_, Value>(0))?;
    let found = match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    if found != expected {
        return Err(Violation::Pragma { pragma, found }.into());
    }
    Ok(())
}

fn check_sound(database: &Connection) -> Result<(), Failure> {
    let verdict: String = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Violation::Damaged { problem: verdict }.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rusqlite::{StatementStatus, params};

    #[test]
    fn a_library_with_the_log_bug_is_refused() {
        let old = check_version("3.51.2", 3_051_002);
        assert!(matches!(old, Err(Error::Version { found }) if found == "3.51.2"));
        assert!(check_version(rusqlite::version(), rusqlite::version_number()).is_ok());
    }

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound() {
        let database = Connection::open_in_memory().unwrap();
        set_up(&database).unwrap();
        let made = database.execute_batch(
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, sync TEXT, finished INTEGER);
             CREATE INDEX jobs_finished ON jobs (sync) WHERE finished = 1;",
        );
        made.unwrap();
        let mut found = database
            .prepare("SELECT id FROM jobs WHERE sync = ?1 AND finished = ?2")
            .unwrap();
        for finished in [1, 0, 1] {
            assert!(!found.exists(params!["crm", finished]).unwrap());
        }
        assert_eq!(found.get_status(StatementStatus::RePrepare), 0);
    }
}
