//! The simulators over real loopback HTTP.

#![expect(clippy::unwrap_used, reason = "tests")]

mod hubspot;
mod pipedrive;
mod salesforce;
