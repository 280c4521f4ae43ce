//! Slower after a refusal, and back to full speed with time.

use super::{MS, Nanos};

/// Parts of a whole capacity.
const WHOLE: u64 = 1_000;
/// Refusals never slow down further than to this.
const LEAST: u64 = 31;
/// What comes back in a minute: 5 %.
const BACK_IN_A_MINUTE: u64 = 50;
const MINUTE: Nanos = 60_000 * MS;

/// How much of a capacity is used: half after each refusal, and 5 % more of the whole
/// with every minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brake {
    parts: u64,
    since: Nanos,
}

impl Brake {
    pub(super) const OFF: Brake = Brake {
        parts: WHOLE,
        since: 0,
    };

    fn parts(self, now: Nanos) -> u64 {
        let minutes = u128::from(now.saturating_sub(self.since)) * u128::from(BACK_IN_A_MINUTE)
            / u128::from(MINUTE);
        let back = u64::try_from(minutes).unwrap_or(WHOLE);
        self.parts.saturating_add(back).min(WHOLE)
    }

    pub(super) fn pull(&mut self, now: Nanos) {
        self.parts = (self.parts(now) / 2).max(LEAST);
        self.since = now;
    }

    pub(super) fn is_off(self, now: Nanos) -> bool {
        self.parts(now) == WHOLE
    }

    /// What of a capacity may be used; one unit at the least.
    pub(super) fn of_capacity(self, now: Nanos, capacity: u64) -> u64 {
        (capacity.saturating_mul(self.parts(now)) / WHOLE).max(1)
    }

    /// How long an interval gets.
    pub(super) fn of_interval(self, now: Nanos, interval: Nanos) -> Nanos {
        interval.saturating_mul(WHOLE) / self.parts(now)
    }
}
