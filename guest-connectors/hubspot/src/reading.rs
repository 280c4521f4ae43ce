//! Reading a partition: which way, and lists page by token.

use tidegate_sdk::{prelude::*, rfc3339};

use crate::catalog::{Entity, Object};
use crate::{Cursor, HubSpot, Position, Slice, accepted, associations, batches, schema};

pub(crate) const LIST_PAGE: u32 = 100;
/// Records on a page, or in a batch, that come with earlier values.
pub(crate) const HISTORY_PAGE: u32 = 50;
/// HubSpot's edge refuses URLs of about 16,000 bytes.
const QUERY_BYTES_MAX: usize = 15_000;
/// Where a page names the next one.
pub(crate) const NEXT: &str = "/paging/next/after";

pub(crate) fn read(host: &Host, read: &Read<HubSpot>) -> Result<Outcome<HubSpot>, Failure> {
    let entity = Entity::of_stream(&read.stream)?;
    if let Some(Cursor {
        until,
        position: Position::End,
    }) = &read.cursor
    {
        return Ok(Outcome::Done(Cursor::end(*until)));
    }
    let walk = match entity {
        Entity::Associations(from, to) => return associations::read(host, read, &from, &to),
        Entity::Pipelines(object) => return pipelines(host, read, &object),
        Entity::Owners => return owners(host, read),
        Entity::Records(object) => Walk {
            properties: schema::chosen(host, &read.config, &object, &read.fields)?,
            history: None,
            host,
            read,
            object,
        },
        Entity::Stages(object) => Walk {
            properties: [
                Some(object.modified()),
                Some(schema::MERGED),
                object.stage(),
            ]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect(),
            history: object.stage(),
            host,
            read,
            object,
        },
    };
    match read.partition.slice {
        Slice::List { .. } => walk.list(),
        Slice::Archived { floor, .. } => walk.archived(floor),
        Slice::Window { since, until } => walk.search(since, until),
    }
}

/// Pipelines come in one piece.
fn pipelines(
    host: &Host,
    read: &Read<HubSpot>,
    object: &Object,
) -> Result<Outcome<HubSpot>, Failure> {
    let path = format!("/crm/v3/pipelines/{}", object.name());
    let request = Request::get("api", path).auth(read.config.auth.name());
    let body = accepted(host.fetch(&request)?, &read.stream)?;
    let how = Extraction::json("/results").key("/id");
    host.emit_body(&read.stream, &body, &how)?;
    Ok(Outcome::Done(Cursor::end(until(read))))
}

/// Owners, or those who are owners no more: records go on naming them.
fn owners(host: &Host, read: &Read<HubSpot>) -> Result<Outcome<HubSpot>, Failure> {
    let archived = matches!(read.partition.slice, Slice::Archived { .. });
    let fetch = |token: Option<&str>| {
        let mut request = Request::get("api", "/crm/v3/owners")
            .query("limit", LIST_PAGE)
            .query("archived", archived)
            .auth(read.config.auth.name());
        if let Some(token) = token {
            request = request.query("after", token);
        }
        accepted(host.fetch(&request)?, &read.stream)
    };
    let until = until(read);
    let next = |token: &str| Cursor {
        until,
        position: Position::Page(token.to_owned()),
    };
    let pages = Pages::new(host, &read.stream, Extraction::json("/results").key("/id"));
    let ended = pages.by_token(NEXT, token(read)?, fetch, next)?;
    Ok(ended.or_done(Cursor::end(until)))
}

/// End of what the partition covers afterwards: that with which its reading began.
pub(crate) fn until(read: &Read<HubSpot>) -> u64 {
    match (&read.cursor, read.partition.slice) {
        (Some(cursor), _) => cursor.until,
        (
            None,
            Slice::List { until } | Slice::Window { until, .. } | Slice::Archived { until, .. },
        ) => until,
    }
}

/// Where a list goes on.
pub(crate) fn token(read: &Read<HubSpot>) -> Result<Option<String>, Failure> {
    match read.cursor.as_ref().map(|cursor| &cursor.position) {
        None | Some(Position::End) => Ok(None),
        Some(Position::Page(token)) => Ok(Some(token.clone())),
        Some(Position::Key(_)) => Err(foreign()),
    }
}

/// One `read` call on records of a type.
pub(crate) struct Walk<'a> {
    pub(crate) host: &'a Host,
    pub(crate) read: &'a Read<HubSpot>,
    pub(crate) object: Object,
    pub(crate) properties: Vec<String>,
    /// The property whose earlier values are wanted too.
    pub(crate) history: Option<&'static str>,
}

impl Walk<'_> {
    fn list(&self) -> Result<Outcome<HubSpot>, Failure> {
        let names = self.properties.join(",");
        // A comma takes three bytes in a query.
        if names.len() + 2 * self.properties.len() > QUERY_BYTES_MAX {
            return batches::list(self);
        }
        let fetch = |token: Option<&str>| self.list_page(token, "false", &names, self.history);
        self.pages(self.records().deleted("/archived"), fetch)
    }

    /// Archived records are deletes; of each the key and the time are enough.
    fn archived(&self, floor: u64) -> Result<Outcome<HubSpot>, Failure> {
        let how = Extraction::json("/results")
            .key("/id")
            .kind(Change::Delete)
            .cursor("/archivedAt", CursorOrder::Timestamp)
            .floor(rfc3339(floor));
        let fetch =
            |token: Option<&str>| self.list_page(token, "true", self.object.modified(), None);
        self.pages(how, fetch)
    }

    fn pages(
        &self,
        how: Extraction,
        fetch: impl FnMut(Option<&str>) -> Result<Body, Failure>,
    ) -> Result<Outcome<HubSpot>, Failure> {
        let until = until(self.read);
        let next = |token: &str| Cursor {
            until,
            position: Position::Page(token.to_owned()),
        };
        let pages = Pages::new(self.host, &self.read.stream, how);
        let ended = pages.by_token(NEXT, token(self.read)?, fetch, next)?;
        Ok(ended.or_done(Cursor::end(until)))
    }

    /// Records of a page, in lists, searches and batches alike.
    pub(crate) fn records(&self) -> Extraction {
        Extraction::json("/results")
            .key("/id")
            .cursor(self.object.modified_pointer(), CursorOrder::Timestamp)
    }

    pub(crate) fn list_page(
        &self,
        token: Option<&str>,
        archived: &str,
        properties: &str,
        history: Option<&str>,
    ) -> Result<Body, Failure> {
        let limit = history.map_or(LIST_PAGE, |_| HISTORY_PAGE);
        let path = format!("/crm/v3/objects/{}", self.object.name());
        let mut request = Request::get("api", path)
            .query("limit", limit)
            .query("archived", archived)
            .query("properties", properties)
            .auth(self.read.config.auth.name());
        if let Some(history) = history {
            request = request.query("propertiesWithHistory", history);
        }
        if let Some(token) = token {
            request = request.query("after", token);
        }
        accepted(self.host.fetch(&request)?, self.object.name())
    }
}

pub(crate) fn foreign() -> Failure {
    Failure::StaleCursor("the cursor is that of another kind of partition".to_owned())
}
