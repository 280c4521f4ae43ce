//! The Salesforce platform API: OAuth, REST, SOQL, replication, bulk jobs and writes.

mod bulk;
mod cometd;
mod config;
mod control;
mod counters;
mod cursors;
mod feed;
mod http;
mod limits;
mod lookup;
mod oauth;
mod object;
mod org;
mod problem;
mod schema;
mod simulator;
mod soql;
mod stream;
mod values;
mod wire_id;
mod write;

pub use crate::clock::{Clock, iso};
pub use crate::faults::{Fault, When, WrongJson};
pub use crate::journal::Seen;
pub use crate::meter::Tally;
pub use crate::tokens::TokenPair;
pub use crate::truth::RecordVersion;
pub use cometd::{Order, StreamCounters, Topic};
pub use config::Config;
pub use counters::{Counters, PathKind};
pub use object::Object;
pub use schema::{ExtraField, FieldType};
pub use simulator::Salesforce;

/// A fault with the requests it strikes.
pub type Rule = crate::faults::Rule<PathKind>;
