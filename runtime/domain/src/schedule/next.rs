//! When a schedule comes next.

use super::{Schedule, ZoneName};
use crate::spec::Problem;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a look at the clock says of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whether to make a job now. However many times were missed, it is one.
    pub fires: bool,
    /// When to look again, in milliseconds since the epoch; none where the clock never
    /// makes a job.
    pub next_at_ms: Option<u64>,
}

impl Schedule {
    /// What the types cannot say; pointers begin at the schedule.
    pub fn validate(&self) -> Vec<Problem> {
        let triggers = [
            self.every.is_some(),
            self.cron.is_some(),
            self.after.is_some(),
        ];
        let problem = |pointer: &str, reason: &str| Problem {
            pointer: pointer.to_owned(),
            reason: reason.to_owned(),
        };
        let mut found = Vec::new();
        match triggers.into_iter().filter(|given| *given).count() {
            0 if self.off_hours.is_none() => {
                found.push(problem("", "give one of every, cron, after or off_hours"));
            }
            0 | 1 => {}
            _ => found.push(problem(
                "",
                "give one of every, cron and after, not several",
            )),
        }
        if self.time_zone.is_some() && self.cron.is_none() && self.off_hours.is_none() {
            found.push(problem(
                "/time_zone",
                "only cron and off_hours have a time zone",
            ));
        }
        found
    }

    /// The first time after `now_ms` at which the clock makes a job; both in
    /// milliseconds since the epoch. `spread` is a number that stays the same for one
    /// sync, such as a hash of its id: it moves the beat of `every` within its pace.
    pub fn next_after(&self, now_ms: u64, spread: u64) -> Option<u64> {
        if let Some(every) = self.every {
            let pace_ms = every.as_ms();
            let phase_ms = spread % pace_ms;
            let beats = (now_ms + pace_ms - phase_ms) / pace_ms;
            return Some(beats * pace_ms + phase_ms);
        }
        let cron = self.cron.as_ref()?;
        let now = instant(now_ms)?.to_zoned(zone(self.time_zone.as_ref()));
        milliseconds(cron.next_after(&now)?)
    }

    /// What to do at `now_ms`, where `next_at_ms` is what this said before; none before
    /// the first look and after each change of the schedule.
    pub fn due(&self, next_at_ms: Option<u64>, now_ms: u64, spread: u64) -> Due {
        match next_at_ms {
            Some(next_at_ms) if next_at_ms > now_ms => Due {
                fires: false,
                next_at_ms: Some(next_at_ms),
            },
            before => Due {
                fires: before.is_some(),
                next_at_ms: self.next_after(now_ms, spread),
            },
        }
    }
}

pub(super) fn zone(name: Option<&ZoneName>) -> TimeZone {
    name.map_or(TimeZone::UTC, ZoneName::zone)
}

pub(super) fn instant(epoch_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(epoch_ms).ok()?).ok()
}

pub(super) fn milliseconds(instant: Timestamp) -> Option<u64> {
    u64::try_from(instant.as_millisecond()).ok()
}
