//! The HubSpot simulator.

pub(crate) mod client;
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
