//! A directory as a target: objects are files that appear whole, once, and durably.

use crate::stage;
use crate::target::{Created, Error, Head, Payload, Stamp, Target};
use async_trait::async_trait;
use bytes::Bytes;
use sha2::Digest as _;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tidegate_domain::id::Sha256;
use tidegate_store::clock::now_ms;

/// The bit of a folder's mode that gives its group to what is made in it.
const SETGID: u32 = 0o2000;
/// Files on their way; its name cannot be a key's first part.
const TEMPORARY: &str = ".tmp";
/// No put is under way for so long: a temporary file of this age belongs to a process
/// that died. Younger ones may be another process's.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Objects below one directory. Creation is a hard link, which fails where the name is
/// taken, so the directory must be on a file system that has them. A staged file on the
/// same one is linked as it is, unless the folder gives files its own group; any other is
/// copied first. Access lists that folders hand down are not given to linked files.
#[derive(Clone, Debug)]
pub struct DirectoryTarget {
    root: Arc<Path>,
}

impl DirectoryTarget {
    /// Makes the directory ready.
    ///
    /// # Errors
    /// [`Error::Config`] where it cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let config = |error: io::Error| Error::Config {
            target: locate(root, ""),
            reason: format!("the directory cannot be used: {error}"),
        };
        fs::create_dir_all(root.join(TEMPORARY)).map_err(config)?;
        let root = root.canonicalize().map_err(config)?;
        sync_directory(&root).map_err(config)?;
        remove_abandoned(&root.join(TEMPORARY)).map_err(config)?;
        Ok(DirectoryTarget { root: root.into() })
    }

    fn path(&self, key: &str) -> Result<PathBuf, Error> {
        if is_key(key) {
            return Ok(self.root.join(key));
        }
        Err(Error::Config {
            target: locate(&self.root, ""),
            reason: format!("{key:?} is not a key"),
        })
    }

    /// Runs file operations where they may block.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let root = Arc::clone(&self.root);
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        let done = done.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        done.map_err(|error| failed(&self.root, operation, error))
    }
}

#[async_trait]
impl Target for DirectoryTarget {
    async fn create(&self, key: &str, payload: Payload, stamp: &Stamp) -> Result<Created, Error> {
        let path = self.path(key)?;
        let temporary = format!("{TEMPORARY}/{}", stamp.put_id);
        let sha256 = stamp.sha256.clone();
        let made = self
            .blocking("creating an object", move |root| {
                let temporary = root.join(temporary);
                let made = create(root, &temporary, &path, &payload, &sha256);
                // One that stays behind is no object and harms nobody.
                match fs::remove_file(&temporary) {
                    Ok(()) | Err(_) => made,
                }
            })
            .await;
        match made {
            Ok(Made::Durably) => Ok(Created::Created),
            Ok(Made::Already) => Ok(Created::Exists),
            Ok(Made::Perhaps(error)) => {
                let error = failed(&self.root, "syncing an object", error);
                Ok(Created::Unknown(error))
            }
            Err(error @ Error::Unreachable { .. }) => Ok(Created::Unknown(error)),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let path = self.path(key)?;
        self.blocking("reading an object", move |_| found(fs::read(path)))
            .await
            .map(|bytes| bytes.map(Bytes::from))
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let path = self.path(key)?;
        self.blocking("looking at an object", move |_| {
            let Some(mut file) = found(File::open(path))? else {
                return Ok(None);
            };
            let copied = copy(&mut file, &mut io::sink())?;
            Ok(Some(Head {
                bytes: copied.bytes,
                sha256: Some(copied.sha256),
            }))
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        if !prefix.is_empty() {
            self.path(prefix.trim_end_matches('/'))?;
        }
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.blocking("listing objects", move |root| {
            let mut listing = Listing {
                prefix: &prefix,
                after: after.as_deref(),
                limit,
                keys: Vec::new(),
            };
            // Where all of them are below one folder, the others are not looked at.
            let outer = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
            listing.add(&root.join(outer), outer)?;
            Ok(listing.keys)
        })
        .await
    }

    fn locate(&self, key: &str) -> String {
        locate(&self.root, key)
    }

    fn place(&self, _key: &str) -> Option<String> {
        None
    }
}

/// A key that leads below the root, on every file system and every S3 dialect.
pub(crate) fn is_key(key: &str) -> bool {
    key.len() <= 900 && key.split('/').all(is_name)
}

/// A part of a key that is a name below the root and nothing else.
fn is_name(part: &str) -> bool {
    !part.is_empty() && part.len() <= 255 && !part.starts_with('.') && !part.contains(['\0', '\\'])
}

fn locate(root: &Path, key: &str) -> String {
    format!("file://{}", root.join(key).display())
}

fn failed(root: &Path, operation: &'static str, error: io::Error) -> Error {
    let target = locate(root, "");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { target },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::Denied {
            target,
            operation,
            source: error.into(),
        },
        io::ErrorKind::InvalidFilename | io::ErrorKind::NotADirectory => Error::Config {
            target,
            reason: format!("{operation} failed: {error}"),
        },
        _ => Error::Unreachable {
            target,
            operation,
            source: error.into(),
        },
    }
}

/// Removes what puts of dead processes left behind.
fn remove_abandoned(temporary: &Path) -> io::Result<()> {
    let now = UNIX_EPOCH + Duration::from_millis(now_ms());
    for entry in fs::read_dir(temporary)? {
        let path = entry?.path();
        let Some(file) = found(fs::metadata(&path))? else {
            continue; // its owner has just finished
        };
        let age = now.duration_since(file.modified()?).unwrap_or_default();
        if age >= ABANDONED_AFTER {
            found(fs::remove_file(&path))?;
        }
    }
    Ok(())
}

enum Made {
    Durably,
    /// Linked, but the disk did not confirm it.
    Perhaps(io::Error),
    /// Not by us, or by us before.
    Already,
}

fn create(
    root: &Path,
    temporary: &Path,
    path: &Path,
    payload: &Payload,
    sha256: &Sha256,
) -> io::Result<Made> {
    let parent = path.parent().unwrap_or(root);
    // What is there already, as the schema of a stream mostly is, costs no write.
    if path.try_exists()? {
        return already(parent);
    }
    create_directories(root, parent)?;
    if let Payload::File { path: staged, .. } = payload
        && may_be_linked(&staged.metadata()?, &parent.metadata()?)
    {
        copy(&mut File::open(staged)?, &mut io::sink())?.check(sha256)?;
        // Staged is durable, and nobody writes to it again: it need not be there twice.
        if let Ok(made) = link(staged, path, parent) {
            return Ok(made);
        }
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(stage::MODE)
        .open(temporary)?;
    let written = match payload {
        Payload::Bytes(bytes) => write(bytes, &mut file)?,
        Payload::File { path, .. } => copy(&mut File::open(path)?, &mut file)?,
    };
    written.check(sha256)?;
    file.sync_all()?;
    link(temporary, path, parent)
}

/// Whether the staged file is as a new one in that folder would be: on the same disk, and
/// of the group that the folder gives to what is made in it.
fn may_be_linked(staged: &Metadata, folder: &Metadata) -> bool {
    let gives_its_group = folder.mode() & SETGID != 0;
    staged.dev() == folder.dev() && (!gives_its_group || staged.gid() == folder.gid())
}

/// Gives a durable file its key, unless that is taken.
fn link(file: &Path, path: &Path, parent: &Path) -> io::Result<Made> {
    match fs::hard_link(file, path) {
        Ok(()) => Ok(match sync_directory(parent) {
            Ok(()) => Made::Durably,
            Err(error) => Made::Perhaps(error),
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => already(parent),
        Err(error) => Err(error),
    }
}

/// Who made it may have been killed before its name was on disk.
fn already(parent: &Path) -> io::Result<Made> {
    sync_directory(parent)?;
    Ok(Made::Already)
}

/// Creates a directory and its parents below the root, each durably.
fn create_directories(root: &Path, directory: &Path) -> io::Result<()> {
    if directory == root || directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().unwrap_or(root);
    create_directories(root, parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(parent),
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What was copied.
struct Copied {
    bytes: u64,
    sha256: Sha256,
}

impl Copied {
    fn check(&self, expected: &Sha256) -> io::Result<()> {
        if self.sha256 == *expected {
            return Ok(());
        }
        let text = "the bytes to be landed are not those that were hashed";
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

fn write(bytes: &[u8], to: &mut impl io::Write) -> io::Result<Copied> {
    to.write_all(bytes)?;
    Ok(Copied {
        bytes: bytes.len() as u64,
        sha256: Sha256::from_bytes(sha2::Sha256::digest(bytes).into()),
    })
}

/// Copies to the end.
fn copy(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<Copied> {
    let mut hash = sha2::Sha256::new();
    let mut block = vec![0; 128 << 10];
    let mut bytes = 0;
    loop {
        match from.read(&mut block)? {
            0 => {
                let sha256 = Sha256::from_bytes(hash.finalize().into());
                return Ok(Copied { bytes, sha256 });
            }
            read => {
                hash.update(&block[..read]);
                to.write_all(&block[..read])?;
                bytes += read as u64;
            }
        }
    }
}

struct Listing<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    keys: Vec<String>,
}

impl Listing<'_> {
    /// Adds the keys below a directory whose key is `outer`, in order: a directory
    /// sorts as if its name ended in a slash.
    fn add(&mut self, directory: &Path, outer: &str) -> io::Result<()> {
        let entries = match fs::read_dir(directory) {
            // An object has the name of the prefix's folder.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            entries => found(entries)?,
        };
        let Some(entries) = entries else {
            return Ok(());
        };
        let mut inner = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_name(name)) else {
                continue;
            };
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            let passed = |after: &str| after.strip_prefix(outer).is_some_and(|rest| name <= rest);
            if slash.is_empty() && self.after.is_some_and(passed) {
                continue; // a log has many of these
            }
            inner.push(format!("{outer}{name}{slash}"));
        }
        inner.sort_unstable();
        for key in inner {
            if self.keys.len() >= self.limit {
                return Ok(());
            }
            let is_directory = key.ends_with('/');
            let matches = key.starts_with(self.prefix);
            let passed = self.after.is_some_and(|after| *key <= *after);
            if is_directory {
                let may_match = matches || self.prefix.starts_with(&key);
                let inside_passed = passed && !self.after.is_some_and(|at| at.starts_with(&key));
                if may_match && !inside_passed {
                    let name = key[outer.len()..].trim_end_matches('/');
                    self.add(&directory.join(name), &key)?;
                }
            } else if matches && !passed {
                self.keys.push(key);
            }
        }
        Ok(())
    }
}
