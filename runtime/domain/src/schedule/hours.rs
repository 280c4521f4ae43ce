//! The hours in which a sync may run.

use super::next::{instant, milliseconds, zone};
use super::{OffHours, Schedule};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Whether a sync may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    /// It may.
    Open {
        /// Until this time, in milliseconds since the epoch; none means for good.
        until_ms: Option<u64>,
    },
    /// It may not.
    Closed {
        /// Before this time, in milliseconds since the epoch.
        until_ms: u64,
    },
}

/// Days to look ahead: every day of the week comes among them.
const DAYS: usize = 9;

impl Schedule {
    /// Whether the sync may run at `now_ms` (milliseconds since the epoch).
    pub fn hours(&self, now_ms: u64) -> Hours {
        let always = Hours::Open { until_ms: None };
        let (Some(hours), Some(now)) = (&self.off_hours, instant(now_ms)) else {
            return always;
        };
        let name = hours.time_zone.as_ref().or(self.time_zone.as_ref());
        let zone = zone(name);
        let Ok(yesterday) = now.to_zoned(zone.clone()).date().yesterday() else {
            return always;
        };
        let days = std::iter::successors(Some(yesterday), |day| day.tomorrow().ok());
        let mut open: Option<Timestamp> = None;
        for day in days.take(DAYS) {
            let Some((from, to)) = hours.on(day, &zone) else {
                continue;
            };
            match open {
                None if to <= now => {}
                None if from > now => {
                    let until_ms = milliseconds(from);
                    return until_ms.map_or(always, |until_ms| Hours::Closed { until_ms });
                }
                None => open = Some(to),
                // The hours of one day go over into those of the next.
                Some(end) if from <= end => open = Some(end.max(to)),
                Some(end) => {
                    let until_ms = milliseconds(end);
                    return Hours::Open { until_ms };
                }
            }
        }
        always
    }
}

impl OffHours {
    /// The hours that begin on this day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.days.is_empty() && !self.days.iter().any(|weekday| weekday.is(day)) {
            return None;
        }
        let last = if self.from < self.to {
            day
        } else {
            day.tomorrow().ok()?
        };
        let at = |moment| Some(zone.to_zoned(moment).ok()?.timestamp());
        Some((at(self.from.on(day))?, at(self.to.on(last))?))
    }
}
