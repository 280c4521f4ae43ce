//! What limits remember over a restart.

use crate::Error;
use async_trait::async_trait;

/// Units of a limit that may have been spent and are not yet forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// When they were reserved, in milliseconds since the epoch.
    pub at_ms: u64,
    /// How many.
    pub units: u64,
}

/// Blocks of units, reserved durably before any of them is spent: a crash can only
/// lose units, never spend them twice.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Reserves a block, and forgets those reserved before `forget_before_ms`.
    /// Blocks of one time add up.
    async fn reserve_units(
        &self,
        limit: &str,
        block: Reserved,
        forget_before_ms: u64,
    ) -> Result<(), Error>;

    /// What is still remembered of a limit, oldest first.
    async fn reserved_units(&self, limit: &str) -> Result<Vec<Reserved>, Error>;
}
