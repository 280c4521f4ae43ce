//! Salesforce objects, read without seeing a record: the host cuts them out of
//! REST pages and Bulk results, the connector learns only where to go on.

mod bayeux;
mod bulk;
mod catalog;
mod declaration;
mod deleted;
mod live;
mod planning;
mod reading;
mod refusal;
mod schema;
mod soql;

use serde::{Deserialize, Serialize};
use tidegate_sdk::{http_date, prelude::*};

use crate::refusal::ask;

struct Salesforce;

tidegate_sdk::connector!(Salesforce);

/// Where everything lies; results of a job must be asked for in the version that
/// made it.
const BASE: &str = "/services/data/v62.0";
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// Records of an average window, in multiples of what Bulk is worth its calls for.
const WINDOW_SIZE: u64 = 5;

/// The user's choices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    auth: AuthChoice,
    /// First label of the host where people log in; the manifest's URLs hold it.
    login: String,
    /// The objects to read; empty means the usual ones and all custom ones.
    objects: Vec<String>,
    /// Records of a partition above which it is read by Bulk.
    bulk_above: u64,
    /// Records of a page of Bulk results.
    bulk_page_records: u32,
    /// Days of history that one partition covers, at the least.
    window_days: u32,
    /// Records that a partition of a history holds on average, at the least; five times
    /// `bulk_above` without it.
    window_records: Option<u64>,
    /// Whether addresses and locations are read beside their parts; Bulk refuses them.
    compound_fields: bool,
    /// How long a transaction may have been open before it committed.
    look_back_s: u64,
    /// How often a live read also looks by query for what no event told.
    live_check_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auth: AuthChoice::Oauth,
            login: "login".to_owned(),
            objects: Vec::new(),
            bulk_above: 20_000,
            bulk_page_records: 25_000,
            window_days: 30,
            window_records: None,
            compound_fields: false,
            look_back_s: 600,
            live_check_s: 300,
        }
    }
}

impl Config {
    fn look_back_ms(&self) -> u64 {
        self.look_back_s.saturating_mul(SECOND_MS)
    }

    fn window_records(&self) -> u64 {
        let usual = self.bulk_above.saturating_mul(WINDOW_SIZE);
        self.window_records.unwrap_or(usual).max(1)
    }
}

/// Which auth method of the manifest to send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthChoice {
    #[default]
    Oauth,
    Jwt,
    JwtSandbox,
}

impl AuthChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::Jwt => "jwt",
            Self::JwtSandbox => "jwt_sandbox",
        }
    }
}

/// What a partition covers. Times are milliseconds since the epoch, at whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    /// The field that `since..until` is about; none where the object has no such field
    /// and is read whole.
    field: Option<String>,
    /// 0 is no bound.
    since: u64,
    until: u64,
    /// The object has the flag that tells deleted records.
    flagged: bool,
    /// A first read: of what is already deleted nobody needs to hear.
    history: bool,
    /// Where deletes of which only the id is left are known up to; they are read too.
    deletes: Option<u64>,
}

/// How far a partition was read: all before `until` once `position` is `End`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    until: u64,
    /// Up to when Salesforce's list of deletes is complete.
    deletes: Option<u64>,
    position: Position,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    /// Id of the last record that a query page held.
    After(String),
    /// From here on by query, since Bulk did not serve; nothing is read yet.
    Query,
    /// A Bulk job that was made.
    Job(Job),
    /// Of a live slice: the last event that was taken, where one is known. All that
    /// changed before the cursor's `until` was read.
    Live {
        replay: Option<i64>,
        /// The time up to which all changes are known to have been read.
        proven: u64,
    },
    /// Of a live slice: too much changed since `until` to be read beside events.
    Behind,
    End,
}

/// A Bulk job, and which of its pages were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Job {
    id: String,
    made_ms: u64,
    /// It holds only records behind this id.
    after: Option<String>,
    /// Token of the next page; none before the first.
    locator: Option<String>,
    /// Records of the pages so far.
    rows: u64,
    /// Jobs for the same records that came to nothing.
    failures: u32,
}

impl Cursor {
    fn end(until: u64, deletes: Option<u64>) -> Self {
        Self {
            until,
            deletes,
            position: Position::End,
        }
    }
}

impl Connector for Salesforce {
    type Config = Config;

    fn manifest() -> Manifest {
        declaration::manifest()
    }
}

impl Source for Salesforce {
    type Cursor = Cursor;
    type Slice = Slice;

    fn check(host: &Host, config: &Config) -> Result<(), Failure> {
        let request = Request::get("schema", format!("{BASE}/limits")).auth(config.auth.name());
        let asked = ask(host, &request).map_err(|failure| match failure {
            Failure::Auth(text) => Failure::Auth(format!(
                "{text}; authorise the connection again at https://{}.salesforce.com. A user has \
                 five approvals for one app, and a sixth ends the oldest: if it ends again, give \
                 the connection a user of its own",
                config.login
            )),
            other => other,
        })?;
        let response = asked.map_err(|refusal| refusal.failure("the API"))?;
        let left = response.body.value::<i64>("/DailyApiRequests/Remaining")?;
        if left.is_some_and(|left| left <= 0) {
            return Err(Failure::Throttled(None));
        }
        Ok(())
    }

    fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
        catalog::discover(host, config)
    }

    fn plan(host: &Host, plan: Plan<Self>) -> Result<Vec<Partition<Slice>>, Failure> {
        planning::plan(host, &plan)
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        reading::read(host, &read)
    }
}

/// The stream's name goes into paths and queries, so it must be a name.
fn object_of_stream(stream: &str) -> Result<&str, Failure> {
    let is_name = stream.starts_with(|first: char| first.is_ascii_alphabetic())
        && stream
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        Ok(stream)
    } else {
        Err(Failure::Config(format!("there is no object {stream:?}")))
    }
}

/// Salesforce's own time by the header of an answer, at its whole second: that second
/// may still bring changes, the one before may not, but for transactions that are open.
fn server_now_ms(host: &Host, response: &Response) -> u64 {
    let told = response.header("date").and_then(http_date);
    told.unwrap_or_else(|| host.now_ms() / SECOND_MS * SECOND_MS)
}

#[cfg(test)]
mod tests;
