//! The simulator over real loopback HTTP.

#![expect(clippy::unwrap_used, reason = "tests")]

mod client;
mod control;
mod edits;
mod faults;
mod journal;
mod limits;
mod lists;
mod oauth;
mod official_client;
mod search;
mod writes;
