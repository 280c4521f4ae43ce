//! So many units per calendar day or month, in the time zone of the provider.
//!
//! Live work may spend all that is left at any time. Other work leaves it a fifth,
//! which is set free over the last tenth of the period; and a month is paced: other
//! work is at most a day ahead of an even spending.

use super::{MS, Moment, Nanos, Wait};
use crate::job::Class;
use crate::manifest::CalendarPeriod;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};

const DAY: Nanos = 24 * 60 * 60 * 1000 * MS;

/// A budget that is whole again at midnight.
#[derive(Clone, Debug)]
pub struct Calendar {
    period: CalendarPeriod,
    zone: TimeZone,
    full: u64,
    capacity: u64,
    begin: Nanos,
    end: Nanos,
    spent: u64,
    /// Not answered yet: these may count on either side of midnight.
    in_flight: u64,
    /// Of an earlier process; these may count after the end of the period, too.
    late: u64,
}

/// The zone of this IANA name, or UTC; from the database that is built in.
pub(super) fn zone(name: Option<&str>) -> Option<TimeZone> {
    match name {
        None => Some(TimeZone::UTC),
        Some(name) => TimeZoneDatabase::bundled().get(name).ok(),
    }
}

impl Calendar {
    /// The budget of the period that holds the moment.
    pub(super) fn new(
        period: CalendarPeriod,
        zone: TimeZone,
        capacity: u64,
        moment: Moment,
    ) -> Self {
        let (begin, end) = bounds(period, &zone, moment.calendar());
        Self {
            period,
            zone,
            full: capacity,
            capacity,
            begin,
            end,
            spent: 0,
            in_flight: 0,
            late: 0,
        }
    }

    /// When the running period ends, by the calendar.
    pub fn end(&self) -> Nanos {
        self.end
    }

    pub(super) fn set_ratio(&mut self, ratio: f64) {
        self.capacity = super::times(self.full, ratio);
    }

    pub(super) fn check(&mut self, moment: Moment, units: u64, class: Class) -> Result<(), Wait> {
        self.turn(moment);
        let after = self.spent.saturating_add(units);
        if units > self.capacity {
            Err(Wait::Never)
        } else if after > self.capacity {
            Err(Wait::Until(self.end + moment.behind))
        } else if class == Class::Live || after <= self.allowance(moment.calendar()) {
            Ok(())
        } else {
            Err(Wait::Until(self.allowed_at(after) + moment.behind))
        }
    }

    /// What other than live work may have spent by then.
    fn allowance(&self, at: Nanos) -> u64 {
        let length = u128::from(self.end - self.begin);
        let passed = u128::from(at.saturating_sub(self.begin)).min(length);
        let capacity = u128::from(self.capacity);
        let reserve = capacity / 5;
        let open = capacity - reserve;
        let paced = match self.period {
            CalendarPeriod::Day => open,
            CalendarPeriod::Month => open * (passed + u128::from(DAY)).min(length) / length,
        };
        let last = length / 10;
        let freed = reserve * passed.saturating_sub(length - last) / last.max(1);
        u64::try_from((paced + freed).max(1)).unwrap_or(self.capacity)
    }

    /// The first moment at which the allowance holds `spent`.
    fn allowed_at(&self, spent: u64) -> Nanos {
        let (mut early, mut late) = (self.begin, self.end);
        while early < late {
            let middle = early + (late - early) / 2;
            if self.allowance(middle) >= spent {
                late = middle;
            } else {
                early = middle + 1;
            }
        }
        late
    }

    pub(super) fn commit(&mut self, units: u64) {
        self.spent += units;
        self.in_flight += units;
    }

    pub(super) fn answered(&mut self, reserved: u64, actual: u64) {
        self.in_flight = self.in_flight.saturating_sub(reserved);
        self.spent = self.spent.saturating_sub(reserved).saturating_add(actual);
    }

    pub(super) fn returned(&mut self, units: u64) {
        self.answered(units, 0);
    }

    pub(super) fn learn(&mut self, moment: Moment, remaining: u64) {
        self.turn(moment);
        self.spent = self.spent.max(self.capacity.saturating_sub(remaining));
    }

    pub(super) fn restore(&mut self, spent_by: Nanos, units: u64) {
        if spent_by >= self.begin {
            self.spent = self.spent.saturating_add(units);
        }
        if spent_by >= self.end {
            self.late = self.late.saturating_add(units);
        }
    }

    fn turn(&mut self, moment: Moment) {
        let at = moment.calendar();
        if at >= self.end {
            (self.begin, self.end) = bounds(self.period, &self.zone, at);
            self.spent = self
                .in_flight
                .saturating_add(std::mem::take(&mut self.late));
        }
    }

    pub(super) fn is_recovered(&mut self, moment: Moment) -> bool {
        self.turn(moment);
        self.spent == 0
    }

    /// Capacity and what is spent of it.
    pub(super) fn gauge(&mut self, moment: Moment) -> (u64, u64) {
        self.turn(moment);
        (self.capacity, self.spent)
    }
}

fn bounds(period: CalendarPeriod, zone: &TimeZone, at: Nanos) -> (Nanos, Nanos) {
    local_bounds(period, zone, at).unwrap_or((at, at.saturating_add(DAY)))
}

/// Midnight is the first moment of a day, where the clocks are changed at midnight too.
fn local_bounds(period: CalendarPeriod, zone: &TimeZone, at: Nanos) -> Option<(Nanos, Nanos)> {
    let now = Timestamp::from_nanosecond(i128::from(at)).ok()?;
    let today = now.to_zoned(zone.clone()).start_of_day().ok()?;
    let (first, next) = match period {
        CalendarPeriod::Day => (today.clone(), today.tomorrow().ok()?),
        CalendarPeriod::Month => {
            let first = today.first_of_month().ok()?;
            let next = first.checked_add(1.month()).ok()?;
            (first, next)
        }
    };
    let nanos = |day: jiff::Zoned| {
        let midnight = day.start_of_day().ok()?.timestamp().as_nanosecond();
        Some(u64::try_from(midnight).unwrap_or(0))
    };
    Some((nanos(first)?, nanos(next)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(period: CalendarPeriod, name: &str, at: &str) -> (String, String) {
        let zone = zone(Some(name)).expect("it exists");
        let at: Timestamp = at.parse().expect("a timestamp");
        let at = u64::try_from(at.as_nanosecond()).expect("after 1970");
        let shown = |nanos: Nanos| {
            let at = Timestamp::from_nanosecond(i128::from(nanos)).expect("in range");
            at.to_string()
        };
        let (begin, end) = bounds(period, &zone, at);
        (shown(begin), shown(end))
    }

    #[test]
    fn days_and_months_begin_at_midnight_of_the_provider() {
        use CalendarPeriod::{Day, Month};
        for (period, zone, at, begin, end) in [
            (
                Month,
                "UTC",
                "2024-02-29T12:00:00Z",
                "2024-02-01T00:00:00Z",
                "2024-03-01T00:00:00Z",
            ),
            (
                Month,
                "UTC",
                "2100-02-28T23:59:59Z",
                "2100-02-01T00:00:00Z",
                "2100-03-01T00:00:00Z",
            ),
            (
                Day,
                "America/New_York",
                "2026-11-22T03:00:00Z",
                "2026-11-21T05:00:00Z",
                "2026-11-22T05:00:00Z",
            ),
            (
                Month,
                "Asia/Kolkata",
                "2026-11-30T19:00:00Z",
                "2026-11-30T18:30:00Z",
                "2026-12-31T18:30:00Z",
            ),
            // The clocks change: 23 and 25 hours; and a day that begins at one o'clock.
            (
                Day,
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                Day,
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            (
                Day,
                "Africa/Cairo",
                "2026-04-24T12:00:00Z",
                "2026-04-23T22:00:00Z",
                "2026-04-24T21:00:00Z",
            ),
        ] {
            let expected = (begin.to_owned(), end.to_owned());
            assert_eq!(span(period, zone, at), expected, "{zone} {at}");
        }
        assert!(super::zone(Some("Mars/Olympus")).is_none());
    }
}
