//! Deletes of which only the id is left: Salesforce's list of them, which alone tells
//! what was deleted for good.

use tidegate_sdk::{EmitFault, epoch_ms, prelude::*, rfc3339_seconds};

use crate::reading::Walk;
use crate::refusal::ask;
use crate::{BASE, DAY_MS, MINUTE_MS};

/// The list goes back no further.
const KEPT_DAYS: u64 = 15;
/// Ids of one answer that are taken; a longer one is asked for in parts.
const IDS_MAX: u32 = 200_000;
/// Records that are looked up in one crossing.
const LOOKED_UP: u32 = 2_500;

/// How the reading of deletes ended.
pub(crate) enum Listed {
    /// The list is complete up to this time.
    Until(u64),
    /// The host wants the slot back; nothing is saved.
    Stopping,
}

/// Emits what was deleted since `covered`, and a little before. The list knows minutes
/// only, so deletes of the minute that runs are the next run's.
pub(crate) fn read(walk: &Walk<'_>, covered: u64) -> Result<Listed, Failure> {
    let minute = |at_ms: u64| at_ms / MINUTE_MS * MINUTE_MS;
    let end = minute(walk.slice.until);
    let oldest = walk.slice.until.saturating_sub(KEPT_DAYS * DAY_MS);
    if covered <= oldest {
        return Err(lost(walk, "the last run is more than 15 days ago"));
    }
    if end <= covered {
        return Ok(Listed::Until(covered));
    }
    let look_back = walk.read.config.look_back_ms().max(2 * MINUTE_MS);
    let mut from = minute(covered.saturating_sub(look_back).max(oldest + MINUTE_MS));
    let mut known = covered;
    let mut to = end;
    while from < end {
        let request = Request::get("data", format!("{BASE}/sobjects/{}/deleted", walk.object))
            .query("start", rfc3339_seconds(from))
            .query("end", rfc3339_seconds(to))
            .auth(walk.read.config.auth.name());
        let too_many = match ask(walk.host, &request)? {
            Ok(response) => match page(walk, &response.body, covered)? {
                Page::Emitted(until) => {
                    // Not the end that was asked for: a transaction may be open.
                    known = known.max(until.min(to));
                    (from, to) = (to, end);
                    continue;
                }
                Page::Stopping => return Ok(Listed::Stopping),
                Page::TooMany => "more ids than are taken at once".to_owned(),
            },
            Err(refusal) if refusal.is("EXCEEDED_ID_LIMIT") => refusal.message,
            Err(refusal) if refusal.is("INVALID_REPLICATION_DATE") => {
                return Err(lost(walk, &refusal.message));
            }
            Err(refusal) => return Err(refusal.failure(walk.object)),
        };
        let middle = minute(from + (to - from) / 2);
        if middle < from + 2 * MINUTE_MS {
            return Err(Failure::Fatal(format!(
                "{} lost more records in two minutes than Salesforce lists: {too_many}",
                walk.object
            )));
        }
        to = middle;
    }
    Ok(Listed::Until(known))
}

enum Page {
    /// Complete up to this time.
    Emitted(u64),
    TooMany,
    Stopping,
}

fn page(walk: &Walk<'_>, body: &Body, covered: u64) -> Result<Page, Failure> {
    let moment = |pointer: &str| -> Result<u64, Failure> {
        let text = body.plain(pointer)?;
        let at_ms = text.as_deref().and_then(epoch_ms);
        at_ms.ok_or_else(|| Failure::Protocol(format!("the list of deletes has no {pointer}")))
    };
    if moment("/earliestDateAvailable").is_ok_and(|earliest| earliest > covered) {
        return Err(lost(walk, "they were purged from the org"));
    }
    let until = moment("/latestDateCovered")?;
    let count = body.count("/deletedRecords")?.unwrap_or_default();
    if count > IDS_MAX {
        return Ok(Page::TooMany);
    }
    let mut at = 0;
    while at < count {
        let some = at..count.min(at + LOOKED_UP);
        at = some.end;
        let pointers: Vec<String> = some
            .flat_map(|row| {
                ["id", "deletedDate"].map(|name| format!("/deletedRecords/{row}/{name}"))
            })
            .collect();
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        let found = body.get_many(&pointers)?;
        for (deleted, keys) in by_time(&found)? {
            match walk.host.emit_deletes(&walk.read.stream, &keys, deleted) {
                Ok(_) => {}
                Err(EmitFault::Stopping) => return Ok(Page::Stopping),
                Err(fault) => return Err(fault.into()),
            }
        }
    }
    Ok(Page::Emitted(until))
}

/// Ids that were deleted at the same time.
type Together = (Option<u64>, Vec<String>);

fn by_time(found: &[Option<String>]) -> Result<Vec<Together>, Failure> {
    let mut groups: Vec<Together> = Vec::new();
    for row in found.chunks(2) {
        let text =
            |at: usize| -> Option<String> { serde_json::from_str(row.get(at)?.as_deref()?).ok() };
        let id = text(0);
        let id = id.ok_or_else(|| Failure::Protocol("a deleted record has no id".to_owned()))?;
        let deleted = text(1).as_deref().and_then(epoch_ms);
        match groups.last_mut() {
            Some((time, keys)) if *time == deleted => keys.push(id),
            _ => groups.push((deleted, vec![id])),
        }
    }
    Ok(groups)
}

/// Deletes that nobody can tell any more: only reading everything anew finds them.
fn lost(walk: &Walk<'_>, why: &str) -> Failure {
    Failure::StaleCursor(format!(
        "deletes of {} since the last run cannot be known ({why}); the object is read anew",
        walk.object
    ))
}
