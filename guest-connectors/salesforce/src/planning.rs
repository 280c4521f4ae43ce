//! How a stream is cut: its history in windows of time, then one look at what changed.

use tidegate_sdk::{Span, epoch_ms, prelude::*};

use crate::live;
use crate::refusal::ask;
use crate::schema;
use crate::{BASE, DAY_MS, SECOND_MS, Salesforce, Slice, object_of_stream, soql};

/// Partitions of one history; each costs calls of its own.
const WINDOWS_MAX: u64 = 1_000;
/// 2000-01-01: nothing in Salesforce is older.
const FIRST_MS: u64 = 946_684_800_000;

pub(crate) fn plan(host: &Host, plan: &Plan<Salesforce>) -> Result<Vec<Partition<Slice>>, Failure> {
    let object = object_of_stream(&plan.stream)?;
    let (description, now_ms) = schema::describe(host, &plan.config, object)?;
    schema::keep(host, &plan.config, &description);
    let slice = |since: u64, until: u64, field: Option<&str>| Slice {
        field: field.map(str::to_owned),
        since: since / SECOND_MS * SECOND_MS,
        until: until / SECOND_MS * SECOND_MS,
        flagged: description.is_flagged(),
        history: true,
        deletes: None,
    };
    let Some(field) = description.cursor() else {
        // An object that says nothing of when its records were made.
        let whole = slice(0, now_ms, None);
        return Ok(vec![Partition::new(format!("whole-{now_ms}"), whole)]);
    };
    if plan.mode == SyncMode::Live {
        return Ok(vec![live::plan(plan, field, &description, now_ms)]);
    }
    let look_back_ms = plan.config.look_back_ms();
    match Span::of(plan, now_ms, look_back_ms, |end| end.cursor.until) {
        Span::Changed(window) => {
            let changed = slice(window.since, window.until, Some(field));
            let changed = changes(plan, changed, description.replicateable);
            Ok(vec![partition(changed)])
        }
        span => {
            let (since, until) = span.bounds();
            let history = slice(since.unwrap_or(0), until, Some(field));
            windows(host, plan, object, field, history)
        }
    }
}

/// What changed since the last run, and a little before: a transaction that commits late
/// leaves times behind that a run has passed. Salesforce's list of deletes says how far
/// it is complete, and is not beyond the start of a transaction that was still open.
fn changes(plan: &Plan<Salesforce>, slice: Slice, replicated: bool) -> Slice {
    let listed = plan.previous.iter().filter_map(|end| end.cursor.deletes);
    let listed = listed.max();
    let covered = plan.previous.iter().map(|end| end.cursor.until).max();
    Slice {
        since: slice.since.min(listed.unwrap_or(slice.since)),
        history: false,
        deletes: listed.or(covered).filter(|_| replicated),
        ..slice
    }
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
    let small = plan.config.bulk_above.min(plan.config.window_records());
    if total.is_some_and(|total| total <= small) {
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
    let least = plan.config.window_records();
    let by_size = total.map_or(WINDOWS_MAX, |total| total / least);
    let count = by_time.min(by_size).clamp(1, WINDOWS_MAX);
    let mut partitions = cut(&history, first, u32::try_from(count).unwrap_or(1));
    for partition in &mut partitions {
        partition.estimated_records = total.map(|total| total / count);
    }
    Ok(partitions)
}

/// At most `count_max` slices of about equal width from `first` on; the first one keeps
/// the lower bound, and with it the deletes.
fn cut(whole: &Slice, first: u64, count_max: u32) -> Vec<Partition<Slice>> {
    let span = Window {
        since: first.min(whole.until),
        until: whole.until,
    };
    let windows = span.split(count_max, SECOND_MS).into_iter().enumerate();
    let slice = |(index, window): (usize, Window)| Slice {
        since: if index == 0 {
            whole.since
        } else {
            window.since
        },
        until: window.until,
        deletes: whole.deletes.filter(|_| index == 0),
        ..whole.clone()
    };
    windows.map(slice).map(partition).collect()
}

/// Halves of a slice that was too much at once; none where it is a second or two.
pub(crate) fn halves(slice: &Slice) -> Option<Vec<Partition<Slice>>> {
    slice.field.as_ref()?;
    let halves = cut(slice, slice.since.max(FIRST_MS), 2);
    (halves.len() == 2).then_some(halves)
}

/// The id follows from the bounds, so a saved cursor can never be taken for that of
/// another slice.
pub(crate) fn partition(slice: Slice) -> Partition<Slice> {
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
