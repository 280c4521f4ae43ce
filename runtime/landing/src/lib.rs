//! Batch -> file -> object -> commit log: how rows become visible exactly once.

pub mod page;
pub mod target;
