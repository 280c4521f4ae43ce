//! What the simulator saw, counted on its own account.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

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
    /// Property definitions.
    Properties,
    /// Object schemas.
    Schemas,
    /// Account details and usage, owners, pipelines.
    Account,
    /// Anything that does not exist.
    Unknown,
}

const KINDS: [PathKind; 10] = [
    PathKind::Authorize,
    PathKind::Token,
    PathKind::List,
    PathKind::Read,
    PathKind::Search,
    PathKind::Batch,
    PathKind::Properties,
    PathKind::Schemas,
    PathKind::Account,
    PathKind::Unknown,
];

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

/// The live counters.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    requests: [AtomicU64; KINDS.len()],
    in_flight: AtomicU64,
    in_flight_max: AtomicU64,
    serial: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) faulted: AtomicU64,
    pub(crate) unauthorized: AtomicU64,
    pub(crate) codes_exchanged: AtomicU64,
    pub(crate) refreshes: AtomicU64,
    pub(crate) refreshes_refused: AtomicU64,
}

/// A request under way; ends when dropped.
pub(crate) struct InFlight<'a>(&'a Meter);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Meter {
    pub(crate) fn begin(&self, kind: PathKind) -> InFlight<'_> {
        if let Some(counter) = KINDS
            .iter()
            .position(|known| *known == kind)
            .and_then(|at| self.requests.get(at))
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let now = self.in_flight.fetch_add(1, Ordering::AcqRel) + 1;
        self.in_flight_max.fetch_max(now, Ordering::AcqRel);
        InFlight(self)
    }

    /// A number that no other request has.
    pub(crate) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// The counters; the window maxima belong to the limiter.
    pub(crate) fn snapshot(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let requests: BTreeMap<PathKind, u64> = KINDS
            .into_iter()
            .zip(self.requests.iter().map(read))
            .filter(|(_, count)| *count > 0)
            .collect();
        Counters {
            requests_total: requests.values().sum(),
            requests,
            body_bytes: read(&self.body_bytes),
            records: read(&self.records),
            throttled: read(&self.throttled),
            faulted: read(&self.faulted),
            unauthorized: read(&self.unauthorized),
            codes_exchanged: read(&self.codes_exchanged),
            refreshes: read(&self.refreshes),
            refreshes_refused: read(&self.refreshes_refused),
            in_flight_max: read(&self.in_flight_max),
            ..Counters::default()
        }
    }

    pub(crate) fn reset(&self) {
        let counters = [
            &self.in_flight_max,
            &self.body_bytes,
            &self.records,
            &self.throttled,
            &self.faulted,
            &self.unauthorized,
            &self.codes_exchanged,
            &self.refreshes,
            &self.refreshes_refused,
        ];
        for counter in self.requests.iter().chain(counters) {
            counter.store(0, Ordering::Release);
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
