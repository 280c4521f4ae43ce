//! One rolling rate window, and the exact record of how close a client came to it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What headers show when limits are off.
pub(crate) const UNLIMITED: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Requests let through, within the window.
    admitted: VecDeque<Instant>,
    /// All requests, within the window.
    arrived: VecDeque<Instant>,
    arrived_max: u64,
    /// When a `Retry-After` starts to bind, and until when.
    hold: Option<(Instant, Instant)>,
}

impl Window {
    /// Counts an arrival; true if a `Retry-After` forbade it.
    pub(crate) fn arrive(&mut self, now: Instant, span: Duration) -> bool {
        for queue in [&mut self.admitted, &mut self.arrived] {
            while queue.front().is_some_and(|at| now - *at >= span) {
                queue.pop_front();
            }
        }
        self.arrived.push_back(now);
        self.arrived_max = self.arrived_max.max(self.arrived.len() as u64);
        self.hold
            .is_some_and(|(from, until)| (from..until).contains(&now))
    }

    /// Lets the request that has arrived through.
    pub(crate) fn admit(&mut self, now: Instant) {
        self.admitted.push_back(now);
    }

    /// Requests let through within the window, as of the last arrival.
    pub(crate) fn used(&self) -> u64 {
        self.admitted.len() as u64
    }

    /// Requests let through within a shorter span, counted up to a thousand.
    pub(crate) fn used_within(&self, now: Instant, span: Duration) -> u64 {
        let recent = self.admitted.iter().rev();
        let recent = recent.take_while(|at| now - **at < span).take(1000);
        recent.count() as u64
    }

    /// When the oldest request that still counts leaves the window.
    pub(crate) fn frees_at(&self, span: Duration) -> Option<Instant> {
        self.admitted.front().map(|at| *at + span)
    }

    /// An answer told the client to stay away: arrivals between these times are
    /// counted.
    pub(crate) fn hold(&mut self, from: Instant, until: Instant) {
        self.hold = Some((from, until));
    }

    /// Most arrivals in any one window, refused ones included.
    pub(crate) fn arrived_max(&self) -> u64 {
        self.arrived_max
    }

    /// Forgets the observations, not what counts towards the limit.
    pub(crate) fn reset_observed(&mut self) {
        self.arrived.clear();
        self.arrived_max = 0;
    }
}

/// A limit under the factor that the simulator was told; `None` and infinity are none.
pub(crate) fn scaled(limit: u32, scale: Option<f64>) -> u64 {
    match scale {
        Some(scale) if scale.is_finite() => {
            let scaled = (f64::from(limit) * scale).max(1.0);
            // Far below 2^52, so the conversion is exact.
            (scaled as u64).min(UNLIMITED)
        }
        _ => UNLIMITED,
    }
}
