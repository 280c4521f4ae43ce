//! How a stream is cut: one list the first time, then windows of change and
//! one look at what was archived; one list each time where no changes are told.

use tidegate_sdk::prelude::*;

use crate::{HubSpot, Slice, catalog::Entity};

/// Search lags behind writes, by half a minute as a rule; each run reads again
/// what the last one may have missed.
pub(crate) const LOOK_BACK_MS: u64 = 120_000;
/// What changed in less time than this is read by one search: a sync that runs every
/// minute costs one request for it, not as many as there may be partitions.
pub(crate) const WINDOW_MS_MIN: u64 = 15 * 60_000;

pub(crate) fn partitions(
    entity: &Entity,
    plan: &Plan<HubSpot>,
    now_ms: u64,
) -> Vec<Partition<Slice>> {
    let span = Span::of(plan, now_ms, LOOK_BACK_MS, |end| end.cursor.until);
    let list = |until| vec![Partition::new("list", Slice::List { until })];
    match span {
        _ if entity.followed().is_none() => {
            let mut partitions = list(now_ms);
            if *entity == Entity::Owners {
                let (floor, until) = (0, now_ms);
                partitions.push(Partition::new("archived", Slice::Archived { floor, until }));
            }
            partitions
        }
        Span::Asked(whole) => windows(whole.split(plan.partitions_max, 1)),
        Span::All { until } => list(until),
        Span::Changed(whole @ Window { since, until }) => {
            let count = whole.worth(plan.partitions_max, WINDOW_MS_MIN);
            let mut partitions = windows(whole.split(count, 1));
            partitions.push(Partition::new(
                format!("archived-{since}-{until}"),
                Slice::Archived {
                    floor: since,
                    until,
                },
            ));
            partitions
        }
    }
}

/// The id follows from the bounds, so a saved state can never be taken for
/// that of another window.
pub(crate) fn windows(windows: impl IntoIterator<Item = Window>) -> Vec<Partition<Slice>> {
    let partition = |window: Window| {
        let Window { since, until } = window;
        Partition::new(
            format!("window-{since}-{until}"),
            Slice::Window { since, until },
        )
        .window(window)
    };
    windows.into_iter().map(partition).collect()
}
