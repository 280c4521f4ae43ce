//! A copy of the database, as of one moment.

use crate::Error;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, OpenFlags};
use std::error::Error as StdError;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Copies into a file beside, then gives it its name: a file of that name is whole.
pub(super) fn write(database: &Connection, to: &Path) -> Result<(), Failure> {
    let partial = partial_path(to);
    let written = copy(database, &partial).and_then(|()| publish(&partial, to).map_err(Into::into));
    let removed = fs::remove_file(&partial);
    written.map_err(|source| failed(to, source))?;
    removed.map_err(|source| failed(to, source.into()))
}

fn failed(to: &Path, source: Box<dyn StdError + Send + Sync>) -> Failure {
    Failure::Known(Error::Backup {
        path: to.to_owned(),
        source,
    })
}

fn partial_path(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn copy(database: &Connection, partial: &Path) -> Result<(), Box<dyn StdError + Send + Sync>> {
    // SQLite would make the file readable by everybody; into an empty one it writes.
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(partial)?;
    let path = partial
        .to_str()
        .ok_or_else(|| io::Error::other("the path is not text"))?;
    // The reader's own connection writes nothing, not even elsewhere.
    let of = database.path().unwrap_or_default();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(of, flags)?;
    source.execute("VACUUM INTO ?1", [path])?;
    file.sync_all()?;
    Ok(())
}

/// A link, unlike a rename, never replaces a file that is there.
fn publish(partial: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(partial, to)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}
