//! LeadSquared, read without seeing a record: windows of change that fit into one page
//! each, because a lead that is edited leaves its page to another.

mod declaration;
mod planning;
mod reading;
mod schema;

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Numbered, prelude::*};

struct LeadSquared;

tidegate_sdk::connector!(LeadSquared);

/// The user's choices. The host fills `region` into the address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(rename = "region")]
    _region: String,
    #[serde(default)]
    keys: Keys,
    /// Codes of opportunity types, where the account does not list them.
    #[serde(default)]
    opportunity_codes: Vec<i64>,
}

/// Where the two keys go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Keys {
    #[default]
    Query,
    Header,
}

impl Keys {
    fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A kind of record that is read as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    Leads,
    Activities,
    Opportunities,
    Users,
}

impl Object {
    const ALL: [Self; 4] = [
        Self::Leads,
        Self::Activities,
        Self::Opportunities,
        Self::Users,
    ];

    fn of_stream(stream: &str) -> Result<Self, Failure> {
        let named = Self::ALL.into_iter().find(|object| object.name() == stream);
        named.ok_or_else(|| Failure::Config(format!("there is no stream {stream:?}")))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Leads => "leads",
            Self::Activities => "activities",
            Self::Opportunities => "opportunities",
            Self::Users => "users",
        }
    }
}

/// What a partition covers. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Slice {
    /// Leads modified in `since..until`, whole seconds.
    Leads { since: u64, until: u64 },
    /// Activities of one type modified in `since..until`, whole seconds.
    Activities { code: i64, since: u64, until: u64 },
    /// Opportunities of one type modified at or after `floor`.
    Opportunities {
        code: i64,
        floor: Option<u64>,
        until: u64,
    },
    /// All users.
    Users { until: u64 },
}

impl Slice {
    fn until(self) -> u64 {
        match self {
            Self::Leads { until, .. }
            | Self::Activities { until, .. }
            | Self::Opportunities { until, .. }
            | Self::Users { until } => until,
        }
    }
}

/// How far a partition was read: all before `until` once `page` is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    until: u64,
    /// The next page.
    page: Option<Numbered>,
}

impl Cursor {
    fn end(until: u64) -> Self {
        Self { until, page: None }
    }
}

impl Connector for LeadSquared {
    type Config = Config;

    fn manifest() -> Manifest {
        declaration::manifest()
    }
}

impl Source for LeadSquared {
    type Cursor = Cursor;
    type Slice = Slice;

    fn check(host: &Host, config: &Config) -> Result<(), Failure> {
        schema::lead_fields(host, config).map(drop)
    }

    fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
        schema::discover(host, config)
    }

    fn plan(host: &Host, plan: Plan<Self>) -> Result<Vec<Partition<Slice>>, Failure> {
        planning::partitions(host, &plan)
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        reading::read(host, &read)
    }
}

/// What an error is called; its message may hold what people wrote.
const EXCEPTION: &str = "/ExceptionType";
const STATUS: &str = "/Status";

/// The body of an answer that is no error. LeadSquared says so with 200 too, and says
/// 500 to what it will never accept: what counts is the name of the exception.
fn accepted(response: Response, what: &str) -> Result<Body, Failure> {
    let status = response.status;
    if status == 401 {
        return Err(keys_refused());
    }
    let says = |pointer: &str| response.body.plain(pointer).ok().flatten();
    if !matches!(status, 200..=299 | 500) {
        return response.success();
    }
    let is_error = status == 500 || says(STATUS).as_deref() == Some("Error");
    match says(EXCEPTION) {
        Some(exception) if is_error => Err(refused(&exception, what)),
        None if status != 500 && is_error => {
            let text = format!("LeadSquared answers {what} with an error of no name");
            Err(Failure::Protocol(text))
        }
        _ => response.success(),
    }
}

fn refused(exception: &str, what: &str) -> Failure {
    let holds = |part: &str| exception.contains(part);
    if holds("RateLimit") || holds("CallLimit") {
        Failure::Throttled(None)
    } else if holds("Unauthori") || holds("Authentication") {
        keys_refused()
    } else if holds("Permission") || holds("AccessDenied") || holds("NotEnabled") {
        Failure::Unsupported(format!(
            "no access to {what} ({exception}); the keys' user needs the permission"
        ))
    } else if exception.starts_with("MX") {
        Failure::Fatal(format!("LeadSquared refuses to list {what}: {exception}"))
    } else {
        Failure::Transient(format!("LeadSquared could not list {what}: {exception}"))
    }
}

fn keys_refused() -> Failure {
    Failure::Auth(
        "LeadSquared does not accept the access key and the secret key; take them, and the region, from Settings, API and Webhooks".to_owned(),
    )
}

#[cfg(test)]
mod tests;
