//! Envelope encryption: the node's key wraps one data key for each tenant, and
//! data keys seal what the store and the log keep. A deleted data key shreds all
//! that it sealed.

use crate::Error;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_domain::id::TenantId;
use tidegate_store::grants::GrantStore;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
/// XChaCha20's nonce is long enough to be drawn at random for any number of
/// messages.
const NONCE_BYTES: usize = 24;
/// The first byte of all that is sealed; a new cipher gets a new one.
const FORMAT: u8 = 1;

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Seals and opens. Its node key stays in one file, apart from the database.
pub struct Keyring {
    wrapping: Key,
    mac: Key,
    data_keys: Mutex<HashMap<TenantId, Arc<Key>>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Keyring")
    }
}

impl Keyring {
    /// Reads the node key, or makes one that only its owner can read.
    ///
    /// # Errors
    /// Where the file cannot be read or made, is not a key, or others may read it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let node = read_or_create(path).map_err(|source| Error::KeyFile {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            wrapping: derive(&node, b"tidegate wrap data keys 1"),
            mac: derive(&node, b"tidegate mac 1"),
            data_keys: Mutex::default(),
        })
    }

    /// Seals under the tenant's data key. `purpose` says what and where the value
    /// is (field, row, version): it opens only with the same tenant and purpose.
    ///
    /// # Errors
    /// [`Error::Store`] where the data key is not at hand.
    pub async fn seal(
        &self,
        store: &dyn GrantStore,
        tenant: &TenantId,
        purpose: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let key = self.data_key(store, tenant).await?;
        encrypt(&key, &bound_to(tenant, purpose), plain)
    }

    /// Opens what [`Keyring::seal`] made.
    ///
    /// # Errors
    /// [`Error::Unseal`] with another key, tenant or purpose, or after any change.
    pub async fn unseal(
        &self,
        store: &dyn GrantStore,
        tenant: &TenantId,
        purpose: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = self.data_key(store, tenant).await?;
        decrypt(&key, &bound_to(tenant, purpose), sealed).ok_or_else(|| Error::Unseal {
            purpose: purpose.to_owned(),
        })
    }

    /// The tenant's wrapped data key, made at the first need.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Random`] where one must be made.
    pub async fn wrapped_data_key(
        &self,
        store: &dyn GrantStore,
        tenant: &TenantId,
    ) -> Result<Vec<u8>, Error> {
        if let Some(wrapped) = store.data_key(tenant).await? {
            return Ok(wrapped);
        }
        let mut fresh = Key::default();
        getrandom::fill(&mut fresh[..]).map_err(Error::Random)?;
        let wrapped = encrypt(&self.wrapping, &bound_to(tenant, "data key"), &fresh[..])?;
        Ok(store.put_data_key(tenant, &wrapped).await?)
    }

    /// Takes over a data key that survived outside a lost store.
    ///
    /// # Errors
    /// [`Error::Unseal`] where this node key did not wrap it, or the tenant has
    /// another one already.
    pub async fn adopt_data_key(
        &self,
        store: &dyn GrantStore,
        tenant: &TenantId,
        wrapped: &[u8],
    ) -> Result<(), Error> {
        let theirs = self.unwrap_key(tenant, wrapped)?;
        let kept = store.put_data_key(tenant, wrapped).await?;
        let ours = self.unwrap_key(tenant, &kept)?;
        if ours != theirs {
            return Err(Error::Unseal {
                purpose: "data key (the tenant has another one already)".to_owned(),
            });
        }
        self.remember(tenant, ours);
        Ok(())
    }

    /// A code that only this node can make for these bytes.
    pub fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        self.keyed(bytes).finalize().into_bytes().into()
    }

    /// Whether [`Keyring::mac`] of this node made the code, in constant time.
    pub fn verify(&self, bytes: &[u8], code: &[u8]) -> bool {
        self.keyed(bytes).verify_slice(code).is_ok()
    }

    fn keyed(&self, bytes: &[u8]) -> Hmac<Sha256> {
        hmac_of(&self.mac, bytes)
    }

    async fn data_key(&self, store: &dyn GrantStore, tenant: &TenantId) -> Result<Arc<Key>, Error> {
        let known = self
            .data_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(tenant)
            .cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let wrapped = self.wrapped_data_key(store, tenant).await?;
        let key = self.unwrap_key(tenant, &wrapped)?;
        Ok(self.remember(tenant, key))
    }

    fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<Key, Error> {
        decrypt(&self.wrapping, &bound_to(tenant, "data key"), wrapped)
            .and_then(|plain| Some(Key::new(plain.as_slice().try_into().ok()?)))
            .ok_or_else(|| Error::Unseal {
                purpose: "data key".to_owned(),
            })
    }

    fn remember(&self, tenant: &TenantId, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        self.data_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.clone(), Arc::clone(&key));
        key
    }
}

fn hmac_of(key: &Key, bytes: &[u8]) -> Hmac<Sha256> {
    let mut hmac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key[..])
        .expect("HMAC takes a key of any length");
    hmac.update(bytes);
    hmac
}

/// One secret, one key for each use: neither use weakens the other.
fn derive(node: &Key, label: &[u8]) -> Key {
    Key::new(hmac_of(node, label).finalize().into_bytes().into())
}

/// Lengths keep ("a", "bc") apart from ("ab", "c").
fn bound_to(tenant: &TenantId, purpose: &str) -> Vec<u8> {
    let mut bound = Vec::new();
    for part in ["tidegate seal 1", tenant.as_str(), purpose] {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part.as_bytes());
    }
    bound
}

fn encrypt(key: &Key, aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(Error::Random)?;
    let sealed = XChaCha20Poly1305::new((&**key).into())
        .encrypt(&XNonce::from(nonce), Payload { msg, aad })
        .expect("the cipher takes any message below 256 GiB");
    let mut out = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
    out.push(FORMAT);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

fn decrypt(key: &Key, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (&format, rest) = sealed.split_first()?;
    let (nonce, msg) = rest.split_first_chunk::<NONCE_BYTES>()?;
    if format != FORMAT {
        return None;
    }
    XChaCha20Poly1305::new((&**key).into())
        .decrypt(&XNonce::from(*nonce), Payload { msg, aad })
        .ok()
        .map(Zeroizing::new)
}

fn read_or_create(path: &Path) -> std::io::Result<Key> {
    match std::fs::File::open(path) {
        Ok(file) => read(file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path),
        Err(error) => Err(error),
    }
}

fn read(mut file: std::fs::File) -> std::io::Result<Key> {
    let refuse = |why| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return refuse("others may read it; run chmod 600 on it");
    }
    let mut text = Zeroizing::new(Vec::new());
    Read::by_ref(&mut file).take(1024).read_to_end(&mut text)?;
    let decoded = data_encoding::HEXLOWER
        .decode(text.trim_ascii_end())
        .map(Zeroizing::new);
    match decoded.as_deref().map(|key| key.as_slice().try_into()) {
        Ok(Ok(key)) => Ok(Key::new(key)),
        _ => refuse("it does not hold 64 hexadecimal digits"),
    }
}

/// Written whole under another name and linked, so that a crash leaves no half key
/// and two processes that start together agree on one.
fn create(path: &Path) -> std::io::Result<Key> {
    let mut key = Key::default();
    getrandom::fill(&mut key[..]).map_err(std::io::Error::other)?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
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
    let text = Zeroizing::new(data_encoding::HEXLOWER.encode(&key[..]));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&fresh, path);
    std::fs::remove_file(&fresh)?;
    std::fs::File::open(dir)?.sync_all()?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            read(std::fs::File::open(path)?)
        }
        Err(error) => Err(error),
    }
}
