//! Never more than the capacity in any window.

use super::{Nanos, Wait};
use std::collections::VecDeque;

/// Entries that a window keeps, at the most: units answered within one part of the
/// window leave it together, with the last of them.
const PARTS: u64 = 1024;

/// An exact rolling window.
#[derive(Clone, Debug)]
pub struct Window {
    capacity: u64,
    per: Nanos,
    in_flight: u64,
    /// When units leave the window, and how many; ascending.
    leaving: VecDeque<(Nanos, u64)>,
    /// The sum of `leaving`.
    answered: u64,
}

impl Window {
    /// An empty window.
    pub fn new(capacity: u64, per: Nanos) -> Self {
        Self {
            capacity,
            per,
            in_flight: 0,
            leaving: VecDeque::new(),
            answered: 0,
        }
    }

    fn forget(&mut self, now: Nanos) {
        while let Some(&(at, units)) = self.leaving.front()
            && at <= now
        {
            self.answered -= units;
            self.leaving.pop_front();
        }
    }

    fn used(&self) -> u64 {
        self.answered + self.in_flight
    }

    pub(super) fn used_of(&self) -> (u64, u64) {
        (self.used(), self.capacity)
    }

    pub(super) fn check(&mut self, now: Nanos, units: u64) -> Result<(), Wait> {
        self.forget(now);
        if units > self.capacity {
            return Err(Wait::Never);
        }
        let mut excess = (self.used() + units).saturating_sub(self.capacity);
        if excess == 0 {
            return Ok(());
        }
        for &(at, leaving) in &self.leaving {
            excess = excess.saturating_sub(leaving);
            if excess == 0 {
                return Err(Wait::Until(at));
            }
        }
        Err(Wait::Answer)
    }

    pub(super) fn commit(&mut self, units: u64) {
        self.in_flight += units;
    }

    pub(super) fn answered(&mut self, now: Nanos, units: u64) {
        self.in_flight = self.in_flight.saturating_sub(units);
        self.leave_after(now, units);
    }

    pub(super) fn returned(&mut self, units: u64) {
        self.in_flight = self.in_flight.saturating_sub(units);
    }

    /// Another client of the account spends, too: what the provider counts beyond
    /// ours fills the window until it must have left it.
    pub(super) fn learn(&mut self, now: Nanos, remaining: u64) {
        self.forget(now);
        let counted = self.capacity.saturating_sub(remaining);
        self.leave_after(now, counted.saturating_sub(self.used()));
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
}
