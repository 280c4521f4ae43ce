//! Secrets of a tenant, which documents name and nobody reads.

use crate::error::Error;
use crate::node::Node;
use secrecy::SecretString;
use tidegate_broker::Keyring;
use tidegate_domain::id::TenantId;
use tidegate_domain::spec::{SecretName, SecretRef};

/// Bytes of a fingerprint; two values of one name are alike with a chance of 2^-128.
const FINGERPRINT_BYTES: usize = 16;

/// What a secret is sealed as: it opens under its own name only.
pub fn purpose(name: &SecretName) -> String {
    format!("secret {name}")
}

/// Tells a change of a value and nothing else: a hash under the node's key, over
/// tenant and name too, so that equal values of two names do not look alike.
pub fn fingerprint(
    keyring: &Keyring,
    tenant: &TenantId,
    name: &SecretName,
    value: &[u8],
) -> String {
    let mut bytes = format!("secret fingerprint 1/{tenant}/{name}/").into_bytes();
    bytes.extend_from_slice(value);
    let code = keyring.mac(&bytes);
    data_encoding::HEXLOWER.encode(&code[..FINGERPRINT_BYTES])
}

impl Node {
    /// The value that a document of the server names at `place`.
    ///
    /// # Errors
    /// [`Error::Setting`] where the secret does not exist, or the reference is one
    /// that would read the server's own environment or files.
    pub async fn secret(
        &self,
        tenant: &TenantId,
        reference: &SecretRef,
        place: &str,
    ) -> Result<SecretString, Error> {
        let SecretRef::Secret(name) = reference else {
            return Err(Error::setting(
                place,
                "must name a secret of the tenant as ${secret:NAME} on the server",
            ));
        };
        let sealed = self.store.secret(tenant, name.as_str()).await?;
        let sealed = sealed.ok_or_else(|| {
            Error::setting(
                place,
                format!("secret {name} does not exist; write it first"),
            )
        })?;
        let opened = self
            .keyring
            .unseal(&*self.store, tenant, &purpose(name), &sealed)
            .await?;
        let text = std::str::from_utf8(&opened)
            .map_err(|_| Error::setting(place, format!("secret {name} is not text")))?;
        Ok(SecretString::from(text.to_owned()))
    }
}
