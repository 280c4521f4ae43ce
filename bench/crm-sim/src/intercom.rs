//! The Intercom API: its wire shapes, OAuth, rate limits and failures.

mod account;
mod catalog;
mod company;
mod config;
mod contact;
mod conversation;
mod counters;
mod cursor;
mod field;
mod http;
mod kind;
mod limits;
mod problem;
mod schema;
mod scroll;
mod search;
mod simulator;
mod version;
mod webhooks;

pub use crate::clock::{Clock, iso};
pub use crate::faults::{Fault, When, WrongJson};
pub use crate::journal::Seen;
pub use crate::outbox::Delivery;
pub use crate::truth::RecordVersion;
pub use config::Config;
pub use counters::{Counters, PathKind};
pub use kind::Kind;
pub use simulator::IntercomSim;

/// A fault with the requests it strikes.
pub type Rule = crate::faults::Rule<PathKind>;
