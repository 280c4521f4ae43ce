//! Landing against real files, real directories and real S3 servers.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "a suite says on which targets it ran")]

mod encode;
mod faults;
mod places;
mod protocol;
mod schemas;
mod tabular;
mod target;
mod world;
