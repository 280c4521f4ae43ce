//! Jobs through the real parts: a store, a connector in the sandbox, a simulated CRM
//! and a directory. One module per topic.
#![expect(clippy::unwrap_used, reason = "tests")]

mod drift;
mod history;
mod jobs;
mod outbox;
mod park;
mod pause;
mod plant;
mod schedules;
mod takeover;
mod targets;
