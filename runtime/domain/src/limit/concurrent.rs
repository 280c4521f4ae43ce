//! Never more requests under way than the provider allows, as far as it may still work
//! on them.

use super::brake::Brake;
use super::{Nanos, Wait};

/// Requests in flight, to their last byte.
///
/// A request that nobody waits for any more, and one of a process that died, is under
/// way until the time that is said of it: the provider may not have noticed.
#[derive(Clone, Debug)]
pub struct Concurrent {
    full: u64,
    capacity: u64,
    in_flight: u64,
    /// Until when abandoned ones are under way, and how many; ascending.
    abandoned: Vec<(Nanos, u64)>,
    brake: Brake,
}

impl Concurrent {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            full: capacity,
            capacity,
            in_flight: 0,
            abandoned: Vec::new(),
            brake: Brake::OFF,
        }
    }

    pub(super) fn set_ratio(&mut self, ratio: f64) {
        self.capacity = super::times(self.full, ratio);
    }

    fn forget(&mut self, now: Nanos) {
        self.abandoned.retain(|(until, _)| *until > now);
    }

    fn under_way(&self) -> u64 {
        let abandoned = self.abandoned.iter().map(|(_, units)| *units);
        abandoned.fold(self.in_flight, u64::saturating_add)
    }

    pub(super) fn check(&mut self, now: Nanos) -> Result<(), Wait> {
        self.forget(now);
        let capacity = self.brake.of_capacity(now, self.capacity);
        let mut excess = (self.under_way() + 1).saturating_sub(capacity);
        if excess == 0 {
            return Ok(());
        }
        if self.in_flight > 0 {
            // Which of them ends first is not known.
            return Err(Wait::Answer);
        }
        for (until, units) in &self.abandoned {
            excess = excess.saturating_sub(*units);
            if excess == 0 {
                return Err(Wait::Until(*until));
            }
        }
        Err(Wait::Answer)
    }

    pub(super) fn commit(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn finished(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn abandoned(&mut self, until: Nanos) {
        self.finished();
        self.restore(until, 1);
    }

    pub(super) fn restore(&mut self, until: Nanos, units: u64) {
        let at = self.abandoned.partition_point(|(other, _)| *other < until);
        match self.abandoned.get_mut(at) {
            Some((other, together)) if *other == until => *together += units,
            _ => self.abandoned.insert(at, (until, units)),
        }
    }

    pub(super) fn slow_down(&mut self, now: Nanos) {
        self.brake.pull(now);
    }

    pub(super) fn is_recovered(&mut self, now: Nanos) -> bool {
        self.forget(now);
        self.under_way() == 0 && self.brake.is_off(now)
    }

    /// Capacity and what is used of it.
    pub(super) fn gauge(&mut self, now: Nanos) -> (u64, u64) {
        self.forget(now);
        let capacity = self.brake.of_capacity(now, self.capacity);
        (capacity, self.under_way())
    }
}
