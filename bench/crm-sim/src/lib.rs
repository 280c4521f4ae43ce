//! Strict simulators of CRM APIs: their wire shapes, OAuth, rate limits and
//! failures, over up to ten million deterministic records. One module per API.
//!
//! They know nothing of Tidegate, and Tidegate's connectors cannot tell them
//! from the real thing. They count on their own account, so that a test can
//! prove what a client did instead of asking the client.

#![warn(missing_docs)]
#![allow(
    dead_code,
    unused_imports,
    reason = "some of what the simulators share has only one user until the next of them is here"
)]

mod body;
mod clock;
mod control;
mod faults;
mod generate;
pub mod hubspot;
pub mod intercom;
mod journal;
mod json;
pub mod leadsquared;
mod meter;
mod outbox;
mod overlay;
pub mod pipedrive;
mod records;
mod reply;
pub mod salesforce;
mod server;
mod simulator;
mod tokens;
mod truth;
mod window;

pub use simulator::{Current, Ended, Simulator};
