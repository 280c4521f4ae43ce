//! So many units per calendar day or month, UTC.

use super::{MS, Nanos, Wait};
use crate::manifest::CalendarPeriod;

const DAY: Nanos = 24 * 60 * 60 * 1000 * MS;

/// A budget that is whole again at midnight.
#[derive(Clone, Debug)]
pub struct Calendar {
    period: CalendarPeriod,
    capacity: u64,
    begin: Nanos,
    end: Nanos,
    spent: u64,
    /// Not answered yet: these may count on either side of midnight.
    in_flight: u64,
}

impl Calendar {
    /// The budget of the period that holds `now`.
    pub fn new(period: CalendarPeriod, capacity: u64, now: Nanos) -> Self {
        let (begin, end) = bounds(period, now);
        Self {
            period,
            capacity,
            begin,
            end,
            spent: 0,
            in_flight: 0,
        }
    }

    /// When the running period ends.
    pub fn end(&self) -> Nanos {
        self.end
    }

    pub(super) fn used_of(&self) -> (u64, u64) {
        (self.spent, self.capacity)
    }

    pub(super) fn check(&mut self, now: Nanos, units: u64) -> Result<(), Wait> {
        self.turn(now);
        if units > self.capacity {
            Err(Wait::Never)
        } else if self.spent + units > self.capacity {
            Err(Wait::Until(self.end))
        } else {
            Ok(())
        }
    }

    pub(super) fn commit(&mut self, units: u64) {
        self.spent += units;
        self.in_flight += units;
    }

    pub(super) fn answered(&mut self, units: u64) {
        self.in_flight = self.in_flight.saturating_sub(units);
    }

    pub(super) fn returned(&mut self, units: u64) {
        self.in_flight = self.in_flight.saturating_sub(units);
        self.spent = self.spent.saturating_sub(units);
    }

    pub(super) fn learn(&mut self, now: Nanos, remaining: u64) {
        self.turn(now);
        self.spent = self.spent.max(self.capacity.saturating_sub(remaining));
    }

    pub(super) fn restore(&mut self, spent_by: Nanos, units: u64) {
        if spent_by >= self.begin {
            self.spent += units;
        }
    }

    fn turn(&mut self, now: Nanos) {
        if now >= self.end {
            (self.begin, self.end) = bounds(self.period, now);
            self.spent = self.in_flight;
        }
    }
}

fn bounds(period: CalendarPeriod, now: Nanos) -> (Nanos, Nanos) {
    let today = now / DAY;
    let (first, next) = match period {
        CalendarPeriod::Day => (today, today + 1),
        CalendarPeriod::Month => month(today),
    };
    (first * DAY, next * DAY)
}

/// The first day of the month that holds this day, and of the next month, in days
/// since the epoch.
fn month(today: u64) -> (u64, u64) {
    let mut first = 0;
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if today < first + length {
                return (first, first + length);
            }
            first += length;
        }
        year += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_end_where_the_calendar_says() {
        // Days since the epoch of some dates, from a calendar.
        for (today, first, next) in [
            (0, 0, 31),
            (19_782, 19_754, 19_783), // 2024-02-29
            (20_779, 20_758, 20_788), // 2026-11-22
            (47_540, 47_513, 47_541), // 2100-02-28: no leap year
        ] {
            assert_eq!(month(today), (first, next), "day {today}");
        }
    }
}
