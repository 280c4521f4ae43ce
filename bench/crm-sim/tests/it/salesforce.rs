//! The Salesforce simulator, over loopback HTTP.

mod client;
mod control;
mod describe;
mod limits;
mod oauth;
mod query;
mod replication;
