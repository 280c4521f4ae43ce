//! What limits remember over a restart.

use crate::Error;
use async_trait::async_trait;

/// Units of a limit that were spent, or may have been, and are not yet forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// When they were reserved, in milliseconds since the epoch; when the provider had
    /// counted them, where `is_settled`.
    pub at_ms: u64,
    /// How many.
    pub units: u64,
    /// Whether it is known that so many were spent.
    pub is_settled: bool,
}

/// A block of units to be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Now, in milliseconds since the epoch.
    pub at_ms: u64,
    /// How many.
    pub units: u64,
    /// When the block no longer matters, in milliseconds since the epoch.
    pub forget_at_ms: u64,
}

/// Names a reserved block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub i64);

/// What became of a reserved block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The limit.
    pub limit: String,
    /// The block.
    pub block: BlockId,
    /// Units that were spent.
    pub units: u64,
    /// When the provider had counted the last of them, in milliseconds since the epoch.
    pub counted_by_ms: u64,
    /// When they no longer matter, in milliseconds since the epoch.
    pub forget_at_ms: u64,
}

/// That a provider closed its limits for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// The account, by the broker's name for it.
    pub account: String,
    /// The bucket; empty for all of the account.
    pub gate: String,
    /// Until when, in milliseconds since the epoch.
    pub until_ms: u64,
}

/// A reading of the limits' clock beside the system's uptime, which nobody sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Names the start of the system.
    pub boot: String,
    /// Milliseconds since then, sleep included.
    pub uptime_ms: u64,
    /// The limits' clock, in milliseconds since the epoch.
    pub now_ms: u64,
}

/// Blocks of units, reserved durably before any of them is spent: a crash can only
/// lose units, never spend them twice. What was really spent is written later.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Reserves a block.
    async fn reserve_units(&self, limit: &str, block: Block) -> Result<BlockId, Error>;

    /// Writes down what was spent of blocks. What was counted at one time adds up; a
    /// block that is not there is passed over.
    async fn settle_units(&self, settled: Vec<Settlement>) -> Result<(), Error>;

    /// What is still remembered of a limit, oldest first.
    async fn reserved_units(&self, limit: &str) -> Result<Vec<Reserved>, Error>;

    /// Remembers closures, the later one of each gate, and forgets those that ended
    /// before `now_ms`.
    async fn close_gates(&self, closed: Vec<Closure>, now_ms: u64) -> Result<(), Error>;

    /// The closures of an account.
    async fn closed_gates(&self, account: &str) -> Result<Vec<Closure>, Error>;

    /// The last reading of the limits' clock.
    async fn clock_reading(&self) -> Result<Option<ClockReading>, Error>;

    /// Keeps a reading in place of the last.
    async fn keep_clock_reading(&self, reading: ClockReading) -> Result<(), Error>;
}
