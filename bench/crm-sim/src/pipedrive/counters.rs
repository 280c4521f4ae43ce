//! What the simulator saw, counted on its own account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meter::Tally;
use crate::pipedrive::limits::Observed;

/// The sort of path that a request asked for; faults select by it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// The OAuth consent page.
    Authorize,
    /// The token endpoint and revocation.
    Token,
    /// A page of a list of records.
    List,
    /// One record.
    Read,
    /// A page of a search.
    Search,
    /// A write of one or of several records.
    Write,
    /// Field definitions.
    Fields,
    /// Users, pipelines, stages, filters, currencies.
    Account,
    /// Subscriptions to changes.
    Webhooks,
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
    /// Records sent in pages of lists and searches.
    pub records: u64,
    /// Responses with status 429, limits and faults together.
    pub throttled: u64,
    /// Responses of the edge to a client that it bars.
    pub barred: u64,
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
    /// Most requests of one client that arrived within any two seconds, refused ones
    /// included.
    pub two_second_max: u64,
    /// Most searches that arrived within any two seconds, refused ones included.
    pub search_two_second_max: u64,
    /// Units spent of the company's daily budget.
    pub tokens_spent: u64,
    /// Requests that arrived while a `Retry-After` for them was in force.
    pub during_retry_after: u64,
}

impl Counters {
    pub(crate) fn new(tally: Tally<PathKind>, observed: Observed) -> Counters {
        Counters {
            requests: tally.requests,
            requests_total: tally.requests_total,
            body_bytes: tally.body_bytes,
            records: tally.records,
            throttled: tally.throttled,
            barred: observed.barred,
            faulted: tally.faulted,
            unauthorized: tally.unauthorized,
            codes_exchanged: tally.codes_exchanged,
            refreshes: tally.refreshes,
            refreshes_refused: tally.refreshes_refused,
            in_flight_max: tally.in_flight_max,
            two_second_max: observed.burst_max,
            search_two_second_max: observed.search_max,
            tokens_spent: observed.tokens_spent,
            during_retry_after: observed.during_retry_after,
        }
    }
}
