//! Reading: every list of an entity to its end, by id, one after the other.

use tidegate_sdk::{Bound, Ended, prelude::*, rfc3339_seconds};

use crate::{
    Cursor, Pipedrive, Position, Slice, accepted,
    catalog::{Entity, Feed},
    declaration::NEXT,
};

/// Updates are told to the second, and its second is still running when a page is
/// made; a write may also take a while to show.
pub(crate) const LOOK_BACK_MS: u64 = 120_000;
/// Deleted deals are listed for thirty days; a day less, to be sure of it.
pub(crate) const DELETES_KEPT_MS: u64 = 29 * 86_400_000;
const SECOND_MS: u64 = 1_000;
const PAGE: u32 = 500;

/// One partition: pages cost the company's daily budget however many read them.
pub(crate) fn partition(entity: &Entity, plan: &Plan<Pipedrive>, now_ms: u64) -> Partition<Slice> {
    let span = Span::of(plan, now_ms, LOOK_BACK_MS, |end| end.cursor.until);
    let slice = match span {
        Span::All { until } => Slice {
            since: None,
            before: None,
            until,
        },
        // A list that cannot be asked for changes is read whole each time.
        _ if !entity.is_incremental => Slice {
            since: None,
            before: None,
            until: span.bounds().1,
        },
        Span::Changed(Window { since, until }) => Slice {
            since: Some(since),
            before: None,
            until,
        },
        Span::Asked(window) => {
            let whole = window.widened_to(SECOND_MS);
            Slice {
                since: Some(whole.since),
                before: Some(whole.until),
                until: window.until,
            }
        }
    };
    let id = match (slice.since, slice.before) {
        (None, _) => "all".to_owned(),
        (Some(since), None) => format!("changed-{since}-{}", slice.until),
        (Some(since), Some(before)) => format!("window-{since}-{before}-{}", slice.until),
    };
    let partition = Partition::new(id, slice);
    match slice.since {
        Some(since) => partition.window(Window {
            since,
            until: slice.until,
        }),
        None => partition,
    }
}

pub(crate) fn read(host: &Host, read: &Read<Pipedrive>) -> Result<Outcome<Pipedrive>, Failure> {
    let entity = Entity::of_stream(&read.stream)?;
    let slice = read.partition.slice;
    let (bound, mut at, mut token) = match &read.cursor {
        None => (Bound::planned(slice.until), 0, None),
        Some(Cursor { until, position }) => match position {
            Position::End => return Ok(Outcome::Done(end(*until))),
            Position::Page { feed, token } => (Bound::saved(*until), *feed, token.clone()),
        },
    };
    let forgotten = |since| slice.until.saturating_sub(since) > DELETES_KEPT_MS;
    if entity.has_deletes() && slice.before.is_none() && slice.since.is_some_and(forgotten) {
        return Err(Failure::StaleCursor(format!(
            "Pipedrive tells of deleted {} for thirty days, and the last run is longer ago",
            entity.name
        )));
    }
    // What was deleted before a first run never landed.
    let feeds = entity
        .feeds
        .iter()
        .filter(|feed| slice.since.is_some() || !feed.is_of_deletes());
    let feeds: Vec<&Feed> = feeds.collect();
    while let Some(feed) = feeds.get(at) {
        let walk = Walk {
            host,
            read,
            entity,
            feed,
            feed_index: at,
            bound: &bound,
        };
        if walk.to_the_end(token.take())? == Ended::Yielded {
            return Ok(Outcome::More);
        }
        at += 1;
        if at < feeds.len() {
            let next = Position::Page {
                feed: at,
                token: None,
            };
            let cursor = Cursor {
                until: bound.until(),
                position: next,
            };
            if read.save(host, &cursor)? != tidegate_sdk::Directive::Proceed {
                return Ok(Outcome::More);
            }
        }
    }
    Ok(Outcome::Done(end(bound.until())))
}

fn end(until: u64) -> Cursor {
    Cursor {
        until,
        position: Position::End,
    }
}

/// The walk through one list.
struct Walk<'a> {
    host: &'a Host,
    read: &'a Read<Pipedrive>,
    entity: &'a Entity,
    feed: &'a Feed,
    feed_index: usize,
    bound: &'a Bound,
}

impl Walk<'_> {
    fn to_the_end(&self, start: Option<String>) -> Result<Ended, Failure> {
        let mut how = Extraction::json("/data").key("/id").kind(self.feed.kind);
        if let Some(modified) = self.entity.modified {
            how = how.cursor(modified, CursorOrder::Timestamp);
        }
        if self.entity.is_incremental {
            how = how.deleted("/is_deleted");
        }
        let fetch = |token: Option<&str>| {
            let response = self.page(token)?;
            // Pages are by id, so a list can be read again from its start.
            if token.is_some() && response.status == 400 {
                let text = "Pipedrive does not know the page any more";
                return Err(Failure::StaleCursor(text.to_owned()));
            }
            accepted(response, self.entity.name)
        };
        let next = |token: &str| Cursor {
            until: self.bound.until(),
            position: Position::Page {
                feed: self.feed_index,
                token: Some(token.to_owned()),
            },
        };
        Pages::new(self.host, &self.read.stream, how).by_token(NEXT, start, fetch, next)
    }

    fn page(&self, token: Option<&str>) -> Result<Response, Failure> {
        let auth = self.read.config.auth;
        let path = match auth {
            crate::AuthChoice::Oauth => self.feed.path,
            crate::AuthChoice::ApiToken => self.feed.shared_path,
        };
        let mut request = Request::get(auth.records(), path)
            .auth(auth.name())
            .bucket(auth.name())
            .cost(self.feed.cost);
        if path.contains("/v2/") {
            request = request.query("limit", PAGE);
        }
        if self.entity.is_incremental {
            // By id: an edited record keeps its place, so none is skipped.
            request = request
                .query("sort_by", "id")
                .query("sort_direction", "asc");
        }
        let slice = self.read.partition.slice;
        if let Some(since) = slice.since {
            request = request.query("updated_since", rfc3339_seconds(since));
        }
        if let Some(before) = slice.before {
            request = request.query("updated_until", rfc3339_seconds(before));
        }
        if let Some(status) = self.feed.status {
            request = request.query("status", status);
        }
        if let Some(token) = token {
            request = request.query("cursor", token);
        }
        let response = self.host.fetch(&request)?;
        self.bound.seen(&response);
        Ok(response)
    }
}
