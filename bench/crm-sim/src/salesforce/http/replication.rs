//! Which records were changed, and which were deleted, in a span of time.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use crate::records::{Shown, Snapshot, TimeOrder};
use crate::salesforce::org::Collection;
use crate::salesforce::problem::Problem;
use crate::salesforce::soql::moment_ms;
use crate::salesforce::values::moment;
use crate::salesforce::wire_id::wire_text;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// How far back changes may be asked for, in days.
const UPDATED_DAYS: i64 = 30;
/// How far back deletions may be asked for, in days.
const DELETED_DAYS: i64 = 15;
/// Ids in one answer at most.
const IDS_MAX: usize = 600_000;

/// A span as it was asked for, cut to minutes.
struct Span {
    start_ms: i64,
    end_ms: i64,
    /// Everything before this is in the answer; later, a transaction that began before
    /// may still bring older changes.
    covered_ms: i64,
}

impl Span {
    fn read(call: &Call, days: i64) -> Result<Span, Problem> {
        let refused = |message: &str| Problem::new(400, "INVALID_REPLICATION_DATE", message);
        let read = |name: &str| {
            let text = call.parameter(name)?;
            let time_ms = moment_ms(text);
            time_ms.ok_or_else(|| {
                Problem::new(
                    400,
                    "INVALID_REPLICATION_DATE",
                    format!("{name}: invalid date {text}"),
                )
            })
        };
        let minute = |time_ms: i64| time_ms - time_ms.rem_euclid(MINUTE_MS);
        let (start_ms, end_ms) = (minute(read("start")?), minute(read("end")?));
        if end_ms <= start_ms {
            return Err(refused(
                "endDate must be at least one minute greater than startDate",
            ));
        }
        let now_ms = call.now_ms();
        if start_ms < now_ms - now_ms.rem_euclid(DAY_MS) - days * DAY_MS {
            return Err(refused(
                "startDate before org's replication enabled date or too far back",
            ));
        }
        let newest_ms = call.org.open_transaction_ms().unwrap_or(now_ms).min(now_ms);
        Ok(Span {
            start_ms,
            end_ms,
            covered_ms: end_ms.min(minute(newest_ms)),
        })
    }
}

fn replicated<'a>(call: &'a Call, name: &str) -> Result<&'a Collection, Problem> {
    let collection = call.collection(name)?;
    if collection.object.abilities().replicateable {
        return Ok(collection);
    }
    Err(Problem::new(
        400,
        "INVALID_TYPE",
        format!("entity type {name} is not replicateable"),
    ))
}

fn too_many() -> Problem {
    Problem::new(
        400,
        "EXCEEDED_ID_LIMIT",
        format!("Cannot retrieve more than {IDS_MAX} ids; narrow the span"),
    )
}

/// `GET .../sobjects/{object}/updated`.
pub(super) fn updated(call: &Call, name: &str) -> Result<Reply, Problem> {
    let collection = replicated(call, name)?;
    let span = Span::read(call, UPDATED_DAYS)?;
    let overlay = collection.records.overlay();
    let range = (span.start_ms, 0)..(span.end_ms, 0);
    let order = TimeOrder::OldestFirst;
    let views = collection
        .records
        .by_time(&overlay, range, order, Shown::Live, Snapshot::NOW);
    let prefix = collection.object.prefix();
    let ids: Vec<String> = views
        .take(IDS_MAX + 1)
        .map(|view| wire_text(prefix, view.row.id))
        .collect();
    if ids.len() > IDS_MAX {
        return Err(too_many());
    }
    Ok(Reply::value(
        200,
        &json!({"ids": ids, "latestDateCovered": moment(span.covered_ms)}),
    ))
}

/// `GET .../sobjects/{object}/deleted`: the delete log, which outlives the recycle bin.
pub(super) fn deleted(call: &Call, name: &str) -> Result<Reply, Problem> {
    let collection = replicated(call, name)?;
    let span = Span::read(call, DELETED_DAYS)?;
    let pruned_ms = collection.purged().log_until_ms;
    let from_ms = span
        .start_ms
        .max(pruned_ms.map_or(i64::MIN, |until_ms| until_ms + 1));
    let overlay = collection.records.overlay();
    let prefix = collection.object.prefix();
    let gone: Vec<Value> = overlay
        .range(0, Shown::Archived, Snapshot::NOW)
        .filter_map(|(id, _, version)| {
            let deleted_ms = version.archived_ms?;
            (from_ms..span.end_ms.max(from_ms))
                .contains(&deleted_ms)
                .then(|| json!({"id": wire_text(prefix, id), "deletedDate": moment(deleted_ms)}))
        })
        .take(IDS_MAX + 1)
        .collect();
    if gone.len() > IDS_MAX {
        return Err(too_many());
    }
    // Nothing was ever purged before the log could have begun.
    let earliest_ms = pruned_ms.unwrap_or(call.now_ms() - 60 * DAY_MS);
    Ok(Reply::value(
        200,
        &json!({
            "deletedRecords": gone,
            "earliestDateAvailable": moment(earliest_ms),
            "latestDateCovered": moment(span.covered_ms),
        }),
    ))
}
