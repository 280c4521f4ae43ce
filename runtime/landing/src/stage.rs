//! The staging directory: where a batch is durable before its cursor moves.

use crate::Error;
use std::collections::HashSet;
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tidegate_domain::id::Sha256;

/// As an object of a directory target has it, which may become the same file.
pub(crate) const MODE: u32 = 0o640;

/// What the protocol asks of the local disk. A wrapper injects its failures.
pub trait Staging: Send + Sync {
    /// Where it is, for errors.
    fn root(&self) -> &Path;
    /// A new, empty file under a temporary name.
    fn create(&self) -> io::Result<(File, PathBuf)>;
    /// Step S2: the file's bytes, then its name, are on disk when this returns.
    /// A failed fsync fails the batch; it is never tried again, since the kernel
    /// may have dropped the dirty pages.
    fn persist(&self, file: &File, temporary: &Path, name: &str) -> io::Result<PathBuf>;
    /// Whether the file is there with these bytes.
    fn holds(&self, path: &Path, sha256: &Sha256) -> bool;
    /// Removes a file; one that is gone already is fine.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Every file that is there.
    fn files(&self) -> io::Result<Vec<PathBuf>>;
}

/// A directory of this node.
pub struct StageDirectory {
    root: PathBuf,
}

impl StageDirectory {
    /// Opens the directory, made if it is not there, and closes it to other users: what is
    /// staged is readable by a group.
    ///
    /// # Errors
    /// [`Error::Stage`] where it cannot be made.
    pub fn open(root: &Path) -> Result<StageDirectory, Error> {
        let made = std::fs::create_dir_all(root)
            .and_then(|()| std::fs::set_permissions(root, Permissions::from_mode(0o700)));
        made.map_err(|source| Error::Stage {
            operation: "make files",
            path: root.to_owned(),
            source,
        })?;
        // Paths are stored: the same directory must always be spelled the same.
        let root = root.canonicalize().map_err(|source| Error::Stage {
            operation: "find itself",
            path: root.to_owned(),
            source,
        })?;
        Ok(StageDirectory { root })
    }
}

impl Staging for StageDirectory {
    fn root(&self) -> &Path {
        &self.root
    }

    fn create(&self) -> io::Result<(File, PathBuf)> {
        let named = tempfile::Builder::new()
            .prefix("open-")
            .suffix(".part")
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(&self.root)?;
        let (file, path) = named.keep().map_err(|error| error.error)?;
        Ok((file, path))
    }

    fn persist(&self, file: &File, temporary: &Path, name: &str) -> io::Result<PathBuf> {
        // All streams share the directory, and two may stage the same bytes at the same
        // epoch and batch: what was nobody else's before keeps their files apart.
        let own = temporary.file_stem().unwrap_or_default().to_string_lossy();
        let path = self.root.join(format!("{own}-{name}"));
        file.sync_all()?;
        std::fs::rename(temporary, &path)?;
        File::open(&self.root)?.sync_all()?;
        Ok(path)
    }

    fn holds(&self, path: &Path, sha256: &Sha256) -> bool {
        hash_file(path).is_ok_and(|found| found == *sha256)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(&self.root)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    }
}

fn hash_file(path: &Path) -> io::Result<Sha256> {
    use sha2::Digest as _;
    let mut file = File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            read => hasher.update(&chunk[..read]),
        }
    }
}

/// Removes what a crash left behind: files that no intent names. Run once, before
/// any stream is opened.
///
/// # Errors
/// [`Error::Stage`] where the directory cannot be read.
pub fn remove_orphans(staging: &dyn Staging, needed: &[PathBuf]) -> Result<usize, Error> {
    let failed = |source| Error::Stage {
        operation: "remove orphans",
        path: staging.root().to_owned(),
        source,
    };
    let needed: HashSet<&PathBuf> = needed.iter().collect();
    let mut removed = 0;
    for path in staging.files().map_err(failed)? {
        if !needed.contains(&path) {
            staging.remove(&path).map_err(failed)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The name of a staged file and of its object.
pub(crate) fn file_name(
    epoch: u64,
    batch: u64,
    lane: usize,
    sha256: &Sha256,
    extension: &str,
) -> String {
    format!(
        "{epoch:010}-{batch:012}-{lane}-{}.{extension}",
        sha256.short()
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn two_streams_that_stage_the_same_bytes_have_a_file_each() {
        let folder = tempfile::tempdir().unwrap();
        let staging = StageDirectory::open(folder.path()).unwrap();
        let persist = || {
            let (file, temporary) = staging.create().unwrap();
            staging.persist(&file, &temporary, "same").unwrap()
        };
        let (one, other) = (persist(), persist());
        staging.remove(&one).unwrap();
        assert!(other.exists(), "one stream removed the other's bytes");
    }
}
