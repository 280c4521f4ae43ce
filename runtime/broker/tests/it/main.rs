//! The broker against real loopback servers and a real database.
#![expect(clippy::unwrap_used, reason = "tests")]

mod addresses;
mod bodies;
mod egress;
mod faulty;
mod fixture;
mod grants;
mod hostile;
mod keyring;
mod limits;
mod names;
mod pools;
mod secrets;
mod server;
mod tls;
