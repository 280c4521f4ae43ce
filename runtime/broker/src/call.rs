//! What one guest call may spend, and what it spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_store::flow::RequestOrigin;
use tokio_util::sync::CancellationToken;

/// The frame of one guest call: how long it may take, who may stop it, and where
/// its use is counted.
#[derive(Clone, Debug)]
pub struct Call {
    /// Nothing of the call goes on after this.
    pub deadline: tokio::time::Instant,
    /// Stops the call.
    pub cancel: CancellationToken,
    /// Counts what the call used.
    pub meter: Arc<Meter>,
    /// What its requests are recorded under.
    pub origin: Option<Arc<RequestOrigin>>,
}

/// Counters of use. Relaxed: they are read for attribution, never to decide.
#[derive(Debug, Default)]
pub struct Meter {
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) limit_waits: AtomicU64,
    pub(crate) limit_wait_ms: AtomicU64,
    pub(crate) refreshes: AtomicU64,
}

/// What was used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Requests that were sent, retries included.
    pub requests: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Bytes of bodies as they came, before decompression.
    pub bytes_received: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Requests that had to wait for a limit.
    pub limit_waits: u64,
    /// Milliseconds spent in those waits.
    pub limit_wait_ms: u64,
    /// Token refreshes that a request set off.
    pub refreshes: u64,
}

impl Meter {
    /// The counters now.
    pub fn usage(&self) -> Usage {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            requests: read(&self.requests),
            retries: read(&self.retries),
            bytes_received: read(&self.bytes_received),
            bytes_sent: read(&self.bytes_sent),
            limit_waits: read(&self.limit_waits),
            limit_wait_ms: read(&self.limit_wait_ms),
            refreshes: read(&self.refreshes),
        }
    }
}

/// The meters of a call and of its session, counted together.
#[derive(Clone, Copy)]
pub(crate) struct Meters<'a>(pub(crate) [&'a Meter; 2]);

/// Counts one try apart, and for its session when it ends.
pub(crate) struct Tally<'a> {
    pub(crate) own: Meter,
    session: &'a Meter,
}

impl<'a> Meters<'a> {
    /// The same meters, with a try's own between.
    pub(crate) fn tally(self) -> Tally<'a> {
        Tally {
            own: Meter::default(),
            session: self.0[0],
        }
    }

    pub(crate) fn through(self, tally: &'a Tally<'a>) -> Meters<'a> {
        Meters([&tally.own, self.0[1]])
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        let pairs = [
            (&self.own.requests, &self.session.requests),
            (&self.own.bytes_sent, &self.session.bytes_sent),
            (&self.own.bytes_received, &self.session.bytes_received),
        ];
        for (own, session) in pairs {
            session.fetch_add(own.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl Meters<'_> {
    pub(crate) fn add(self, counter: impl Fn(&Meter) -> &AtomicU64, units: u64) {
        for meter in self.0 {
            counter(meter).fetch_add(units, Ordering::Relaxed);
        }
    }
}
