//! Records by id: what a page of a list or a search only names is read in batches, since
//! a batch takes any number of properties, and tells earlier values that a search does
//! not.

use serde_json::{Value, json};
use tidegate_sdk::{Details, Ended, Named, prelude::*};

use crate::reading::{HISTORY_PAGE, LIST_PAGE, NEXT, Walk, token, until};
use crate::searching::SEARCH_PAGE;
use crate::{Cursor, HubSpot, Position, accepted};

/// Where a page names its records.
pub(crate) const IDS: &str = "/results/*/id";

/// The whole list, with more properties than an address holds.
pub(crate) fn list(walk: &Walk<'_>) -> Result<Outcome<HubSpot>, Failure> {
    let until = until(walk.read);
    let details = details(walk);
    let fetch = |token: Option<&str>| walk.list_page(token, "false", walk.object.modified(), None);
    let named = |page: &Body| {
        let ids = page.each(IDS, LIST_PAGE as usize)?;
        Ok(Named {
            requests: requests(walk, &ids),
            is_last: false,
        })
    };
    let next = |token: &str| Cursor {
        until,
        position: Position::Page(token.to_owned()),
    };
    let accept = |response| accepted(response, walk.object.name()).map(Some);
    let ended = details.by_token(NEXT, token(walk.read)?, fetch, named, accept, next)?;
    Ok(ended.or_done(Cursor::end(until)))
}

/// What a search finds, page by page behind the last key.
pub(crate) fn search(
    walk: &Walk<'_>,
    start: Option<String>,
    fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
    cursor: impl Fn(&str) -> Cursor,
) -> Result<Ended, Failure> {
    let named = |page: &Body| {
        let ids = page.each(IDS, SEARCH_PAGE as usize)?;
        Ok((requests(walk, &ids), ids.last().cloned()))
    };
    let accept = |response| accepted(response, walk.object.name()).map(Some);
    details(walk).by_key(start, fetch, named, accept, cursor)
}

fn details<'a>(walk: &'a Walk<'_>) -> Details<'a> {
    let how = walk.records().deleted("/archived");
    Details::new(walk.host, &walk.read.stream, how)
}

/// Batches for these ids. A record that was archived meanwhile is left out of the
/// answer, and told by the archive of the next run.
fn requests(walk: &Walk<'_>, ids: &[String]) -> Vec<Request> {
    let (size, history): (u32, Vec<&str>) = match walk.history {
        Some(property) => (HISTORY_PAGE, vec![property]),
        None => (LIST_PAGE, Vec::new()),
    };
    let batch = |ids: &[String]| {
        let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        let name = walk.object.name();
        Request::post("api", format!("/crm/v3/objects/{name}/batch/read"))
            .json(&json!({
                "inputs": inputs,
                "properties": walk.properties,
                "propertiesWithHistory": history,
            }))
            .auth(walk.read.config.auth.name())
            // It only asks, so the host may ask again.
            .idempotency_key(format!("{}-{}", walk.read.stream, ids.join("-")))
    };
    ids.chunks(size as usize).map(batch).collect()
}
