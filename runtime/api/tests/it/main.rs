//! The API from outside: a real server on loopback, a real database.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "walks say what they covered")]

mod apply;
mod client;
mod documents;
mod flow;
mod follow;
mod jobs;
mod keys;
mod openapi;
mod problems;
mod repeats;
mod schemas;
mod secrets;
mod server;
mod site;
mod subscriptions;
mod walk;
