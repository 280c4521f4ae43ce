//! How streams are cut, and the reading of contacts and of the short lists.

use tidegate_sdk::{Bound, Summary, prelude::*};

use crate::{Cursor, Intercom, Object, Position, Slice, accepted, companies, conversations};
use crate::{query, versioned};

/// Search shows a change minutes late, by two and a half as was seen; each run reads
/// again what the last one may have missed.
pub(crate) const LOOK_BACK_MS: u64 = 600_000;
pub(crate) const PAGE: u32 = 150;
/// Where a page of a list or a search names the next one.
pub(crate) const NEXT: &str = "/pages/next/starting_after";

pub(crate) fn partitions(
    object: Object,
    plan: &Plan<Intercom>,
    now_ms: u64,
) -> Vec<Partition<Slice>> {
    let span = Span::of(plan, now_ms, LOOK_BACK_MS, |end| end.cursor.until);
    let (since, until) = match (span, span.bounds()) {
        (_, (Some(since), until)) if object.has_times() => (since, until),
        (_, (_, until)) => return vec![Partition::new("all", Slice::All { until })],
    };
    let before = matches!(span, Span::Asked(_)).then_some(until);
    let changed = Partition::new(
        format!("changed-{since}-{until}"),
        Slice::Changed {
            since,
            before,
            until,
        },
    );
    let mut partitions = vec![changed.window(Window { since, until })];
    if object == Object::Conversations {
        partitions.push(Partition::new(
            format!("deleted-{since}-{until}"),
            Slice::Deleted { since, until },
        ));
    }
    partitions
}

pub(crate) fn read(host: &Host, read: &Read<Intercom>) -> Result<Outcome<Intercom>, Failure> {
    let object = Object::of_stream(&read.stream)?;
    let (Slice::All { until } | Slice::Changed { until, .. } | Slice::Deleted { until, .. }) =
        read.partition.slice;
    let (bound, position) = match &read.cursor {
        None => (Bound::planned(until), None),
        Some(Cursor { until, position }) => (Bound::saved(*until), Some(position.clone())),
    };
    if position == Some(Position::End) {
        return Ok(Outcome::Done(Cursor::end(bound.until())));
    }
    let walk = Walk {
        host,
        read,
        object,
        bound,
        position,
    };
    match (object, read.partition.slice) {
        (Object::Contacts, _) => walk.contacts(),
        (Object::Companies, _) => companies::scroll(&walk),
        (Object::Conversations, Slice::Deleted { since, .. }) => {
            conversations::deleted(&walk, since)
        }
        (Object::Conversations, _) => conversations::details(&walk),
        _ => walk.short_lists(),
    }
}

/// One `read` call.
pub(crate) struct Walk<'a> {
    pub(crate) host: &'a Host,
    pub(crate) read: &'a Read<Intercom>,
    pub(crate) object: Object,
    pub(crate) bound: Bound,
    /// Where to go on.
    pub(crate) position: Option<Position>,
}

impl Walk<'_> {
    fn contacts(&self) -> Result<Outcome<Intercom>, Failure> {
        let fetch = |token: Option<&str>| self.page(token);
        let next = |token: &str| self.cursor(Position::Page(token.to_owned()));
        let until_s = self.read_until_s();
        let pages = Pages::new(self.host, &self.read.stream, self.records("/data"))
            .ending_when(|page| is_beyond(page, until_s));
        let ended = pages.by_token(NEXT, self.token()?, fetch, next)?;
        Ok(ended.or_done(Cursor::end(self.bound.until())))
    }

    /// Lists that come in one piece.
    fn short_lists(&self) -> Result<Outcome<Intercom>, Failure> {
        let get = |path: &str| Request::get(self.read.config.region.name(), path);
        let plain = |at: &str| Extraction::json(at).key("/id");
        let attributes = |model: &str| {
            let request = Request::get(self.read.config.region.schema(), "/data_attributes");
            let request = request
                .query("model", model)
                .query("include_archived", true);
            let how = Extraction::json("/data").key("/model").key("/full_name");
            (request, how)
        };
        let lists = match self.object {
            Object::Admins => vec![(get("/admins"), plain("/admins"))],
            Object::Teams => vec![(get("/teams"), plain("/teams"))],
            Object::Tags => vec![(get("/tags"), plain("/data"))],
            _ => vec![attributes("contact"), attributes("company")],
        };
        for (request, how) in lists {
            let body = self.send(request)?;
            self.host.emit_body(&self.read.stream, &body, &how)?;
        }
        Ok(Outcome::Done(Cursor::end(self.bound.until())))
    }

    /// A page of the list, or, where only changes are asked for, of the search.
    pub(crate) fn page(&self, token: Option<&str>) -> Result<Body, Failure> {
        let name = self.object.name();
        let region = self.read.config.region.name();
        let request = match self.read.partition.slice {
            Slice::Changed { since, before, .. } => {
                let query = query::updated(since / 1_000, before.map(|before| before / 1_000));
                let since = since.to_string();
                Request::post(region, format!("/{name}/search"))
                    .json(&query::page(&query, PAGE, token))
                    // It only asks, so the host may ask again.
                    .idempotency_key(format!("{name}-{since}-{}", token.unwrap_or_default()))
            }
            _ => {
                let request = Request::get(region, format!("/{name}")).query("per_page", PAGE);
                match token {
                    Some(token) => request.query("starting_after", token),
                    None => request,
                }
            }
        };
        let response = self.host.fetch(&versioned(request, &self.read.config))?;
        self.bound.seen(&response);
        if token.is_some() && response.status == 400 {
            let text = "Intercom does not know the page any more";
            return Err(Failure::StaleCursor(text.to_owned()));
        }
        accepted(response, name)
    }

    pub(crate) fn send(&self, request: Request) -> Result<Body, Failure> {
        let response = self.host.fetch(&versioned(request, &self.read.config))?;
        self.bound.seen(&response);
        accepted(response, self.object.name())
    }

    /// Records with a time, in a list at this pointer, without those that are too old.
    pub(crate) fn records(&self, at: &str) -> Extraction {
        let how = Extraction::json(at)
            .key("/id")
            .cursor("/updated_at", CursorOrder::Number);
        match self.since_s() {
            Some(since_s) => how.floor(since_s.to_string()),
            None => how,
        }
    }

    /// The lower bound, in whole seconds since the epoch.
    pub(crate) fn since_s(&self) -> Option<u64> {
        match self.read.partition.slice {
            Slice::All { .. } => None,
            Slice::Changed { since, .. } | Slice::Deleted { since, .. } => Some(since / 1_000),
        }
    }

    /// Pages whose every record is later than this end a search: the next run reads
    /// them. A list is in no such order.
    pub(crate) fn read_until_s(&self) -> u64 {
        match self.read.partition.slice {
            Slice::Changed { until, .. } => until / 1_000,
            _ => u64::MAX,
        }
    }

    pub(crate) fn cursor(&self, position: Position) -> Cursor {
        Cursor {
            until: self.bound.until(),
            position,
        }
    }

    pub(crate) fn token(&self) -> Result<Option<String>, Failure> {
        match &self.position {
            None => Ok(None),
            Some(Position::Page(token)) => Ok(Some(token.clone())),
            Some(_) => Err(foreign()),
        }
    }
}

fn is_beyond(page: &Summary, until_s: u64) -> bool {
    let least = page.min_cursor.as_deref();
    let least: Option<u64> = least.and_then(|least| least.parse().ok());
    page.skipped == 0 && least.is_some_and(|least| least > until_s)
}

pub(crate) fn foreign() -> Failure {
    Failure::StaleCursor("the cursor is that of another kind of partition".to_owned())
}
