//! When a sync runs by itself, and the hours in which it may.
//!
//! Zones come from the copy of the IANA database that is built in, so that a schedule
//! means the same on every node, whatever its system knows.
//!
//! Where a clock is put forward, a daily time that falls into the gap runs right after
//! it; where a clock is put back, it runs once, the first time. A pattern that runs
//! every minute or hour keeps its pace in both.

mod form;
mod hours;
mod next;

pub use form::{CronPattern, Every, InvalidForm, TimeOfDay, Weekday, ZoneName};
pub use hours::Hours;
pub use next::Due;

use crate::id::SyncId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When a sync runs by itself. One of `every`, `cron` and `after` makes it run;
/// `off_hours` alone only limits when it may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// At this pace. Syncs of one pace are spread over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// At the times of this pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<CronPattern>,
    /// After each job of this sync that succeeded, in whole or in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SyncId>,
    /// The zone of `cron` and `off_hours`; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<ZoneName>,
    /// The hours in which it may run; outside it pauses, and resumes when they begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_hours: Option<OffHours>,
}

/// Hours of the day in which a sync may run: from one time to another, across midnight
/// where the second is earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OffHours {
    /// When they begin (`20:00`).
    pub from: TimeOfDay,
    /// When they end (`06:00`); the same time as `from` means the whole day.
    pub to: TimeOfDay,
    /// The days on which they begin; empty means every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    /// The zone; that of the schedule without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<ZoneName>,
}

#[cfg(test)]
mod tests;
