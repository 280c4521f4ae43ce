//! Cursors on the target are sealed: a connector may keep secrets in them.

use crate::Error;
use crate::log;
use crate::recover::random_bytes;
use crate::target::{Created, Payload, Stamp, Target};
use bytes::Bytes;
use data_encoding::BASE64;
use std::sync::Arc;
use tidegate_broker::Keyring;
use tidegate_domain::id::{PutId, StreamKey};
use tidegate_store::grants::GrantStore;

/// Keys of one tenant on one target that are looked at; there is one as a rule.
const KEYS_MAX: usize = 100;

/// Seals and opens the changes of one stream under its tenant's data key. The
/// additional data binds a change to its stream and batch, so that one cannot be
/// put in another's place.
#[derive(Clone)]
pub struct StreamCipher {
    keyring: Arc<Keyring>,
    store: Arc<dyn GrantStore>,
    key: StreamKey,
}

impl StreamCipher {
    /// A cipher for `key`.
    pub fn new(keyring: Arc<Keyring>, store: Arc<dyn GrantStore>, key: StreamKey) -> StreamCipher {
        StreamCipher {
            keyring,
            store,
            key,
        }
    }

    /// Keeps the tenant's wrapped data key beside its data, so that a lost store can
    /// be rebuilt with the node key alone; takes it from there where the store has
    /// none. To be called before anything of the tenant is sealed.
    ///
    /// # Errors
    /// Where the target fails, or holds a key that this node cannot unwrap, or holds
    /// only other keys than the store's.
    pub async fn share_key(&self, target: &dyn Target) -> Result<(), Error> {
        let tenant = &self.key.tenant;
        let folder = format!("tenant={tenant}/_key/");
        let found = target.list(&folder, None, KEYS_MAX).await?;
        match (self.store.data_key(tenant).await?, found.first()) {
            (None, Some(key)) => {
                let wrapped = target.read(key).await?.unwrap_or_default();
                let adopted = self.keyring.adopt_data_key(&*self.store, tenant, &wrapped);
                adopted.await.map_err(self.failed("opened"))
            }
            (_, None) => {
                let wrapped = self.keyring.wrapped_data_key(&*self.store, tenant).await;
                let wrapped = Bytes::from(wrapped.map_err(self.failed("sealed"))?);
                publish(target, &folder, wrapped).await
            }
            (Some(held), Some(_)) => {
                let own = format!("{folder}{}", log::sha256(&held).short());
                if found.contains(&own) {
                    return Ok(());
                }
                let tenant = tenant.clone();
                Err(Error::ForeignKey { tenant })
            }
        }
    }

    fn purpose(&self, batch: u64) -> String {
        format!("slot/{}/{batch}", self.key)
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(tidegate_broker::Error) -> Error {
        let stream = self.key.clone();
        move |source| Error::Seal {
            stream,
            operation,
            source: Box::new(source),
        }
    }

    /// Seals a change's JSON, as base64.
    ///
    /// # Errors
    /// Where the tenant's key cannot be had.
    pub async fn seal(&self, batch: u64, plain: &[u8]) -> Result<String, Error> {
        let purpose = self.purpose(batch);
        let sealed = self
            .keyring
            .seal(&*self.store, &self.key.tenant, &purpose, plain)
            .await;
        Ok(BASE64.encode(&sealed.map_err(self.failed("sealed"))?))
    }

    /// Opens what [`StreamCipher::seal`] made.
    ///
    /// # Errors
    /// Where it was made with another key or for another place.
    pub async fn open(&self, batch: u64, sealed: &str) -> Result<Vec<u8>, Error> {
        let purpose = self.purpose(batch);
        // Bytes that are not base64 fail to authenticate, like any other forgery.
        let bytes = BASE64.decode(sealed.as_bytes()).unwrap_or_default();
        let plain = self
            .keyring
            .unseal(&*self.store, &self.key.tenant, &purpose, &bytes)
            .await;
        Ok(plain.map_err(self.failed("opened"))?.to_vec())
    }
}

async fn publish(target: &dyn Target, folder: &str, wrapped: Bytes) -> Result<(), Error> {
    let sha256 = log::sha256(&wrapped);
    let key = format!("{folder}{}", sha256.short());
    let put_id = PutId::from_bytes(random_bytes());
    let stamp = Stamp { sha256, put_id };
    match target.create(&key, Payload::Bytes(wrapped), &stamp).await? {
        Created::Created | Created::Exists => Ok(()),
        Created::Unknown(error) => Err(error.into()),
    }
}
