//! What the whole product promises, tested through its binary and its library
//! crates; one binary, so that it links once. One module per topic.
#![expect(clippy::unwrap_used, reason = "tests")]

mod apply;
mod as_code;
mod bad_input;
mod bodies;
mod canaries;
mod crash;
mod endpoint;
mod guests;
mod hubspot;
mod intercom;
mod kills;
mod leadsquared;
mod limits;
mod live;
mod oauth;
mod pipedrive;
mod salesforce;
mod serve;
mod service;
mod site;
mod telemetry;
mod tidy;
mod truth;
mod volume;
