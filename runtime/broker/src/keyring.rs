//! Envelope encryption: the node's key, or a key service, wraps one data key for each
//! tenant, and data keys seal what the store and the log keep. A deleted data key
//! shreds all that it sealed.

mod node;
mod transit;

pub use transit::Transit;

use crate::Error;
use async_trait::async_trait;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use node::NodeKeys;
use secrecy::SecretString;
use sha2::Sha256;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_domain::id::TenantId;
use tidegate_store::grants::GrantStore;
use tokio::time::Instant;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
/// XChaCha20's nonce is long enough to be drawn at random for any number of
/// messages.
const NONCE_BYTES: usize = 24;
/// The first byte of all that is sealed; a new cipher gets a new one.
const FORMAT: u8 = 1;

/// How long an opened data key is remembered: so long may a destroyed one live on in
/// another process, and so long is a key service's absence not felt.
const REMEMBERED: Duration = Duration::from_secs(300);

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Wraps data keys. The context says whose a key is; it must come back with it.
#[async_trait]
pub trait KeyService: Send + Sync + std::fmt::Debug {
    /// Encrypts a data key under the newest key.
    async fn wrap(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error>;

    /// Opens what [`KeyService::wrap`] made, then or under an older key.
    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error>;

    /// The same data key under the newest key; none where it is already.
    async fn rewrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Option<Vec<u8>>, Error>;
}

/// Seals and opens. Its node key stays apart from the database.
pub struct Keyring {
    service: Arc<dyn KeyService>,
    mac: Key,
    data_keys: Mutex<HashMap<TenantId, (Instant, Arc<Key>)>>,
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
        Ok(Self::of(NodeKeys::open(path)?))
    }

    /// As [`Keyring::open`], with what such a file holds: from the environment.
    ///
    /// # Errors
    /// [`Error::Config`] where it is no key.
    pub fn from_text(text: &SecretString) -> Result<Self, Error> {
        Ok(Self::of(NodeKeys::from_text(text)?))
    }

    fn of(node: NodeKeys) -> Self {
        Self {
            mac: derive(&node.first(), b"tidegate mac 1"),
            service: Arc::new(node),
            data_keys: Mutex::default(),
        }
    }

    /// Data keys are wrapped by this service; the node key makes codes only.
    #[must_use]
    pub fn wrapping_with(self, service: Arc<dyn KeyService>) -> Self {
        Self { service, ..self }
    }

    /// Puts a new node key before the ones in the file. Running services take it up
    /// with their next [`Keyring::rewrap_all`]; the older ones go on opening what they
    /// wrapped.
    ///
    /// # Errors
    /// [`Error::KeyFile`] where the file cannot be read or replaced.
    pub fn rotate_file(path: &Path) -> Result<(), Error> {
        node::rotate(path).map_err(|source| Error::KeyFile {
            path: path.to_owned(),
            source,
        })
    }

    /// Puts every data key under the newest wrapping key; says how many were not.
    /// What is sealed stays as it is, and work goes on meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Unseal`], or what the key service says.
    pub async fn rewrap_all(&self, store: &dyn GrantStore) -> Result<usize, Error> {
        let mut rewrapped = 0;
        for (tenant, wrapped) in store.data_keys().await? {
            let context = bound_to(&tenant, "data key");
            let Some(fresh) = self.service.rewrap(&context, &wrapped).await? else {
                continue;
            };
            if store.rewrap_data_key(&tenant, &wrapped, &fresh).await? {
                rewrapped += 1;
            }
        }
        Ok(rewrapped)
    }

    /// Destroys the tenant's data key and with it all that it sealed. A backup from
    /// before, and the tenant's own targets, still hold the key as the node key wrapped
    /// it: what is in them goes with that node key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn destroy(&self, store: &dyn GrantStore, tenant: &TenantId) -> Result<bool, Error> {
        let destroyed = store.destroy_data_key(tenant).await?;
        self.data_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(tenant);
        Ok(destroyed)
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
        let context = bound_to(tenant, "data key");
        let wrapped = self.service.wrap(&context, &fresh[..]).await?;
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
        let theirs = self.unwrap_key(tenant, wrapped).await?;
        let kept = store.put_data_key(tenant, wrapped).await?;
        let ours = self.unwrap_key(tenant, &kept).await?;
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
            .filter(|(since, _)| since.elapsed() < REMEMBERED)
            .map(|(_, key)| Arc::clone(key));
        if let Some(key) = known {
            return Ok(key);
        }
        let wrapped = self.wrapped_data_key(store, tenant).await?;
        let key = self.unwrap_key(tenant, &wrapped).await?;
        Ok(self.remember(tenant, key))
    }

    async fn unwrap_key(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<Key, Error> {
        let context = bound_to(tenant, "data key");
        let plain = self.service.unwrap(&context, wrapped).await?;
        match plain.as_slice().try_into() {
            Ok(key) => Ok(Key::new(key)),
            Err(_) => Err(foreign()),
        }
    }

    fn remember(&self, tenant: &TenantId, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        self.data_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.clone(), (Instant::now(), Arc::clone(&key)));
        key
    }
}

/// A data key that no wrapping key here opens.
fn foreign() -> Error {
    Error::Unseal {
        purpose: "data key".to_owned(),
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
