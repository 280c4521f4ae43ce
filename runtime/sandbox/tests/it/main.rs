//! The sandbox against real guests, a real store, a real broker and a real socket.
#![expect(clippy::unwrap_used, reason = "tests")]

mod admission;
mod bench;
mod compiling;
mod hostile;
mod memory;
mod reading;
mod server;
