//! The broker against real loopback servers and a real database.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod egress;
mod faulty;
mod fixture;
mod flow;
mod grants;
mod keyring;
mod limits;
mod secrets;
mod server;
mod tls;
