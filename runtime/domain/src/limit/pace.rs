//! Smoothed spending: the generic cell rate algorithm.

use super::{Nanos, Wait};

/// One unit every `interval`, bursts up to `burst` units.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Nanos,
    burst: u64,
    /// The theoretical arrival time of the next unit.
    next: Nanos,
}

impl Pace {
    /// Starts empty: what was spent just before the start is not known.
    pub fn new(capacity: u64, per: Nanos, burst: u64, now: Nanos) -> Self {
        let interval = per.div_ceil(capacity.max(1)).max(1);
        let next = now.saturating_add(interval.saturating_mul(burst));
        Self {
            interval,
            burst,
            next,
        }
    }

    fn span(&self, units: u64) -> Nanos {
        self.interval.saturating_mul(units)
    }

    /// Of the burst, and how much that is.
    pub(super) fn used(&self, now: Nanos) -> (u64, u64) {
        let ahead = self.next.saturating_sub(now);
        (ahead.div_ceil(self.interval), self.burst)
    }

    pub(super) fn check(&self, now: Nanos, units: u64) -> Result<(), Wait> {
        if units > self.burst {
            return Err(Wait::Never);
        }
        let after = self.next.max(now).saturating_add(self.span(units));
        let allowed_at = after.saturating_sub(self.span(self.burst));
        if allowed_at <= now {
            Ok(())
        } else {
            Err(Wait::Until(allowed_at))
        }
    }

    pub(super) fn commit(&mut self, now: Nanos, units: u64) {
        self.next = self.next.max(now).saturating_add(self.span(units));
    }

    pub(super) fn returned(&mut self, units: u64) {
        self.next = self.next.saturating_sub(self.span(units));
    }

    pub(super) fn learn(&mut self, now: Nanos, remaining: u64) {
        let spent = self.burst.saturating_sub(remaining);
        self.next = self.next.max(now.saturating_add(self.span(spent)));
    }
}
