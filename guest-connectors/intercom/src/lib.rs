//! Intercom, read without seeing a record: lists by token, changes by search, which
//! knows days alone, companies by scroll, conversations one by one.

mod companies;
mod conversations;
mod declaration;
mod query;
mod reading;
mod schema;

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Numbered, prelude::*};

struct Intercom;

tidegate_sdk::connector!(Intercom);

/// The user's choices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    auth: AuthChoice,
    region: Region,
}

/// Which auth method of the manifest to send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthChoice {
    #[default]
    Oauth,
    AccessToken,
}

impl AuthChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::AccessToken => "access_token",
        }
    }
}

/// Where the workspace's data is; a token is good for its own region alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Region {
    #[default]
    Us,
    Eu,
    Au,
}

impl Region {
    const ALL: [Self; 3] = [Self::Us, Self::Eu, Self::Au];

    /// Its name in settings, and of its endpoint for records.
    fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Au => "au",
        }
    }

    /// The endpoint for descriptions.
    fn schema(self) -> &'static str {
        match self {
            Self::Us => "us_schema",
            Self::Eu => "eu_schema",
            Self::Au => "au_schema",
        }
    }
}

/// A kind of record that is read as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    Contacts,
    Companies,
    Conversations,
    Admins,
    Teams,
    Tags,
    DataAttributes,
}

impl Object {
    const ALL: [Self; 7] = [
        Self::Contacts,
        Self::Companies,
        Self::Conversations,
        Self::Admins,
        Self::Teams,
        Self::Tags,
        Self::DataAttributes,
    ];

    fn of_stream(stream: &str) -> Result<Self, Failure> {
        let named = Self::ALL.into_iter().find(|object| object.name() == stream);
        named.ok_or_else(|| Failure::Config(format!("there is no stream {stream:?}")))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Conversations => "conversations",
            Self::Admins => "admins",
            Self::Teams => "teams",
            Self::Tags => "tags",
            Self::DataAttributes => "data_attributes",
        }
    }

    /// Records carry the time of their last update; the others are short lists.
    fn has_times(self) -> bool {
        matches!(self, Self::Contacts | Self::Companies | Self::Conversations)
    }
}

/// What a partition covers. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Slice {
    /// All records. What changes after `until` is the next run's.
    All { until: u64 },
    /// Records updated at or after `since`, and before about `before` where it is set:
    /// search knows days alone.
    Changed {
        since: u64,
        before: Option<u64>,
        until: u64,
    },
    /// Records deleted at or after `since`.
    Deleted { since: u64, until: u64 },
}

/// How far a partition was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    until: u64,
    position: Position,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    /// Token of the next page.
    Page(String),
    /// The next page of a list with numbers.
    Number(Numbered),
    /// Pages of a scroll, which nobody can go on with: it is begun again.
    Scrolled(u64),
    End,
}

impl Cursor {
    fn end(until: u64) -> Self {
        Self {
            until,
            position: Position::End,
        }
    }
}

impl Connector for Intercom {
    type Config = Config;

    fn manifest() -> Manifest {
        declaration::manifest()
    }
}

impl Source for Intercom {
    type Cursor = Cursor;
    type Slice = Slice;

    fn check(host: &Host, config: &Config) -> Result<(), Failure> {
        schema::check(host, config)
    }

    fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
        schema::discover(host, config)
    }

    fn plan(host: &Host, plan: Plan<Self>) -> Result<Vec<Partition<Slice>>, Failure> {
        let object = Object::of_stream(&plan.stream)?;
        Ok(reading::partitions(object, &plan, host.now_ms()))
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        reading::read(host, &read)
    }
}

/// Every request names the version whose answers this connector knows; without it the
/// application's own would rule. This one is the first that tells of deleted
/// conversations.
fn versioned(request: Request, config: &Config) -> Request {
    request
        .auth(config.auth.name())
        .header("intercom-version", "2.16")
}

/// Where an error says what it is; its message may name persons.
const ERROR_CODE: &str = "/errors/0/code";

/// The body of a 2xx answer. Permissions are granted one by one, so a refused kind of
/// record says nothing about the others.
fn accepted(response: Response, what: &str) -> Result<Body, Failure> {
    let refused = || {
        Failure::Unsupported(format!(
            "no access to {what}; the application lacks the permission, or the plan the feature"
        ))
    };
    match response.status {
        401 if code(&response.body).as_deref() == Some("token_unauthorized") => Err(refused()),
        401 => Err(Failure::Auth(
            "Intercom does not accept the token, or it belongs to another region; authorise again"
                .to_owned(),
        )),
        403 => Err(refused()),
        // It happens, and passes.
        200 if response.body.size() == 0 => {
            Err(Failure::Transient("an answer without a body".to_owned()))
        }
        _ => response.success(),
    }
}

/// What an error is called, where it says so.
fn code(body: &Body) -> Option<String> {
    body.plain(ERROR_CODE).ok().flatten()
}

#[cfg(test)]
mod tests;
