//! The search endpoint's semantics: what a request means, which records match,
//! in which order, and how many there are.

mod bounds;
mod filter;
mod index;
mod matches;
mod order;
mod request;

pub(crate) use index::{Index, Quirks};
pub(crate) use request::{SearchRequest, compile};

/// Results past this many cannot be reached by paging.
pub(crate) const RESULTS_MAX: usize = 10_000;
/// Records in one page at most.
pub(crate) const PAGE_MAX: usize = 200;
