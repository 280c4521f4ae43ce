//! When each generated record was created and last modified.
//!
//! Both times rise with the index, so a window of time is a range of indices
//! and is found by bisection. Ties are deliberate: records share a millisecond
//! in small groups, and one burst shares a single millisecond.

use std::ops::Range;

/// 2020-01-01T00:00:00Z.
const START_MS: i64 = 1_577_836_800_000;
/// 2026-01-01T00:00:00Z, exclusive.
const END_MS: i64 = 1_767_225_600_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    count: u32,
    tie_group: u32,
    burst_start: u32,
    burst_length: u32,
    groups: u64,
    grain: Grain,
}

/// How finely an API tells times apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grain {
    /// Every version of a record has a millisecond of its own.
    Millisecond,
    /// Times are whole seconds: a record that changes twice in one second has two
    /// versions of the same time.
    Second,
}

impl Grain {
    /// The time as the API keeps it.
    pub(crate) fn floor(self, time_ms: i64) -> i64 {
        match self {
            Grain::Millisecond => time_ms,
            Grain::Second => time_ms - time_ms.rem_euclid(1000),
        }
    }

    /// The earliest time of the version after one of this time.
    pub(crate) fn after(self, time_ms: i64) -> i64 {
        match self {
            Grain::Millisecond => time_ms + 1,
            Grain::Second => time_ms,
        }
    }
}

impl Timeline {
    /// `tie_group` records share each moment; `burst_length` records in the
    /// middle share one.
    pub(crate) fn new(count: u32, tie_group: u32, burst_length: u32, grain: Grain) -> Timeline {
        let mut timeline = Timeline {
            count,
            tie_group: tie_group.max(1),
            burst_start: count / 2,
            burst_length: burst_length.min(count / 4),
            groups: 1,
            grain,
        };
        timeline.groups = timeline.group(count.saturating_sub(1)) + 1;
        timeline
    }

    pub(crate) fn modified_ms(&self, index: u32) -> i64 {
        let span = (END_MS - START_MS).unsigned_abs();
        let offset = self.group(index) * span / self.groups;
        self.grain
            .floor(START_MS + i64::try_from(offset).unwrap_or(0))
    }

    /// At or before the modification, and monotone like it.
    pub(crate) fn created_ms(&self, index: u32) -> i64 {
        self.grain
            .floor(START_MS + (self.modified_ms(index) - START_MS) / 8 * 7)
    }

    /// A time of creation that rises with the place instead, in the year before the
    /// first modification.
    pub(crate) fn founded_ms(&self, place: u64) -> i64 {
        const YEAR_MS: u64 = 31_536_000_000;
        let before = YEAR_MS - place * YEAR_MS / u64::from(self.count).max(place + 1);
        self.grain
            .floor(START_MS - i64::try_from(before).unwrap_or(0))
    }

    /// Indices whose modification lies in `[from_ms, until_ms)`.
    pub(crate) fn modified_between(&self, from_ms: i64, until_ms: i64) -> Range<u32> {
        let start = self.first(|index| self.modified_ms(index) >= from_ms);
        let end = self.first(|index| self.modified_ms(index) >= until_ms);
        start..end.max(start)
    }

    /// Indices whose creation lies in `[from_ms, until_ms)`.
    pub(crate) fn created_between(&self, from_ms: i64, until_ms: i64) -> Range<u32> {
        let start = self.first(|index| self.created_ms(index) >= from_ms);
        let end = self.first(|index| self.created_ms(index) >= until_ms);
        start..end.max(start)
    }

    fn group(&self, index: u32) -> u64 {
        let burst_last = self.burst_length.saturating_sub(1);
        let collapsed = if index <= self.burst_start {
            index
        } else {
            index - burst_last.min(index - self.burst_start)
        };
        u64::from(collapsed / self.tie_group)
    }

    fn first(&self, reached: impl Fn(u32) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if reached(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::{END_MS, Grain, START_MS, Timeline};

    #[test]
    fn times_rise_with_the_index_and_stay_in_range() {
        let timeline = Timeline::new(10_000, 3, 450, Grain::Millisecond);
        for index in 1..10_000 {
            assert!(timeline.modified_ms(index) >= timeline.modified_ms(index - 1));
            assert!(timeline.created_ms(index) >= timeline.created_ms(index - 1));
            assert!(timeline.created_ms(index) <= timeline.modified_ms(index));
        }
        assert_eq!(timeline.modified_ms(0), START_MS);
        assert!(timeline.modified_ms(9_999) < END_MS);
    }

    #[test]
    fn a_window_holds_exactly_the_records_of_a_scan() {
        let timeline = Timeline::new(5_000, 3, 300, Grain::Second);
        let low = timeline.modified_ms(1_000);
        let high = timeline.modified_ms(3_333);
        let scanned = (0..5_000)
            .filter(|index| (low..high).contains(&timeline.modified_ms(*index)))
            .count();
        assert_eq!(timeline.modified_between(low, high).len(), scanned);
    }

    #[test]
    fn the_burst_shares_one_millisecond() {
        let timeline = Timeline::new(5_000, 3, 300, Grain::Second);
        let burst = timeline.modified_ms(2_500);
        assert!(timeline.modified_between(burst, burst + 1).len() >= 300);
    }
}
