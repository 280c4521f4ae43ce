//! Smoothed spending: the generic cell rate algorithm.

use super::brake::Brake;
use super::{Nanos, Spent, Wait};

/// One unit every `interval`, bursts up to `burst` units.
#[derive(Clone, Debug)]
pub struct Pace {
    full: u64,
    full_burst: u64,
    per: Nanos,
    interval: Nanos,
    burst: u64,
    /// The theoretical arrival time of the next unit.
    next: Nanos,
    pub(super) brake: Brake,
}

impl Pace {
    /// Starts empty: what was spent just before the start is not known.
    pub(super) fn new(capacity: u64, per: Nanos, burst: u64, now: Nanos) -> Self {
        let mut pace = Self {
            full: capacity,
            full_burst: burst,
            per,
            interval: 1,
            burst,
            next: 0,
            brake: Brake::OFF,
        };
        pace.set_ratio(1.0);
        pace.next = now.saturating_add(pace.interval.saturating_mul(burst));
        pace
    }

    pub(super) fn set_ratio(&mut self, ratio: f64) {
        let capacity = super::times(self.full, ratio);
        self.interval = self.per.div_ceil(capacity).max(1);
        self.burst = super::times(self.full_burst, ratio);
    }

    fn span(&self, now: Nanos, units: u64) -> Nanos {
        self.brake
            .of_interval(now, self.interval)
            .saturating_mul(units)
    }

    pub(super) fn check(&self, now: Nanos, units: u64) -> Result<(), Wait> {
        if units > self.burst {
            return Err(Wait::Never);
        }
        let after = self.next.max(now).saturating_add(self.span(now, units));
        let allowed_at = after.saturating_sub(self.span(now, self.burst));
        if allowed_at <= now {
            Ok(())
        } else {
            Err(Wait::Until(allowed_at))
        }
    }

    pub(super) fn commit(&mut self, now: Nanos, units: u64) {
        self.next = self.next.max(now).saturating_add(self.span(now, units));
    }

    /// What was reserved and not taken is given back, but for what has drained since:
    /// that has made room for others already.
    pub(super) fn answered(&mut self, now: Nanos, reserved: Spent, actual: u64) {
        if actual > reserved.units {
            self.commit(now, actual - reserved.units);
            return;
        }
        let drained = now.saturating_sub(reserved.at);
        let of_units = |units: u64| self.interval.saturating_mul(units);
        let still_there = of_units(reserved.units).saturating_sub(drained);
        let back = of_units(reserved.units - actual).min(still_there);
        self.next = self.next.saturating_sub(back);
    }

    pub(super) fn learn(&mut self, now: Nanos, remaining: u64) {
        let spent = self.burst.saturating_sub(remaining);
        self.next = self.next.max(now.saturating_add(self.span(now, spent)));
    }

    pub(super) fn is_recovered(&self, now: Nanos) -> bool {
        self.next <= now && self.brake.is_off(now)
    }

    /// The burst and what of it is spent.
    pub(super) fn gauge(&self, now: Nanos) -> (u64, u64) {
        let interval = self.span(now, 1).max(1);
        let spent = self.next.saturating_sub(now).div_ceil(interval);
        (self.burst, spent.min(self.burst))
    }
}
