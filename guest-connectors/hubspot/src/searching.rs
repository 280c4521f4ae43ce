//! Searching a window of change: page by page behind the last key.

use serde_json::{Value, json};
use tidegate_sdk::{EmitFault, prelude::*};

use crate::reading::{NEXT, Walk, foreign};
use crate::{Cursor, HubSpot, Position, accepted, batches, planning, schema};

/// Search answers no more than this many matches, however they are paged.
const SEARCH_MATCHES_MAX: u64 = 10_000;
pub(crate) const SEARCH_PAGE: u32 = 200;

impl Walk<'_> {
    /// A record that is edited leaves the window while it is being read, and
    /// would shift the pages behind it: so they are asked for by key, never by
    /// offset.
    pub(crate) fn search(&self, since: u64, until: u64) -> Result<Outcome<HubSpot>, Failure> {
        let mut first = None;
        let start = match self.read.cursor.as_ref().map(|cursor| &cursor.position) {
            Some(Position::Key(key)) => Some(key.clone()),
            Some(Position::Page(_)) => return Err(foreign()),
            Some(Position::End) | None => {
                let body = self.search_page(since, until, None)?;
                let matches = body.value::<u64>("/total")?.unwrap_or_default();
                if matches > SEARCH_MATCHES_MAX
                    && let Some(halves) = (Window { since, until }).halves(1)
                {
                    return Ok(Outcome::Split(planning::windows(halves)));
                }
                first = Some(body);
                None
            }
        };
        let fetch = |last: Option<&str>| {
            let body = match first.take() {
                Some(body) => body,
                None => self.search_page(since, until, last)?,
            };
            self.end_merged(&body, until)?;
            Ok(body)
        };
        let next = |key: &str| Cursor {
            until,
            position: Position::Key(key.to_owned()),
        };
        if self.history.is_some() {
            let ended = batches::search(self, start, fetch, next)?;
            return Ok(ended.or_done(Cursor::end(until)));
        }
        let pages = Pages::new(
            self.host,
            &self.read.stream,
            self.records().deleted("/archived"),
        );
        let ended = pages.by_key(Some("/total"), start, fetch, next)?;
        Ok(ended.or_done(Cursor::end(until)))
    }

    /// Records that became a part of others are in no list and no archive; only those
    /// that they are a part of tell.
    fn end_merged(&self, page: &Body, until: u64) -> Result<(), Failure> {
        let matches = page.value::<u32>("/total")?.unwrap_or(SEARCH_PAGE);
        let more = format!("/results/{matches}/id");
        let records = match matches {
            // A count that is out of date, too, must not hide the last of them.
            0..SEARCH_PAGE if page.plain(&more)?.is_none() => matches,
            _ => SEARCH_PAGE,
        };
        let pointers: Vec<String> = (0..records)
            .map(|place| format!("/results/{place}/properties/{}", schema::MERGED))
            .collect();
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        let found = page.get_many(&pointers)?;
        let texts = found.iter().flatten();
        let merged: Vec<String> = texts
            .filter_map(|raw| serde_json::from_str::<Option<String>>(raw).ok()?)
            .flat_map(|ids| ids.split(';').map(str::to_owned).collect::<Vec<_>>())
            .filter(|id| !id.is_empty())
            .collect();
        if merged.is_empty() {
            return Ok(());
        }
        // After whatever was read of them.
        let at_ms = self.host.now_ms().max(until);
        let stream = &self.read.stream;
        match self.host.emit_deletes(stream, &merged, Some(at_ms)) {
            // What follows is told the same.
            Ok(_) | Err(EmitFault::Stopping) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// A page of the records behind a key. All of a page may have been archived since
    /// the index saw them: such a page is empty and not the last.
    fn search_page(&self, since: u64, until: u64, last: Option<&str>) -> Result<Body, Failure> {
        let mut skipped = 0;
        loop {
            let body = self.search_at(since, until, last, skipped)?;
            if body.plain("/results/0/id")?.is_some() || body.plain(NEXT)?.is_none() {
                return Ok(body);
            }
            // By halves, so that what moves up meanwhile is not passed over.
            skipped += SEARCH_PAGE / 2;
        }
    }

    fn search_at(
        &self,
        since: u64,
        until: u64,
        last: Option<&str>,
        skipped: u32,
    ) -> Result<Body, Failure> {
        let filter = |property: &str, operator: &str, value: &str| json!({"propertyName": property, "operator": operator, "value": value});
        let modified = self.object.modified();
        let mut filters: Vec<Value> = vec![
            filter(modified, "GTE", &since.to_string()),
            filter(modified, "LT", &until.to_string()),
        ];
        if let Some(last) = last {
            filters.push(filter("hs_object_id", "GT", last));
        }
        let mut asked = json!({
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": self.properties,
            "limit": SEARCH_PAGE,
        });
        if skipped > 0 {
            asked["after"] = json!(skipped.to_string());
        }
        let name = self.object.name();
        let request = Request::post("api", format!("/crm/v3/objects/{name}/search"))
            .json(&asked)
            .auth(self.read.config.auth.name())
            .bucket("search")
            // It only asks, so the host may ask again.
            .idempotency_key(format!(
                "{name}-{since}-{until}-{}-{skipped}",
                last.unwrap_or_default()
            ));
        accepted(self.host.fetch(&request)?, name)
    }
}
