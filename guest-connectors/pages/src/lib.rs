//! The connector of the bench: one list of contacts, read blind, in one walk or in a
//! window a day. It is what a connector costs that only says where to read.

mod schema;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_sdk::{Auth, prelude::*, rfc3339};

struct Contacts;

tidegate_sdk::connector!(Contacts);

const LIST: &str = "/crm/v3/objects/contacts";
/// Where a page names the next one.
const NEXT: &str = "/paging/next/after";
/// The first window, 2026-01-01 in milliseconds since the epoch.
const FIRST_DAY_MS: u64 = 1_767_225_600_000;
const DAY_MS: u64 = 86_400_000;

/// The user's choices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Contacts on a page.
    page_size: u32,
    /// Days to read side by side; 0 reads the whole list in one walk.
    windows: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            page_size: 100,
            windows: 0,
        }
    }
}

/// A day of the list, or all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    date: Option<String>,
}

/// The token of the next page; none at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Next(Option<String>);

impl Connector for Contacts {
    type Config = Config;

    fn manifest() -> Manifest {
        let api = "https://api.hubapi.com";
        Manifest::new("pages", "Pages of contacts", env!("CARGO_PKG_VERSION"))
            .config_schema(json!({
                "type": "object",
                "properties": {
                    "page_size": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
                    "windows": {"type": "integer", "minimum": 0, "maximum": 31, "default": 0}
                },
                "additionalProperties": false
            }))
            .endpoint(Endpoint::data("api", api).path(LIST))
            .endpoint(
                Endpoint::metadata("schema", api)
                    .path("/crm/v3/properties/")
                    .path("/account-info/"),
            )
            .auth(
                "private_app",
                Auth::key(
                    "token",
                    Place::Header("authorization".to_owned()),
                    "Bearer ",
                ),
            )
            // So many that the source's own limit is what holds.
            .limit(Limit::paced(100_000, 1_000, 1_000).bucket("default"))
            .response(ResponseRule::status(429, ResponseClass::ThrottledShort))
            .response(ResponseRule::status(401, ResponseClass::Auth))
            .response(ResponseRule::range(500, 599, ResponseClass::Transient))
            .paging_pointer(NEXT)
            .blind()
    }
}

impl Source for Contacts {
    type Cursor = Next;
    type Slice = Slice;

    fn check(host: &Host, _: &Config) -> Result<(), Failure> {
        fetch(host, Request::get("schema", "/account-info/v3/details")).map(drop)
    }

    fn discover(host: &Host, _: &Config) -> Result<Vec<Stream>, Failure> {
        let listed = Request::get("schema", "/crm/v3/properties/contacts");
        let listed = fetch(host, listed)?.text()?;
        let contacts = Stream::new("contacts", schema::of(&listed)?);
        Ok(vec![contacts.primary_key("/id").splittable()])
    }

    fn plan(_: &Host, plan: Plan<Self>) -> Result<Vec<Partition<Slice>>, Failure> {
        Ok(match plan.config.windows {
            0 => vec![Partition::new("list", Slice { date: None })],
            windows => (0..windows.into()).map(day).collect(),
        })
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        let records = Extraction::json("/results")
            .key("/id")
            .cursor("/updatedAt", CursorOrder::Timestamp)
            .deleted("/archived");
        let page = |token: Option<&str>| {
            let mut request = Request::get("api", LIST).query("limit", read.config.page_size);
            if let Some(date) = &read.partition.slice.date {
                request = request.query("date", date);
            }
            if let Some(token) = token {
                request = request.query("after", token);
            }
            fetch(host, request)
        };
        let start = read.cursor.and_then(|next| next.0);
        let pages = Pages::new(host, &read.stream, records);
        let ended = pages.by_token(NEXT, start, page, |token| Next(Some(token.to_owned())))?;
        Ok(ended.or_done(Next(None)))
    }
}

fn fetch(host: &Host, request: Request) -> Result<Body, Failure> {
    host.fetch(&request.auth("private_app"))?.success()
}

fn day(index: u64) -> Partition<Slice> {
    let since = FIRST_DAY_MS + index * DAY_MS;
    let date = rfc3339(since)[..10].to_owned();
    let until = since + DAY_MS;
    Partition::new(date.clone(), Slice { date: Some(date) }).window(Window { since, until })
}

#[cfg(test)]
mod tests;
