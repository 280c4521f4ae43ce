//! The Salesforce simulator, over loopback HTTP.

mod bulk;
mod client;
mod control;
mod describe;
mod ingest;
mod limits;
mod oauth;
mod query;
mod replication;
mod streaming;
mod third_party_client;
mod writes;
