//! The only place with wasmtime: admits components of strangers and runs them.
//!
//! **Invariants:** a guest reaches nothing but the imports of the contract; a secret
//! never enters a guest's memory; a trap or a limit ends the call with a fault and
//! never moves a cursor; no component can take the process down.

mod bindings;
mod cache;
mod call;
pub mod compile;
mod config;
mod connector;
mod context;
mod convert;
mod error;
mod host;
mod inspect;
mod log;
mod manifest;
mod sandbox;
mod scan;
mod settings;
mod sink;
mod source;
mod tombstone;
mod usage;

pub use config::{Admission, Budget, Caps, CompileLimits, Compiler, Config, MemoryInspector};
pub use connector::{Connector, Exports};
pub use context::{CallContext, Kv, WallClock};
pub use error::Error;
pub use log::{Level, Line, LogSink, TracingLog};
pub use sandbox::Sandbox;
pub use scan::Refusal;
pub use sink::{Directive, Sink, SinkError};
pub use source::{PartitionEnd, PlanRequest, ReadOutcome, ReadReport, ReadRequest, StreamInfo};
pub use usage::{CallUsage, Series};
