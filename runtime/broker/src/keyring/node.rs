//! Wrapping keys of the node's own: lines of a file, or of a variable, the newest
//! first. Only the newest wraps; all of them open.

use super::{KEY_BYTES, Key, KeyService, decrypt, derive, encrypt, foreign};
use crate::Error;
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// Far more rotations than a file ever sees.
const FILE_BYTES_MAX: u64 = 64 << 10;

pub(super) struct NodeKeys {
    /// None where they come from the environment.
    path: Option<PathBuf>,
    keys: RwLock<Arc<Vec<Key>>>,
}

impl std::fmt::Debug for NodeKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("NodeKeys")
    }
}

impl NodeKeys {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let keys = read_or_create(path).map_err(|source| Error::KeyFile {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: Some(path.to_owned()),
            keys: RwLock::new(Arc::new(keys)),
        })
    }

    pub(super) fn from_text(text: &SecretString) -> Result<Self, Error> {
        let keys = parse(text.expose_secret().as_bytes()).ok_or_else(|| {
            Error::config("the node key from the environment is not 64 hexadecimal digits")
        })?;
        Ok(Self {
            path: None,
            keys: RwLock::new(Arc::new(keys)),
        })
    }

    /// The oldest: what is derived from it stays the same through every rotation.
    pub(super) fn first(&self) -> Key {
        let keys = self.known();
        keys.last().expect("there is a node key").clone()
    }

    fn known(&self) -> Arc<Vec<Key>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks into the file again: somebody may have put a new key there.
    fn reread(&self) -> Result<Arc<Vec<Key>>, Error> {
        let Some(path) = &self.path else {
            return Ok(self.known());
        };
        let failed = |source| Error::KeyFile {
            path: path.clone(),
            source,
        };
        let keys = std::fs::File::open(path).and_then(read).map_err(failed)?;
        let keys = Arc::new(keys);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
        Ok(keys)
    }
}

/// The key's place among the given ones, and what it opened.
fn open(keys: &[Key], context: &[u8], wrapped: &[u8]) -> Option<(usize, Zeroizing<Vec<u8>>)> {
    let tried = keys
        .iter()
        .map(|key| decrypt(&wrapping(key), context, wrapped));
    let mut opened = tried.enumerate();
    opened.find_map(|(place, plain)| Some((place, plain?)))
}

fn wrapping(key: &Key) -> Key {
    derive(key, b"tidegate wrap data keys 1")
}

#[async_trait]
impl KeyService for NodeKeys {
    async fn wrap(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let keys = self.known();
        let newest = keys.first().expect("there is a node key");
        encrypt(&wrapping(newest), context, plain)
    }

    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let opened = match open(&self.known(), context, wrapped) {
            None => open(&self.reread()?, context, wrapped),
            opened => opened,
        };
        opened.map(|(_, plain)| plain).ok_or_else(foreign)
    }

    async fn rewrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let keys = self.reread()?;
        match open(&keys, context, wrapped) {
            Some((0, _)) => Ok(None),
            Some((_, plain)) => Ok(Some(self.wrap(context, &plain).await?)),
            None => Err(foreign()),
        }
    }
}

/// One key in each line, as hexadecimal digits.
fn parse(text: &[u8]) -> Option<Vec<Key>> {
    let lines = text.trim_ascii().split(|&byte| byte == b'\n');
    let key = |line: &[u8]| {
        let decoded = data_encoding::HEXLOWER.decode(line.trim_ascii()).ok();
        let decoded = Zeroizing::new(decoded?);
        Some(Key::new(decoded.as_slice().try_into().ok()?))
    };
    lines.map(key).collect()
}

fn read_or_create(path: &Path) -> std::io::Result<Vec<Key>> {
    match std::fs::File::open(path) {
        Ok(file) => read(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path),
        Err(error) => Err(error),
    }
}

fn read(mut file: std::fs::File) -> std::io::Result<Vec<Key>> {
    let refuse = |why| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return refuse("others may read it; run chmod 600 on it");
    }
    let mut text = Zeroizing::new(Vec::new());
    Read::by_ref(&mut file)
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut text)?;
    match parse(&text) {
        Some(keys) => Ok(keys),
        None => refuse("it does not hold 64 hexadecimal digits in each line"),
    }
}

/// Written whole under another name and linked, so that a crash leaves no half key
/// and two processes that start together agree on one.
fn create(path: &Path) -> std::io::Result<Vec<Key>> {
    let key = random()?;
    let fresh = write_beside(path, std::slice::from_ref(&key))?;
    let linked = std::fs::hard_link(&fresh, path);
    std::fs::remove_file(&fresh)?;
    std::fs::File::open(parent(path))?.sync_all()?;
    match linked {
        Ok(()) => Ok(vec![key]),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            read(std::fs::File::open(path)?)
        }
        Err(error) => Err(error),
    }
}

/// Puts a new key before the others. A crash leaves the file as it was, or as it is to
/// be.
pub(super) fn rotate(path: &Path) -> std::io::Result<()> {
    let mut keys = vec![random()?];
    keys.extend(read(std::fs::File::open(path)?)?);
    let fresh = write_beside(path, &keys)?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(parent(path))?.sync_all()
}

fn random() -> std::io::Result<Key> {
    let mut key = Key::new([0; KEY_BYTES]);
    getrandom::fill(&mut key[..]).map_err(std::io::Error::other)?;
    Ok(key)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn write_beside(path: &Path, keys: &[Key]) -> std::io::Result<PathBuf> {
    let dir = parent(path);
    std::fs::create_dir_all(dir)?;
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(std::io::Error::other)?;
    let name = format!(".key-{}", data_encoding::HEXLOWER.encode(&suffix));
    let fresh = dir.join(name);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    for key in keys {
        let line = Zeroizing::new(data_encoding::HEXLOWER.encode(&key[..]) + "\n");
        file.write_all(line.as_bytes())?;
    }
    file.sync_all()?;
    Ok(fresh)
}
