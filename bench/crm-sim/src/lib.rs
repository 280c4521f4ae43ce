//! Strict simulators of CRM APIs: their wire shapes, OAuth, rate limits and
//! failures, over up to ten million deterministic records. One module per API.
//!
//! They know nothing of Tidegate, and Tidegate's connectors cannot tell them
//! from the real thing. They count on their own account, so that a test can
//! prove what a client did instead of asking the client.

#![warn(missing_docs)]

mod clock;
mod generate;
pub mod hubspot;
mod journal;
mod overlay;
mod server;
