//! Cursors on the target are sealed: a connector may keep secrets in them.

use crate::Error;
use data_encoding::BASE64;
use std::sync::Arc;
use tidegate_broker::Keyring;
use tidegate_domain::id::StreamKey;
use tidegate_store::grants::GrantStore;

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
        StreamCipher { keyring, store, key }
    }

    fn purpose(&self, batch: u64) -> String {
        format!("slot/{}/{batch}", self.key)
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(tidegate_broker::Error) -> Error {
        let stream = self.key.clone();
        move |source| Error::Seal { stream, operation, source }
    }

    /// Seals a change's JSON, as base64.
    ///
    /// # Errors
    /// Where the tenant's key cannot be had.
    pub async fn seal(&self, batch: u64, plain: &[u8]) -> Result<String, Error> {
        let purpose = self.purpose(batch);
        let sealed = self.keyring.seal(&*self.store, &self.key.tenant, &purpose, plain).await;
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
        let plain = self.keyring.unseal(&*self.store, &self.key.tenant, &purpose, &bytes).await;
        plain.map_err(self.failed("opened"))
    }
}
