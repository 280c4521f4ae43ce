//! What a simulator saw, counted on its own account.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::generate::mix;

/// What every API counts; `P` is the API's own division of its paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "P: Ord + Deserialize<'de>"))]
pub struct Tally<P: Ord> {
    /// Requests by path kind; kinds never asked for are absent.
    pub requests: BTreeMap<P, u64>,
    /// All requests together.
    pub requests_total: u64,
    /// Body bytes sent, after compression.
    pub body_bytes: u64,
    /// Records sent in pages of lists, queries and searches.
    pub records: u64,
    /// Responses that a limit or a fault refused for their rate.
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
}

impl<P: Ord> Default for Tally<P> {
    fn default() -> Tally<P> {
        Tally {
            requests: BTreeMap::new(),
            requests_total: 0,
            body_bytes: 0,
            records: 0,
            throttled: 0,
            faulted: 0,
            unauthorized: 0,
            codes_exchanged: 0,
            refreshes: 0,
            refreshes_refused: 0,
            in_flight_max: 0,
        }
    }
}

/// The live counters.
#[derive(Debug)]
pub(crate) struct Meter<P> {
    requests: Mutex<BTreeMap<P, u64>>,
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
pub(crate) struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<P> Default for Meter<P> {
    fn default() -> Meter<P> {
        Meter {
            requests: Mutex::default(),
            in_flight: AtomicU64::default(),
            in_flight_max: AtomicU64::default(),
            serial: AtomicU64::default(),
            body_bytes: AtomicU64::default(),
            records: AtomicU64::default(),
            throttled: AtomicU64::default(),
            faulted: AtomicU64::default(),
            unauthorized: AtomicU64::default(),
            codes_exchanged: AtomicU64::default(),
            refreshes: AtomicU64::default(),
            refreshes_refused: AtomicU64::default(),
        }
    }
}

impl<P: Copy + Ord> Meter<P> {
    pub(crate) fn begin(&self, kind: P) -> InFlight<'_> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(kind).or_default() += 1;
        drop(requests);
        let now = self.in_flight.fetch_add(1, Ordering::AcqRel) + 1;
        self.in_flight_max.fetch_max(now, Ordering::AcqRel);
        InFlight(&self.in_flight)
    }

    /// A number that nothing else in this simulator has.
    pub(crate) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// A UUID that nothing else has, the same in every run.
    pub(crate) fn uuid(&self) -> String {
        let serial = self.serial();
        let (high, low) = (mix(serial), mix(!serial));
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }

    pub(crate) fn tally(&self) -> Tally<P> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        Tally {
            requests_total: requests.values().sum(),
            requests: requests.clone(),
            body_bytes: read(&self.body_bytes),
            records: read(&self.records),
            throttled: read(&self.throttled),
            faulted: read(&self.faulted),
            unauthorized: read(&self.unauthorized),
            codes_exchanged: read(&self.codes_exchanged),
            refreshes: read(&self.refreshes),
            refreshes_refused: read(&self.refreshes_refused),
            in_flight_max: read(&self.in_flight_max),
        }
    }

    pub(crate) fn reset(&self) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.clear();
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
        for counter in counters {
            counter.store(0, Ordering::Release);
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
