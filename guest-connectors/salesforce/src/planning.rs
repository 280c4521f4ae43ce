//! How a stream is cut: its history in windows of time, then one look at what changed.

use tidegate_sdk::{epoch_ms, prelude::*};

use crate::refusal::ask;
use crate::schema::{self, Description};
use crate::{BASE, DAY_MS, SECOND_MS, Salesforce, Slice, object_of_stream, soql};

/// Partitions of one history; each costs calls of its own.
const WINDOWS_MAX: u64 = 1_000;
/// Records of an average window, in multiples of what Bulk is worth its calls for.
const WINDOW_SIZE: u64 = 5;
/// 2000-01-01: nothing in Salesforce is older.
const FIRST_MS: u64 = 946_684_800_000;

pub(crate) fn plan(host: &Host, plan: &Plan<Salesforce>) -> Result<Vec<Partition<Slice>>, Failure> {
    let object = object_of_stream(&plan.stream)?;
    let (description, now_ms) = schema::describe(host, &plan.config, object)?;
    schema::keep(host, &description);
    let covered = match plan.mode {
        SyncMode::Incremental => plan.previous.iter().map(|end| end.cursor.until).max(),
        SyncMode::FullRefresh => None,
    };
    match (description.cursor(), plan.window, covered) {
        (None, _, _) => Ok(vec![whole(&description, now_ms)]),
        (Some(field), None, Some(covered)) => {
            Ok(vec![changes(plan, &description, field, covered, now_ms)])
        }
        (Some(field), window, _) => {
            // A bound in the future would pass over what changes before it.
            let (since, until) = match window {
                Some(window) => (window.since, window.until.min(now_ms)),
                None => (0, now_ms),
            };
            let history = Slice {
                field: Some(field.to_owned()),
                since: since.min(until) / SECOND_MS * SECOND_MS,
                until: until / SECOND_MS * SECOND_MS,
                flagged: description.is_flagged(),
                history: true,
                deletes: None,
            };
            windows(host, plan, object, field, history)
        }
    }
}

/// An object that says nothing of when its records were made.
fn whole(description: &Description, now_ms: u64) -> Partition<Slice> {
    let slice = Slice {
        field: None,
        since: 0,
        until: now_ms,
        flagged: description.is_flagged(),
        history: true,
        deletes: None,
    };
    Partition::new(format!("whole-{now_ms}"), slice)
}

/// What changed since the last run, and a little before: a transaction that commits late
/// leaves times behind that a run has passed. Salesforce's list of deletes says how far
/// it is complete, and is not beyond the start of a transaction that was still open.
fn changes(
    plan: &Plan<Salesforce>,
    description: &Description,
    field: &str,
    covered: u64,
    now_ms: u64,
) -> Partition<Slice> {
    let deletes = plan.previous.iter().filter_map(|end| end.cursor.deletes);
    let deletes = deletes.max();
    let since = covered.saturating_sub(plan.config.look_back_ms());
    partition(Slice {
        field: Some(field.to_owned()),
        since: since.min(deletes.unwrap_or(since)) / SECOND_MS * SECOND_MS,
        until: now_ms.max(covered), // a clock set back must not move the bound back
        flagged: description.is_flagged(),
        history: false,
        deletes: description
            .replicateable
            .then(|| deletes.unwrap_or(covered)),
    })
}

/// Windows of the history, as wide as the settings say, and wider where they would hold
/// few records: each window costs calls.
fn windows(
    host: &Host,
    plan: &Plan<Salesforce>,
    object: &str,
    field: &str,
    history: Slice,
) -> Result<Vec<Partition<Slice>>, Failure> {
    let total = count(host, plan, object, &history)?;
    if total.is_some_and(|total| total <= plan.config.bulk_above) {
        let estimated_records = total;
        return Ok(vec![Partition {
            estimated_records,
            ..partition(history)
        }]);
    }
    let earliest = earliest(host, plan, object, field, &history)?;
    let first = earliest.unwrap_or(FIRST_MS).max(history.since);
    let span = history.until.saturating_sub(first);
    let least = u64::from(plan.config.window_days.max(1)) * DAY_MS;
    let by_time = span.div_ceil(least);
    let least = plan.config.bulk_above.max(1).saturating_mul(WINDOW_SIZE);
    let by_size = total.map_or(WINDOWS_MAX, |total| total / least);
    let count = by_time.min(by_size).clamp(1, WINDOWS_MAX);
    let mut partitions = cut(&history, first, count);
    for partition in &mut partitions {
        partition.estimated_records = total.map(|total| total / count);
    }
    Ok(partitions)
}

/// `count` slices of about equal width; the first keeps the lower bound, and with it
/// the deletes.
pub(crate) fn cut(whole: &Slice, first: u64, count: u64) -> Vec<Partition<Slice>> {
    let width = whole.until.saturating_sub(first) / SECOND_MS;
    let count = count.min(width).max(1);
    let edge = |index: u64| {
        let seconds = (u128::from(width) * u128::from(index) / u128::from(count)) as u64;
        first + seconds * SECOND_MS
    };
    let slice = |index: u64| Slice {
        since: if index == 0 { whole.since } else { edge(index) },
        until: if index + 1 == count {
            whole.until
        } else {
            edge(index + 1)
        },
        deletes: whole.deletes.filter(|_| index == 0),
        ..whole.clone()
    };
    (0..count).map(|index| partition(slice(index))).collect()
}

/// Halves of a slice that was too much at once; none where it is a second or two.
pub(crate) fn halves(slice: &Slice) -> Option<Vec<Partition<Slice>>> {
    slice.field.as_ref()?;
    let halves = cut(slice, slice.since.max(FIRST_MS), 2);
    (halves.len() == 2).then_some(halves)
}

/// The id follows from the bounds, so a saved cursor can never be taken for that of
/// another slice.
fn partition(slice: Slice) -> Partition<Slice> {
    let kind = if slice.history { "history" } else { "changes" };
    let (since, until) = (slice.since, slice.until);
    Partition::new(format!("{kind}-{since}-{until}"), slice).window(Window { since, until })
}

/// None where even counting takes Salesforce too long.
fn count(
    host: &Host,
    plan: &Plan<Salesforce>,
    object: &str,
    slice: &Slice,
) -> Result<Option<u64>, Failure> {
    let body = answer(host, plan, object, &soql::count(object, slice))?;
    match body {
        Some(body) => body.value("/totalSize"),
        None => Ok(None),
    }
}

fn earliest(
    host: &Host,
    plan: &Plan<Salesforce>,
    object: &str,
    field: &str,
    slice: &Slice,
) -> Result<Option<u64>, Failure> {
    let query = soql::earliest(object, field, slice);
    let Some(body) = answer(host, plan, object, &query)? else {
        return Ok(None);
    };
    let text = body.plain(&format!("/records/0/{field}"))?;
    let earliest = text.as_deref().and_then(epoch_ms);
    Ok(earliest.map(|at_ms| at_ms / SECOND_MS * SECOND_MS))
}

fn answer(
    host: &Host,
    plan: &Plan<Salesforce>,
    object: &str,
    query: &str,
) -> Result<Option<Body>, Failure> {
    let request = Request::get("data", format!("{BASE}/queryAll"))
        .query("q", query)
        .auth(plan.config.auth.name());
    match ask(host, &request)? {
        Ok(response) => Ok(Some(response.body)),
        Err(refusal) if refusal.is_too_much() => Ok(None),
        Err(refusal) => Err(refusal.failure(object)),
    }
}
