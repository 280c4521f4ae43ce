//! The broker against real loopback servers and a real database.
#![expect(clippy::unwrap_used, reason = "tests")]

mod addresses;
mod assertions;
mod bodies;
mod egress;
mod faulty;
mod fixture;
mod flow;
mod grant_life;
mod grants;
mod hostile;
mod in_flight;
mod keyring;
mod limits;
mod names;
mod pools;
mod refresh_kills;
mod refresh_model;
mod secrets;
mod server;
mod sharing;
mod smuggling;
mod swapped;
mod tls;
mod token_endpoint;
mod traced;
mod traces;
mod wrapping;
