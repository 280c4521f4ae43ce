//! The HubSpot simulator.

pub(crate) mod client;
mod control;
mod edits;
mod faults;
mod histories;
mod journal;
mod limits;
mod lists;
mod merges;
mod oauth;
mod official_client;
mod own_types;
mod search;
mod webhooks;
mod writes;
