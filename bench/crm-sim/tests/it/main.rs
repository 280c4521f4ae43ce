//! The simulators over real loopback HTTP.

#![expect(clippy::unwrap_used, reason = "tests")]

mod clients;
mod hubspot;
mod intercom;
mod leadsquared;
mod pipedrive;
mod receiver;
mod salesforce;
