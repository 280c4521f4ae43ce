//! The Salesforce APIs: streaming.

mod cometd;

pub use cometd::{Order, StreamCounters, Topic};
