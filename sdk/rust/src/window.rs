//! Ranges of time: which one a run has to read, and how it is cut.

use std::cell::Cell;

use crate::{PartitionEnd, Plan, Response, Source, SyncMode};

/// A half-open range of time, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// First moment inside.
    pub since: u64,
    /// First moment after.
    pub until: u64,
}

impl Window {
    /// The least window of whole units (milliseconds) that holds this one: for
    /// sources that know time only to the second or the day.
    #[must_use]
    pub fn widened_to(self, unit_ms: u64) -> Self {
        let unit_ms = unit_ms.max(1);
        Self {
            since: self.since / unit_ms * unit_ms,
            until: self.until.div_ceil(unit_ms).saturating_mul(unit_ms),
        }
    }

    /// At most `count_max` windows of about equal width that follow one another and
    /// cover this one; all edges but its own are at whole units (milliseconds).
    #[must_use]
    pub fn split(self, count_max: u32, unit_ms: u64) -> Vec<Self> {
        let unit_ms = unit_ms.max(1);
        let width = self.until.saturating_sub(self.since);
        let count = u64::from(self.worth(count_max, unit_ms));
        let edge = |index: u64| {
            let offset = u128::from(width) * u128::from(index) / u128::from(count);
            // The quotient is below the width, which is of 64 bits.
            let at = self.since + offset as u64;
            match index {
                0 => self.since,
                _ if index == count => self.until,
                _ => at / unit_ms * unit_ms,
            }
        };
        (0..count)
            .map(|index| Self {
                since: edge(index),
                until: edge(index + 1),
            })
            .filter(|window| window.since < window.until || count == 1)
            .collect()
    }

    /// How many windows this one is worth being cut into: `count_max` at the most, and none
    /// narrower than `width_ms`, since each costs requests of its own. At least one.
    #[must_use]
    pub fn worth(self, count_max: u32, width_ms: u64) -> u32 {
        let width = self.until.saturating_sub(self.since);
        let count = u64::from(count_max).min(width / width_ms.max(1)).max(1);
        u32::try_from(count).unwrap_or(count_max)
    }

    /// Two windows that are read instead of this one, because it holds more than the
    /// source shows; `None` when it is no wider than a unit (milliseconds).
    #[must_use]
    pub fn halves(self, unit_ms: u64) -> Option<[Self; 2]> {
        match self.split(2, unit_ms)[..] {
            [early, late] => Some([early, late]),
            _ => None,
        }
    }
}

/// What a run has to read, by what was asked for and what is covered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// A range of history that was asked for, and nothing else.
    Asked(Window),
    /// Everything. The bound is fixed before the first page is read: a record that
    /// changes at or after `until` is read again by the next run.
    All {
        /// End of what is covered afterwards, in milliseconds since the epoch.
        until: u64,
    },
    /// What changed. It begins before the end of the last run, so that what the
    /// source showed late is read too.
    Changed(Window),
}

impl Span {
    /// The span of a run that is planned at `now_ms`, by a clock that is not ahead of
    /// the source's. `covered` tells where a partition of the last run ended, and
    /// `look_back_ms` how late the source may show a change. Both in milliseconds, the
    /// first since the epoch.
    pub fn of<S: Source>(
        plan: &Plan<S>,
        now_ms: u64,
        look_back_ms: u64,
        covered: impl Fn(&PartitionEnd<S>) -> u64,
    ) -> Self {
        if let Some(wanted) = plan.window {
            // A cursor in the future would pass over what changes before it.
            let until = wanted.until.min(now_ms);
            let since = wanted.since.min(until);
            return Self::Asked(Window { since, until });
        }
        let covered = match plan.mode {
            SyncMode::FullRefresh => None,
            // Partitions of one run end at its upper bound, or, windows, before.
            SyncMode::Incremental | SyncMode::Live => plan.previous.iter().map(covered).max(),
        };
        match covered {
            None => Self::All { until: now_ms },
            Some(covered) => Self::Changed(Window {
                since: covered.saturating_sub(look_back_ms),
                until: now_ms.max(covered), // a clock set back must not move the bound back
            }),
        }
    }

    /// The lower bound, where there is one, and the upper one; in milliseconds since
    /// the epoch.
    #[must_use]
    pub fn bounds(self) -> (Option<u64>, u64) {
        match self {
            Self::All { until } => (None, until),
            Self::Asked(window) | Self::Changed(window) => (Some(window.since), window.until),
        }
    }
}

/// The upper bound of a read, by the slower of two clocks: the host's when it planned,
/// and the source's when it gave its first page. A clock of ours that is ahead would
/// pass over what changes until the source's has caught up.
#[derive(Debug)]
pub struct Bound {
    until: Cell<u64>,
    is_fixed: Cell<bool>,
}

impl Bound {
    /// A bound that the first answer may lower (milliseconds since the epoch).
    #[must_use]
    pub fn planned(until: u64) -> Self {
        Self {
            until: Cell::new(until),
            is_fixed: Cell::new(false),
        }
    }

    /// The bound that a saved cursor holds; no answer moves it.
    #[must_use]
    pub fn saved(until: u64) -> Self {
        let bound = Self::planned(until);
        bound.is_fixed.set(true);
        bound
    }

    /// Takes note of an answer; only the first one counts.
    pub fn seen(&self, response: &Response) {
        if !self.is_fixed.replace(true) {
            let remote_ms = response.remote_now_ms().unwrap_or(u64::MAX);
            self.until.set(self.until.get().min(remote_ms));
        }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.until.get()
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    const fn window(since: u64, until: u64) -> Window {
        Window { since, until }
    }

    #[test]
    fn pieces_follow_one_another_and_cover_the_whole_with_inner_edges_at_whole_units() {
        for unit_ms in [1, 7, 1_000] {
            for (since, until) in [(0, 0), (3, 4), (10, 20_000), (999, 1_001), (0, 86_400_000)] {
                for count_max in [0, 1, 2, 3, 1_000] {
                    let whole = window(since, until);
                    let pieces = whole.split(count_max, unit_ms);
                    assert!(pieces.len() <= count_max.max(1) as usize);
                    assert_eq!(pieces[0].since, since);
                    assert_eq!(pieces[pieces.len() - 1].until, until);
                    for pair in pieces.windows(2) {
                        assert_eq!(pair[0].until, pair[1].since);
                        assert_eq!(pair[0].until % unit_ms, 0);
                        assert!(pair[0].since < pair[0].until, "{whole:?} {unit_ms}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_window_is_cut_into_none_narrower_than_is_worth_it() {
        let minutes = |minutes: u64| window(1, 1 + minutes * 60_000);
        for (width, count_max, expected) in [
            (1, 4, 1),
            (29, 4, 1),
            (30, 4, 2),
            (60, 4, 4),
            (600, 4, 4),
            (600, 0, 1),
        ] {
            let count = minutes(width).worth(count_max, 15 * 60_000);
            assert_eq!(count, expected, "{width} minutes, {count_max} at the most");
        }
        assert_eq!(window(9, 3).worth(4, 0), 1);
    }

    #[test]
    fn halving_ends_at_one_unit() {
        assert_eq!(window(0, 1).halves(1), None);
        assert_eq!(window(5, 5).halves(1), None);
        assert_eq!(window(0, 3).halves(1), Some([window(0, 1), window(1, 3)]));
        assert_eq!(window(0, 1_999).halves(1_000), None);
        let mut widths = vec![window(0, 1 << 40)];
        while let Some([_, late]) = widths[widths.len() - 1].halves(1_000) {
            widths.push(late);
        }
        assert!(widths.len() < 45);
    }

    #[test]
    fn a_window_grows_to_whole_units_and_no_further() {
        assert_eq!(window(1_500, 2_001).widened_to(1_000), window(1_000, 3_000));
        assert_eq!(window(1_000, 2_000).widened_to(1_000), window(1_000, 2_000));
        assert_eq!(window(5, 6).widened_to(0), window(5, 6));
    }
}
