//! A strict simulator of the HubSpot CRM API: its wire shapes, OAuth, rate
//! limits and failures, over up to ten million deterministic records.
//!
//! It knows nothing of Tidegate, and Tidegate's connectors cannot tell it from
//! the real thing. It counts on its own account, so that a test can prove what
//! a client did instead of asking the client.

#![warn(missing_docs)]

mod account;
mod clock;
mod config;
mod control;
mod counters;
mod faults;
mod generate;
mod http;
mod journal;
mod kind;
mod limits;
mod oauth;
mod overlay;
mod problem;
mod records;
mod render;
mod schema;
mod search;
mod simulator;
mod truth;

pub use clock::{Clock, iso};
pub use config::{Config, Plan};
pub use counters::{Counters, PathKind};
pub use faults::{Fault, Rule, When, WrongJson};
pub use journal::Seen;
pub use kind::Kind;
pub use schema::{ExtraProperty, PropertyChange, PropertyType};
pub use simulator::{CrmSim, TokenPair};
pub use truth::RecordVersion;
