//! Running syncs: plan, read partitions in parallel, checkpoint, park, retry,
//! recover. Policy is in `tidegate_domain::job`; this crate does the I/O.
//!
//! **Invariants:** one partition is one instance; a partition that waits holds no
//! instance; what a guest emitted after its last save counts only with `done`; a
//! fault never moves a cursor.

pub mod attempt;
mod checkpoint;
pub mod config;
pub mod contracts;
pub mod discovery;
mod documents;
mod drift;
pub mod enqueue;
pub mod error;
pub mod finished;
pub mod joblog;
mod kept;
pub mod keys;
pub mod lag;
mod landed;
mod launch;
mod limits;
pub mod node;
pub mod outbox;
mod partition;
pub mod progress;
pub mod scheduler;
pub mod secret;
mod sink;
pub mod source;
pub mod stream;
pub mod sync;
pub mod target;
pub mod trace;
pub mod worker;

pub use config::Config;
pub use error::Error;
pub use node::Node;
// Named by what the API keeps and what tests of it build.
pub use tidegate_broker::{LimitView, PendingAuthorization};
pub use tidegate_sandbox::{CompileLimits, Compiler};
