//! The Pipedrive API in both of its versions: its wire shapes, OAuth, rate limits and
//! failures.

mod account;
mod config;
mod control;
mod counters;
mod http;
mod kind;
mod limits;
mod page;
mod problem;
mod render;
mod schema;
mod simulator;
mod users;
mod webhooks;
mod wire;

pub use crate::clock::{Clock, iso};
pub use crate::faults::{Fault, When, WrongJson};
pub use crate::journal::Seen;
pub use crate::outbox::Delivery;
pub use crate::tokens::TokenPair;
pub use crate::truth::RecordVersion;
pub use config::{Config, Plan};
pub use counters::{Counters, PathKind};
pub use kind::Kind;
pub use schema::{CustomField, FieldOption, FieldType};
pub use simulator::PipedriveSim;

use crate::generate::mix;

/// A fault with the requests it strikes.
pub type Rule = crate::faults::Rule<PathKind>;

/// The id of a lead on the wire.
pub fn lead_uuid(id: u64) -> String {
    let hash = mix(id);
    format!(
        "{:08x}-{:04x}-11ed-b{:03x}-{id:012x}",
        hash >> 32,
        (hash >> 16) & 0xffff,
        hash & 0xfff
    )
}

/// The lead that an id on the wire names.
pub(crate) fn parse_lead_uuid(text: &str) -> Option<u64> {
    let id = u64::from_str_radix(text.rsplit_once('-')?.1, 16).ok()?;
    (lead_uuid(id) == text).then_some(id)
}

/// The pipeline that a stage belongs to.
pub(crate) fn pipeline_of(stage: u64) -> u64 {
    let stages = u64::from(schema::STAGES);
    (stage.max(1) - 1) / stages + 1
}
