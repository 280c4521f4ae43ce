//! Where the keys come from that tenants' keys are kept under: a file, the
//! environment, or a key service.

use crate::error::Error;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_broker::dial::Dialer;
use tidegate_broker::{Keyring, Origin, Transit};

/// Holds what a node key file would; wins over the file.
const VARIABLE: &str = "TIDEGATE_NODE_KEY";

/// What an operator says of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyConfig {
    /// The node key, best outside the state directory and its backups; without it
    /// `keys/node.key` there.
    pub file: Option<PathBuf>,
    /// A transit engine that wraps tenants' keys; the node key makes codes only then.
    pub transit: Option<TransitConfig>,
}

/// One key of HashiCorp Vault's transit engine, or of what speaks like it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitConfig {
    /// Such as `https://vault.internal:8200`.
    pub origin: Origin,
    /// The engine's path, such as `transit`.
    pub mount: String,
    /// The key's name.
    pub key: String,
    /// A file with the token.
    pub token_file: PathBuf,
}

impl KeyConfig {
    /// The keyring; a node key file is made where there is none.
    pub(crate) fn open(
        &self,
        file: &Path,
        broker: &tidegate_broker::Config,
    ) -> Result<Keyring, Error> {
        let keyring = match std::env::var(VARIABLE) {
            Ok(text) => Keyring::from_text(&SecretString::from(text))?,
            Err(_) => Keyring::open(self.file.as_deref().unwrap_or(file))?,
        };
        let Some(transit) = &self.transit else {
            return Ok(keyring);
        };
        let token = std::fs::read_to_string(&transit.token_file).map_err(|error| {
            let path = transit.token_file.display();
            Error::setting("keys.transit.token_file", format!("{path}: {error}"))
        })?;
        let service = Transit::new(
            &Dialer::new(broker)?,
            transit.origin.clone(),
            &transit.mount,
            &transit.key,
            SecretString::from(token.trim().to_owned()),
        )?;
        Ok(keyring.wrapping_with(Arc::new(service)))
    }
}
