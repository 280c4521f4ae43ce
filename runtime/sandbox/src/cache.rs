//! Compiled components on disk. Loading one runs it as native code, so a file is
//! trusted only with this node's code over the very bytes that are loaded.

use crate::Error;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;
use tidegate_broker::Keyring;
use tidegate_domain::id::Sha256;

/// Bytes of the code that a file begins with.
const MAC_BYTES: usize = 32;
/// Larger than anything that the compiler hands over.
const FILE_BYTES_MAX: u64 = (512 << 20) + MAC_BYTES as u64;

/// The directory of compiled components.
pub(crate) struct Cache {
    dir: PathBuf,
    keyring: Arc<Keyring>,
    settings_hash: String,
}

impl Cache {
    pub(crate) fn open(
        dir: PathBuf,
        keyring: Arc<Keyring>,
        settings_hash: String,
    ) -> Result<Cache, Error> {
        let cache = Cache {
            dir,
            keyring,
            settings_hash,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&cache.dir)
            .map_err(|source| cache.failed(&cache.dir, source))?;
        Ok(cache)
    }

    /// The compiled form that this node once stored; none where there is none, or
    /// where the file is not exactly what was stored.
    pub(crate) fn load(&self, digest: &Sha256) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let mut file = std::fs::File::open(&path).ok()?.take(FILE_BYTES_MAX);
        let mut stored = Vec::new();
        file.read_to_end(&mut stored).ok()?;
        let (mac, compiled) = stored.split_at_checked(MAC_BYTES)?;
        if !self.keyring.verify(&self.bound(digest, compiled), mac) {
            tracing::warn!(
                path = %path.display(),
                "a compiled component is not what this node stored; it is compiled again"
            );
            return None;
        }
        stored.drain(..MAC_BYTES);
        Some(stored)
    }

    /// Keeps a compiled form: whole or not at all, for the owner to read only.
    pub(crate) fn store(&self, digest: &Sha256, compiled: &[u8]) -> Result<(), Error> {
        let path = self.path(digest);
        let mac = self.keyring.mac(&self.bound(digest, compiled));
        let write = || {
            let mut file = NamedTempFile::new_in(&self.dir)?;
            file.write_all(&mac)?;
            file.write_all(compiled)?;
            file.as_file()
                .set_permissions(std::fs::Permissions::from_mode(0o400))?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| self.failed(&path, source))
    }

    fn path(&self, digest: &Sha256) -> PathBuf {
        self.dir
            .join(format!("{digest}-{}.cwasm", self.settings_hash))
    }

    /// What the code covers: which component, for which engine, which bytes.
    fn bound(&self, digest: &Sha256, compiled: &[u8]) -> Vec<u8> {
        let name = format!("compiled component {digest} {} ", self.settings_hash);
        [name.as_bytes(), compiled].concat()
    }

    fn failed(&self, path: &Path, source: std::io::Error) -> Error {
        Error::Cache {
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn cache(dir: &Path, hash: &str) -> Cache {
        let keyring = Arc::new(Keyring::open(&dir.join("node.key")).unwrap());
        Cache::open(dir.join("compiled"), keyring, hash.to_owned()).unwrap()
    }

    #[test]
    fn every_flipped_bit_of_a_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path(), "a");
        let digest = Sha256::from_bytes([7; 32]);
        cache.store(&digest, b"native code").unwrap();
        assert_eq!(cache.load(&digest).unwrap(), b"native code");
        let path = cache.path(&digest);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o400);
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &flipped).unwrap();
            assert_eq!(cache.load(&digest), None, "bit {bit} went unnoticed");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &whole[..20]).unwrap();
        assert_eq!(cache.load(&digest), None);
    }

    #[test]
    fn a_file_is_good_only_for_its_component_engine_and_node() {
        let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cache_a = cache(dir.path(), "a");
        let (digest, other) = (Sha256::from_bytes([1; 32]), Sha256::from_bytes([2; 32]));
        cache_a.store(&digest, b"native code").unwrap();
        let stored = cache_a.path(&digest);
        std::fs::copy(&stored, cache_a.path(&other)).unwrap();
        assert_eq!(cache_a.load(&other), None);
        let cache_b = cache(dir.path(), "b");
        std::fs::copy(&stored, cache_b.path(&digest)).unwrap();
        assert_eq!(cache_b.load(&digest), None);
        let elsewhere = cache(other_dir.path(), "a");
        std::fs::copy(&stored, elsewhere.path(&digest)).unwrap();
        assert_eq!(elsewhere.load(&digest), None);
    }
}
