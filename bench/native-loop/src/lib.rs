//! What loops by hand share: one keep-alive connection to the source, and what the kernel
//! says that they cost.

pub mod connection;
pub mod usage;
