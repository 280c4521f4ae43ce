//! Batch -> file -> object -> commit log: how rows become visible exactly once.
//!
//! **Invariants:** a cursor never moves alone: it is sealed in one transaction with
//! the intent to land the rows before it; the log is the authority on what landed;
//! every step may be repeated; no file and no slot is ever overwritten.

mod announce;
pub mod by_operation;
pub mod cipher;
mod commit;
pub mod cut;
pub mod directory;
pub mod encode;
pub mod error;
pub mod gate;
mod heartbeat;
mod json;
pub mod lake;
mod lane;
pub mod log;
mod moment;
pub mod page;
pub mod partition;
pub mod recover;
pub mod s3;
pub mod schema;
mod sealed;
pub mod stage;
pub mod table;
pub mod target;
pub mod writer;

pub use error::Error;
pub use moment::rfc3339;
