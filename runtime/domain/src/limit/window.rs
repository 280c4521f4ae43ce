//! Never more than the capacity in any window.

use super::brake::Brake;
use super::{MS, Nanos, Wait};
use std::collections::VecDeque;

/// Entries that a window keeps, at the most: units answered within one part of the
/// window leave it together, with the last of them. So a window of 24 hours takes no
/// more memory than one of ten seconds.
const PARTS: u64 = 1024;
/// What others spent is what the provider last said; but for so long the most that it
/// said, since its own figures go up and down.
const HOLD: Nanos = 60_000 * MS;

/// An exact rolling window.
#[derive(Clone, Debug)]
pub struct Window {
    full: u64,
    capacity: u64,
    per: Nanos,
    in_flight: u64,
    /// When units leave the window, and how many; ascending.
    leaving: VecDeque<(Nanos, u64)>,
    /// The sum of `leaving`.
    answered: u64,
    others: Others,
    pub(super) brake: Brake,
}

/// What other clients of the account spent, as far as the provider's headers tell.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    /// The most said since `since`, and in the hold before.
    units: [u64; 2],
    since: Nanos,
    /// When all of it must have left the window.
    until: Nanos,
}

impl Window {
    /// An empty window.
    pub(super) fn new(capacity: u64, per: Nanos) -> Self {
        Self {
            full: capacity,
            capacity,
            per,
            in_flight: 0,
            leaving: VecDeque::new(),
            answered: 0,
            others: Others::default(),
            brake: Brake::OFF,
        }
    }

    pub(super) fn set_ratio(&mut self, ratio: f64) {
        self.capacity = super::times(self.full, ratio);
    }

    fn forget(&mut self, now: Nanos) {
        while let Some(&(at, units)) = self.leaving.front()
            && at <= now
        {
            self.answered -= units;
            self.leaving.pop_front();
        }
        if self.others.until <= now {
            self.others = Others::default();
        }
    }

    fn own(&self) -> u64 {
        self.answered + self.in_flight
    }

    fn others(&self) -> u64 {
        self.others.units.into_iter().max().unwrap_or(0)
    }

    pub(super) fn check(&mut self, now: Nanos, units: u64) -> Result<(), Wait> {
        self.forget(now);
        if units > self.capacity {
            return Err(Wait::Never);
        }
        // A large request passes a pulled brake when nothing else is in the window.
        let capacity = self.brake.of_capacity(now, self.capacity).max(units);
        let asked = self
            .own()
            .saturating_add(self.others())
            .saturating_add(units);
        let mut excess = asked.saturating_sub(capacity);
        if excess == 0 {
            return Ok(());
        }
        let others = (self.others.until, self.others());
        let mut left_others = others.1 == 0;
        for &(at, leaving) in &self.leaving {
            if !left_others && others.0 <= at {
                left_others = true;
                excess = excess.saturating_sub(others.1);
                if excess == 0 {
                    return Err(Wait::Until(others.0));
                }
            }
            excess = excess.saturating_sub(leaving);
            if excess == 0 {
                return Err(Wait::Until(at));
            }
        }
        if !left_others && excess <= others.1 {
            return Err(Wait::Until(others.0));
        }
        Err(Wait::Answer)
    }

    pub(super) fn commit(&mut self, units: u64) {
        self.in_flight += units;
    }

    pub(super) fn answered(&mut self, now: Nanos, reserved: u64, actual: u64) {
        self.in_flight = self.in_flight.saturating_sub(reserved);
        self.leave_after(now, actual);
    }

    pub(super) fn returned(&mut self, units: u64) {
        self.in_flight = self.in_flight.saturating_sub(units);
    }

    /// Another client of the account spends, too: what the provider counts beyond
    /// ours fills the window, until it says otherwise or one window has passed.
    pub(super) fn learn(&mut self, now: Nanos, remaining: u64) {
        self.forget(now);
        let counted = self.capacity.saturating_sub(remaining);
        let units = counted.saturating_sub(self.own());
        let hold = HOLD.min(self.per);
        if now.saturating_sub(self.others.since) >= hold {
            let stale = now.saturating_sub(self.others.since) >= 2 * hold;
            let before = if stale { 0 } else { self.others.units[0] };
            self.others.units = [units, before];
            self.others.since = now;
        } else {
            self.others.units[0] = self.others.units[0].max(units);
        }
        if units > 0 {
            self.others.until = now.saturating_add(self.per);
        }
    }

    pub(super) fn restore(&mut self, spent_by: Nanos, units: u64) {
        self.leave_after(spent_by, units);
    }

    /// Rounded up to a part of the window, so that the list stays short.
    fn leave_after(&mut self, now: Nanos, units: u64) {
        if units == 0 {
            return;
        }
        let part = (self.per / PARTS).max(1);
        let at = now
            .saturating_add(self.per)
            .div_ceil(part)
            .saturating_mul(part);
        let at = self.leaving.back().map_or(at, |&(last, _)| at.max(last));
        self.answered += units;
        match self.leaving.back_mut() {
            Some((last, together)) if *last == at => *together += units,
            _ => self.leaving.push_back((at, units)),
        }
    }

    pub(super) fn is_recovered(&mut self, now: Nanos) -> bool {
        self.forget(now);
        self.own() == 0 && self.others() == 0 && self.brake.is_off(now)
    }

    /// Capacity and what is spent of it.
    pub(super) fn gauge(&mut self, now: Nanos) -> (u64, u64) {
        self.forget(now);
        let capacity = self.brake.of_capacity(now, self.capacity);
        (capacity, self.own().saturating_add(self.others()))
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.leaving.len()
    }
}
