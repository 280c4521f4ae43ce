//! The vocabulary of Tidegate: ids, faults, manifests, stream states, slots and
//! the pure policies over them.
//!
//! **Invariant:** nothing here does I/O, reads a clock, draws a random number or
//! knows an async runtime; time and randomness are arguments. So every rule can
//! be tested as a table, and every backend shares the same rules.
#![deny(missing_docs)]

pub mod access;
pub mod backoff;
pub mod batch;
pub mod catalog;
pub mod contract;
pub mod crash;
pub mod egress;
pub mod fault;
pub mod id;
pub mod job;
pub mod limit;
pub mod manifest;
pub mod queue;
pub mod record;
pub mod schedule;
pub mod schema;
pub mod slot;
pub mod spec;
pub mod stream;
pub mod sync;
mod text_schema;

pub use fault::Fault;
