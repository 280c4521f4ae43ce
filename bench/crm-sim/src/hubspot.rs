//! The HubSpot CRM API: its wire shapes, OAuth, rate limits and failures.

mod account;
mod associations;
mod config;
mod control;
mod counters;
mod http;
mod kind;
mod limits;
mod merging;
mod oauth;
mod problem;
mod records;
mod render;
mod schema;
mod search;
mod simulator;
mod webhooks;

pub use crate::clock::{Clock, iso};
pub use crate::faults::{Fault, When, WrongJson};
pub use crate::journal::Seen;
pub use crate::tokens::TokenPair;
pub use crate::truth::RecordVersion;
pub use config::{Config, CustomType, Plan};
pub use counters::{Counters, PathKind};
pub use kind::Kind;
pub use schema::{ExtraProperty, PropertyChange, PropertyType};
pub use simulator::CrmSim;
pub use webhooks::Delivery;

/// A fault with the requests it strikes.
pub type Rule = crate::faults::Rule<PathKind>;
