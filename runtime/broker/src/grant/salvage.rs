//! Answers of token endpoints on disk before the store has them: a rotated pair that
//! exists nowhere else survives the death of the process and a store that fails.
//!
//! A file holds the version and the sealed pair, exactly as the row will, and lies under
//! the name that the row has: whichever connection shares the grant finds it.

use crate::Error;
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tidegate_domain::id::TenantId;

/// More than any sealed pair.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A directory with at most one file for each grant.
pub(super) struct Salvage {
    dir: PathBuf,
}

/// What a dead process left behind.
pub(super) struct Found {
    pub(super) version: u64,
    pub(super) sealed: Vec<u8>,
}

impl Salvage {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Durable on return.
    pub(super) async fn keep(
        &self,
        tenant: &TenantId,
        holder: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<(), Error> {
        let bytes = [&version.to_be_bytes()[..], sealed].concat();
        self.on_disk(tenant, holder, move |dir, path| write(dir, path, &bytes))
            .await
    }

    pub(super) async fn find(
        &self,
        tenant: &TenantId,
        holder: &str,
    ) -> Result<Option<Found>, Error> {
        let bytes = self.on_disk(tenant, holder, |_, path| read(path)).await?;
        Ok(bytes.and_then(|bytes| {
            let (version, sealed) = bytes.split_first_chunk()?;
            Some(Found {
                version: u64::from_be_bytes(*version),
                sealed: sealed.to_vec(),
            })
        }))
    }

    pub(super) async fn forget(&self, tenant: &TenantId, holder: &str) -> Result<(), Error> {
        self.on_disk(tenant, holder, |_, path| match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        holder: &str,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (dir, path) = (self.dir.clone(), self.dir.join(name(tenant, holder)));
        tokio::task::spawn_blocking(move || work(&dir, &path))
            .await
            .map_err(|_| Error::Closed)?
            .map_err(Error::Salvage)
    }
}

/// Says nothing of whose it is.
fn name(tenant: &TenantId, holder: &str) -> String {
    let mut hash = Sha256::new();
    for part in [tenant.as_str(), holder] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

fn write(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
