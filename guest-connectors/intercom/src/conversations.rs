//! Conversations: lists name them, their parts are only in the detail of each; and the
//! feed of those that were deleted.

use tidegate_sdk::{Details, Named, Numbered, prelude::*};

use crate::reading::{NEXT, PAGE, Walk, foreign};
use crate::{Cursor, Intercom, Position, accepted, versioned};

/// How many deleted conversations a page names, as the documentation has it.
const DELETED_PAGE: u32 = 20;

/// Reads each conversation that a list or a search names.
pub(crate) fn details(walk: &Walk<'_>) -> Result<Outcome<Intercom>, Failure> {
    let since_s = walk.since_s().unwrap_or_default();
    let until_s = walk.read_until_s();
    let how = Extraction::json("")
        .key("/id")
        .cursor("/updated_at", CursorOrder::Number);
    let details = Details::new(walk.host, &walk.read.stream, how);
    let fetch = |token: Option<&str>| walk.page(token);
    let wanted = |page: &Body| {
        let named = named(page)?;
        let is_last = !named.is_empty() && named.iter().all(|(_, updated_s)| *updated_s > until_s);
        let wanted = named.iter().filter(|(_, updated_s)| *updated_s >= since_s);
        let requests = wanted.map(|(id, _)| request(walk, id)).collect();
        Ok(Named { requests, is_last })
    };
    let next = |token: &str| walk.cursor(Position::Page(token.to_owned()));
    let ended = details.by_token(NEXT, walk.token()?, fetch, wanted, detail, next)?;
    Ok(ended.or_done(Cursor::end(walk.bound.until())))
}

/// Ids of a page and when each was updated, in seconds since the epoch; one without a
/// time is taken for new.
fn named(page: &Body) -> Result<Vec<(String, u64)>, Failure> {
    let ids = page.each("/conversations/*/id", PAGE as usize)?;
    // A page without any is the last one, but only where it is a page at all.
    if ids.is_empty() && page.value::<u64>("/total_count")?.is_none() {
        let text = "an answer neither lists nor counts conversations";
        return Err(Failure::Protocol(text.to_owned()));
    }
    let times = page.each("/conversations/*/updated_at", ids.len())?;
    let times = times
        .into_iter()
        .map(|time| time.parse().unwrap_or(u64::MAX))
        .chain(std::iter::repeat(u64::MAX));
    Ok(ids.into_iter().zip(times).collect())
}

fn request(walk: &Walk<'_>, id: &str) -> Request {
    let config = &walk.read.config;
    let request = Request::get(config.region.name(), format!("/conversations/{id}"));
    versioned(request, config)
}

/// One that was deleted since the list named it is told by the feed of deletes.
fn detail(response: Response) -> Result<Option<Body>, Failure> {
    match response.status {
        404 | 410 => Ok(None),
        _ => accepted(response, "conversations").map(Some),
    }
}

/// Reads what was deleted, latest first: new ones only push known ones to later pages.
pub(crate) fn deleted(walk: &Walk<'_>, since_ms: u64) -> Result<Outcome<Intercom>, Failure> {
    let start = match &walk.position {
        None => Numbered::FIRST,
        Some(Position::Number(at)) => *at,
        Some(_) => return Err(foreign()),
    };
    let how = Extraction::json("/conversations")
        .key("/id")
        .kind(Change::Delete)
        .cursor("/deleted_at", CursorOrder::Number)
        .floor((since_ms / 1_000).to_string());
    let fetch = |number: u64| {
        let request = Request::get(walk.read.config.region.name(), "/conversations/deleted")
            .query("page", number)
            .query("per_page", DELETED_PAGE)
            .query("order", "desc");
        walk.send(request)
    };
    let next = |at: Numbered| walk.cursor(Position::Number(at));
    let pages = Pages::new(walk.host, &walk.read.stream, how).ending_when(|page| page.skipped > 0);
    let ended = pages.by_number(Some("/pages/next"), start, fetch, next)?;
    Ok(ended.or_done(Cursor::end(walk.bound.until())))
}
