//! How a stream is cut: one list the first time, then windows of change and
//! one look at what was archived.

use tidegate_sdk::prelude::*;

use crate::{HubSpot, Slice};

/// Search lags behind writes, by half a minute as a rule; each run reads again
/// what the last one may have missed.
pub(crate) const LOOK_BACK_MS: u64 = 120_000;

pub(crate) fn partitions(plan: &Plan<HubSpot>, now_ms: u64) -> Vec<Partition<Slice>> {
    if let Some(wanted) = plan.window {
        // A cursor in the future would pass over what changes before it.
        let until = wanted.until.min(now_ms);
        let since = wanted.since.min(until);
        return windows(Window { since, until }, plan.partitions_max);
    }
    let covered = match plan.mode {
        SyncMode::FullRefresh => None,
        // Partitions of one run end at its upper bound, or, windows, before.
        SyncMode::Incremental => plan.previous.iter().map(|end| end.cursor.until).max(),
    };
    let Some(covered) = covered else {
        // The bound is fixed before the first page is read: a record that
        // changes meanwhile is read again by the next run.
        return vec![Partition::new("list", Slice::List { until: now_ms })];
    };
    let since = covered.saturating_sub(LOOK_BACK_MS);
    let until = now_ms.max(covered); // a clock set back must not move the bound back
    let mut partitions = windows(Window { since, until }, plan.partitions_max);
    partitions.push(Partition::new(
        format!("archived-{since}-{until}"),
        Slice::Archived {
            floor: since,
            until,
        },
    ));
    partitions
}

/// At most `count_max` windows of equal width, to the millisecond.
pub(crate) fn windows(whole: Window, count_max: u32) -> Vec<Partition<Slice>> {
    let width = whole.until.saturating_sub(whole.since);
    let count = u64::from(count_max).min(width).max(1);
    let edge = |index: u64| {
        whole.since + (u128::from(width) * u128::from(index) / u128::from(count)) as u64
    };
    (0..count)
        .map(|index| window(edge(index), edge(index + 1)))
        .collect()
}

/// The id follows from the bounds, so a saved state can never be taken for
/// that of another window.
fn window(since: u64, until: u64) -> Partition<Slice> {
    Partition::new(
        format!("window-{since}-{until}"),
        Slice::Window { since, until },
    )
    .window(Window { since, until })
}
