//! What the simulator saw, counted on its own account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meter::Tally;

/// The sort of path that a request asked for; faults select by it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// The OAuth consent page.
    Authorize,
    /// The token endpoint, introspection and revocation.
    Token,
    /// A page of a list.
    List,
    /// One record.
    Read,
    /// A page of a search.
    Search,
    /// A write, single or batch, and batch reads.
    Batch,
    /// Associations, read or written.
    Associations,
    /// Settings and subscriptions of webhooks.
    Webhooks,
    /// Property definitions.
    Properties,
    /// Object schemas.
    Schemas,
    /// Account details and usage, owners, pipelines.
    Account,
    /// Anything that does not exist.
    Unknown,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Requests by path kind; kinds never asked for are absent.
    pub requests: BTreeMap<PathKind, u64>,
    /// All requests together.
    pub requests_total: u64,
    /// Body bytes sent, after compression.
    pub body_bytes: u64,
    /// Records sent in list and search pages.
    pub records: u64,
    /// Responses with status 429, limits and faults together.
    pub throttled: u64,
    /// Responses that a fault replaced or damaged.
    pub faulted: u64,
    /// Requests with an expired or unknown token.
    pub unauthorized: u64,
    /// Access tokens issued for an authorisation code.
    pub codes_exchanged: u64,
    /// Access tokens issued for a refresh token.
    pub refreshes: u64,
    /// Refreshes that tried a refresh token that is no longer valid.
    pub refreshes_refused: u64,
    /// Most requests under way at the same time.
    pub in_flight_max: u64,
    /// Most ordinary requests of one app that arrived within any ten seconds,
    /// refused ones included.
    pub ten_second_max: u64,
    /// Most searches that arrived within any second, refused ones included.
    pub search_second_max: u64,
    /// Requests that arrived while a `Retry-After` for them was in force.
    pub during_retry_after: u64,
}

impl From<Tally<PathKind>> for Counters {
    /// The counters without the window maxima, which belong to the limiter.
    fn from(tally: Tally<PathKind>) -> Counters {
        Counters {
            requests: tally.requests,
            requests_total: tally.requests_total,
            body_bytes: tally.body_bytes,
            records: tally.records,
            throttled: tally.throttled,
            faulted: tally.faulted,
            unauthorized: tally.unauthorized,
            codes_exchanged: tally.codes_exchanged,
            refreshes: tally.refreshes,
            refreshes_refused: tally.refreshes_refused,
            in_flight_max: tally.in_flight_max,
            ..Counters::default()
        }
    }
}
