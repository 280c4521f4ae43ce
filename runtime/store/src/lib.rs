//! The database behind async, backend-neutral traits.
//!
//! **Invariants:** nobody outside this crate sees a database connection or SQL;
//! every write that a lease guards compares epoch *and* owner token; an answer is
//! given only after the transaction is on disk.

pub mod clock;
pub mod crash;
pub mod error;
pub mod grants;
pub mod jobs;
pub mod kv;
pub mod limits;
pub mod sqlite;
pub mod streams;

pub use error::Error;
pub use sqlite::SqliteStore;

/// Everything that a process asks of its database.
pub trait Store:
    streams::StreamStore + grants::GrantStore + kv::KvStore + jobs::JobStore + limits::LimitStore
{
}

impl<T> Store for T where
    T: streams::StreamStore
        + grants::GrantStore
        + kv::KvStore
        + jobs::JobStore
        + limits::LimitStore
{
}
