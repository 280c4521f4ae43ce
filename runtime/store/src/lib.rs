//! The database behind async, backend-neutral traits.
//!
//! **Invariants:** nobody outside this crate sees a database connection or SQL;
//! every write that a lease guards compares epoch *and* owner token; an answer is
//! given only after the transaction is on disk.

pub mod clock;
pub mod control;
pub mod crash;
pub mod error;
pub mod events;
pub mod flow;
pub mod grants;
pub mod jobs;
pub mod kv;
pub mod limits;
pub mod queue;
pub mod schedules;
pub mod schemas;
pub mod sqlite;
pub mod streams;
pub mod upkeep;

pub use error::Error;
pub use sqlite::SqliteStore;

/// Everything that a sync asks of its database.
pub trait Store:
    streams::StreamStore
    + grants::GrantStore
    + kv::KvStore
    + jobs::JobStore
    + limits::LimitStore
    + schemas::SchemaStore
    + flow::FlowStore
{
}

impl<T> Store for T where
    T: streams::StreamStore
        + grants::GrantStore
        + kv::KvStore
        + jobs::JobStore
        + limits::LimitStore
        + schemas::SchemaStore
        + flow::FlowStore
{
}

/// Everything that the service asks of its database: what a sync asks, and the
/// control plane.
pub trait ServiceStore:
    Store
    + control::ControlStore
    + queue::QueueStore
    + schedules::ScheduleStore
    + events::EventStore
    + upkeep::UpkeepStore
{
}

impl<T> ServiceStore for T where
    T: Store
        + control::ControlStore
        + queue::QueueStore
        + schedules::ScheduleStore
        + events::EventStore
        + upkeep::UpkeepStore
{
}
