//! The Intercom simulator.

mod auth;
mod client;
mod companies;
mod control;
mod conversations;
mod faults;
mod limits;
mod lists;
mod official_client;
mod search;
mod webhooks;
mod writes;
