//! What the operator decides for a node, and no tenant can.

use crate::error::Error;
use serde::{Deserialize, Serialize};

/// A stream's lease unless the operator says otherwise, in milliseconds.
const LEASE_MS: u64 = 30_000;
const LEASE_MS_MIN: u64 = 1_000;

/// The operator's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Egress: mappings, private hosts, caps, limits.
    pub broker: tidegate_broker::Config,
    /// The lease of a stream, in milliseconds.
    pub lease_ms: u64,
    /// Guest threads; none takes one for each core.
    pub guest_threads: Option<usize>,
    /// Origins (`http://127.0.0.1:8333`) of S3 endpoints that may be plain http or
    /// private.
    pub target_origins: Vec<tidegate_broker::Origin>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            broker: tidegate_broker::Config::default(),
            lease_ms: LEASE_MS,
            guest_threads: None,
            target_origins: Vec::new(),
        }
    }
}

impl Config {
    /// Checks what the types cannot; the broker checks its own part when it is built.
    ///
    /// # Errors
    /// [`Error::Setting`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        if self.lease_ms < LEASE_MS_MIN {
            return Err(Error::setting(
                "lease_ms",
                format!("must be {LEASE_MS_MIN} at least, or owners lose streams that they read"),
            ));
        }
        if self.guest_threads == Some(0) {
            return Err(Error::setting("guest_threads", "must be 1 at least"));
        }
        Ok(())
    }
}
