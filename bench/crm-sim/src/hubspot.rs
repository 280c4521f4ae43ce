//! The HubSpot CRM API: its wire shapes, OAuth, rate limits and failures.

mod account;
mod config;
mod control;
mod counters;
mod faults;
mod http;
mod kind;
mod limits;
mod oauth;
mod problem;
mod records;
mod render;
mod schema;
mod search;
mod simulator;
mod truth;

pub use crate::clock::{Clock, iso};
pub use crate::journal::Seen;
pub use config::{Config, Plan};
pub use counters::{Counters, PathKind};
pub use faults::{Fault, Rule, When, WrongJson};
pub use kind::Kind;
pub use schema::{ExtraProperty, PropertyChange, PropertyType};
pub use simulator::{CrmSim, TokenPair};
pub use truth::RecordVersion;
