//! What the simulator saw, counted on its own account.

use serde::{Deserialize, Serialize};

use crate::meter::Tally;

/// The sort of path that a request asked for; faults select by it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// The OAuth consent page.
    Authorize,
    /// The token endpoint and revocation.
    Token,
    /// Who the user is.
    Identity,
    /// Versions, resources, limits.
    Service,
    /// The list of objects, and descriptions of them.
    Describe,
    /// The first page of a query.
    Query,
    /// A further page of a query.
    QueryMore,
    /// `updated` and `deleted`.
    Replication,
    /// One record, its fields and its file.
    Read,
    /// A write of one record.
    Write,
    /// Writes of many records at once, and requests in requests.
    Composite,
    /// Bulk query jobs, apart from their results.
    BulkQuery,
    /// A page of the results of a bulk query.
    BulkResults,
    /// Bulk ingest jobs and their results.
    BulkIngest,
    /// The streaming API.
    Streaming,
    /// Anything that does not exist.
    Unknown,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// What every API counts.
    #[serde(flatten)]
    pub tally: Tally<PathKind>,
    /// Requests that count against the daily limit, in the last 24 hours of the
    /// simulated clock.
    pub daily_used: u64,
    /// Requests that came when the day's allocation was used up.
    pub daily_refused: u64,
    /// Most long requests under way at the same time.
    pub concurrent_max: u64,
    /// Requests that were refused for long ones under way.
    pub concurrent_refused: u64,
    /// Most API requests that arrived within any second, refused ones included.
    pub second_max: u64,
}
