//! How streams are cut: windows of whole seconds, which halve themselves while they
//! hold more than a page.

use tidegate_sdk::prelude::*;

use crate::{LeadSquared, Object, Slice, schema};

/// Windows overlap by minutes, since nothing says how soon a write shows.
pub(crate) const LOOK_BACK_MS: u64 = 300_000;
/// What changed in less time than this is one window, which halves itself where it must: a
/// sync that runs often costs few requests.
const WINDOW_MS_MIN: u64 = 15 * 60_000;
/// Times are told to the second.
pub(crate) const SECOND_MS: u64 = 1_000;

pub(crate) fn partitions(
    host: &Host,
    plan: &Plan<LeadSquared>,
) -> Result<Vec<Partition<Slice>>, Failure> {
    let object = Object::of_stream(&plan.stream)?;
    // Types cost a request, and tell LeadSquared's own time.
    let types = schema::types(host, &plan.config)?;
    let now_ms = host.now_ms().min(types.remote_now_ms);
    // A second that still runs is the next run's.
    let now_ms = now_ms / SECOND_MS * SECOND_MS;
    let span = Span::of(plan, now_ms, LOOK_BACK_MS, |end| end.cursor.until);
    let (since, until) = span.bounds();
    let whole = Window {
        since: since.unwrap_or_default(),
        until,
    };
    let whole = whole.widened_to(SECOND_MS);
    let count_max = match span {
        // Nobody knows where in all of time the records are; halving finds out.
        Span::All { .. } => 1,
        Span::Asked(_) => plan.partitions_max,
        Span::Changed(_) => whole.worth(plan.partitions_max, WINDOW_MS_MIN),
    };
    Ok(match object {
        Object::Leads => leads(whole.split(count_max, SECOND_MS)),
        Object::Activities => types
            .activities
            .iter()
            .flat_map(|code| activities(*code, whole.split(1, SECOND_MS)))
            .collect(),
        Object::Opportunities => {
            let slice = |code: &i64| {
                let slice = Slice::Opportunities {
                    code: *code,
                    floor: since,
                    until,
                };
                let floor = since.unwrap_or_default();
                Partition::new(format!("opportunities-{code}-{floor}-{until}"), slice)
            };
            types.opportunities.iter().map(slice).collect()
        }
        Object::Users => vec![Partition::new("users", Slice::Users { until })],
    })
}

pub(crate) fn leads(windows: impl IntoIterator<Item = Window>) -> Vec<Partition<Slice>> {
    let partition = |window: Window| {
        let Window { since, until } = window;
        Partition::new(
            format!("leads-{since}-{until}"),
            Slice::Leads { since, until },
        )
        .window(window)
    };
    windows.into_iter().map(partition).collect()
}

pub(crate) fn activities(
    code: i64,
    windows: impl IntoIterator<Item = Window>,
) -> Vec<Partition<Slice>> {
    let partition = |window: Window| {
        let Window { since, until } = window;
        let slice = Slice::Activities { code, since, until };
        Partition::new(format!("activities-{code}-{since}-{until}"), slice).window(window)
    };
    windows.into_iter().map(partition).collect()
}
