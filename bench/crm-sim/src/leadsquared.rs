//! The LeadSquared API: its wire shapes, keys, rate limits and failures. Written from
//! descriptions alone: no recorded traffic and no client that runs here stands behind it.

mod account;
mod catalog;
mod config;
mod counters;
mod dates;
mod field;
mod http;
mod kind;
mod limits;
mod problem;
mod render;
mod schema;
mod simulator;
mod window;

pub use crate::clock::{Clock, iso};
pub use crate::faults::{Fault, When, WrongJson};
pub use crate::journal::Seen;
pub use crate::truth::RecordVersion;
pub use config::{Config, RefusalForm};
pub use counters::{Counters, PathKind};
pub use kind::Kind;
pub use simulator::{KeyPair, LeadSquaredSim};

/// A fault with the requests it strikes.
pub type Rule = crate::faults::Rule<PathKind>;
