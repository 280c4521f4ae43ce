//! Reading a partition: lists page by token, search windows by key.

use serde_json::{Value, json};
use tidegate_sdk::{prelude::*, rfc3339};

use crate::{Cursor, HubSpot, Object, Position, Slice, accepted, planning, schema};

/// Search answers no more than this many matches, however they are paged.
const SEARCH_MATCHES_MAX: u64 = 10_000;
const SEARCH_PAGE: u32 = 200;
const LIST_PAGE: u32 = 100;
/// HubSpot's edge refuses URLs of about 16,000 bytes.
const QUERY_BYTES_MAX: usize = 15_000;

pub(crate) fn read(host: &Host, read: &Read<HubSpot>) -> Result<Outcome<HubSpot>, Failure> {
    let object = Object::of_stream(&read.stream)?;
    let properties = schema::chosen(host, &read.config, object, &read.fields)?;
    let walk = Walk {
        host,
        read,
        object,
        properties,
    };
    match read.partition.slice {
        Slice::List { until } => walk.list(until, records(object).deleted("/archived"), "false"),
        Slice::Archived { floor, until } => {
            let how = Extraction::json("/results")
                .key("/id")
                .kind(Change::Delete)
                .cursor("/archivedAt", CursorOrder::Timestamp)
                .floor(rfc3339(floor));
            walk.list(until, how, "true")
        }
        Slice::Window { since, until } => walk.search(since, until),
    }
}

/// Records of a page, in lists and searches alike.
fn records(object: Object) -> Extraction {
    Extraction::json("/results")
        .key("/id")
        .cursor(object.modified_pointer(), CursorOrder::Timestamp)
}

/// One `read` call.
struct Walk<'a> {
    host: &'a Host,
    read: &'a Read<HubSpot>,
    object: Object,
    properties: Vec<String>,
}

impl Walk<'_> {
    fn list(
        &self,
        until: u64,
        how: Extraction,
        archived: &str,
    ) -> Result<Outcome<HubSpot>, Failure> {
        let properties = self.properties.join(",");
        // A comma takes three bytes in a query.
        if properties.len() + 2 * self.properties.len() > QUERY_BYTES_MAX {
            return Err(Failure::Config(format!(
                "{} properties of {} do not fit into one request; choose fields for this stream",
                self.properties.len(),
                self.object.name()
            )));
        }
        let (until, start) = match &self.read.cursor {
            Some(Cursor {
                until,
                position: Position::Page(token),
            }) => (*until, Some(token.clone())),
            Some(Cursor {
                until,
                position: Position::End,
            }) => {
                return Ok(Outcome::Done(Cursor::end(*until)));
            }
            Some(Cursor {
                position: Position::Key(_),
                ..
            }) => return Err(foreign()),
            None => (until, None),
        };
        let fetch = |token: Option<&str>| {
            let path = format!("/crm/v3/objects/{}", self.object.name());
            let mut request = Request::get("api", path)
                .query("limit", LIST_PAGE)
                .query("archived", archived)
                .query("properties", &properties)
                .auth(self.read.config.auth.name());
            if let Some(token) = token {
                request = request.query("after", token);
            }
            accepted(self.host.fetch(&request)?, self.object)
        };
        let next = |token: &str| Cursor {
            until,
            position: Position::Page(token.to_owned()),
        };
        let pages = Pages::new(self.host, &self.read.stream, how);
        let ended = pages.by_token("/paging/next/after", start, fetch, next)?;
        Ok(ended.or_done(Cursor::end(until)))
    }

    /// A record that is edited leaves the window while it is being read, and
    /// would shift the pages behind it: so they are asked for by key, never by
    /// offset.
    fn search(&self, since: u64, until: u64) -> Result<Outcome<HubSpot>, Failure> {
        let mut first = None;
        let start = match &self.read.cursor {
            Some(Cursor {
                position: Position::Key(key),
                ..
            }) => Some(key.clone()),
            Some(Cursor {
                position: Position::End,
                ..
            }) => {
                return Ok(Outcome::Done(Cursor::end(until)));
            }
            Some(Cursor {
                position: Position::Page(_),
                ..
            }) => return Err(foreign()),
            None => {
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
        let fetch = |last: Option<&str>| match first.take() {
            Some(body) => Ok(body),
            None => self.search_page(since, until, last),
        };
        let next = |key: &str| Cursor {
            until,
            position: Position::Key(key.to_owned()),
        };
        let how = records(self.object).deleted("/archived");
        let pages = Pages::new(self.host, &self.read.stream, how);
        let ended = pages.by_key(Some("/total"), start, fetch, next)?;
        Ok(ended.or_done(Cursor::end(until)))
    }

    fn search_page(&self, since: u64, until: u64, last: Option<&str>) -> Result<Body, Failure> {
        let filter = |property: &str, operator: &str, value: &str| json!({"propertyName": property, "operator": operator, "value": value});
        let modified = self.object.modified();
        let mut filters: Vec<Value> = vec![
            filter(modified, "GTE", &since.to_string()),
            filter(modified, "LT", &until.to_string()),
        ];
        if let Some(last) = last {
            filters.push(filter("hs_object_id", "GT", last));
        }
        let name = self.object.name();
        let request = Request::post("api", format!("/crm/v3/objects/{name}/search"))
            .json(&json!({
                "filterGroups": [{"filters": filters}],
                "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                "properties": self.properties,
                "limit": SEARCH_PAGE,
            }))
            .auth(self.read.config.auth.name())
            .bucket("search")
            // It only asks, so the host may ask again.
            .idempotency_key(format!(
                "{name}-{since}-{until}-{}",
                last.unwrap_or_default()
            ));
        accepted(self.host.fetch(&request)?, self.object)
    }
}

fn foreign() -> Failure {
    Failure::StaleCursor("the cursor is that of another kind of partition".to_owned())
}
