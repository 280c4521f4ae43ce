//! The store's promises, checked from outside: a conformance suite that any backend
//! runs, a model, and what only a file can do wrong.
#![expect(clippy::unwrap_used, reason = "tests")]

mod behaviours;
mod fixtures;
mod model;
mod queue_model;
mod service;
mod sqlite;
