//! The Pipedrive simulator.

mod client;
mod limits;
mod lists;
mod oauth;
mod official_client;
mod webhooks;
mod writes;
