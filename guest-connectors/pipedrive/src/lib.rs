//! Pipedrive, read without seeing a record: lists by cursor, changes by the second.

mod catalog;
mod declaration;
mod reading;
mod schema;

use serde::{Deserialize, Serialize};
use tidegate_sdk::prelude::*;

use crate::catalog::Entity;

struct Pipedrive;

tidegate_sdk::connector!(Pipedrive);

/// The user's choices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    auth: AuthChoice,
}

/// Which auth method of the manifest to send. OAuth tells the company's own host; a
/// token is sent to the shared one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthChoice {
    #[default]
    Oauth,
    ApiToken,
}

impl AuthChoice {
    /// Name of the auth method, and of the bucket whose burst it has.
    fn name(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::ApiToken => "api_token",
        }
    }

    /// The endpoint for records.
    fn records(self) -> &'static str {
        match self {
            Self::Oauth => "company",
            Self::ApiToken => "shared",
        }
    }

    /// The endpoint for descriptions of fields.
    fn fields(self) -> &'static str {
        match self {
            Self::Oauth => "company_fields",
            Self::ApiToken => "shared_fields",
        }
    }
}

/// What a partition covers. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    /// Only what was updated at or after it.
    since: Option<u64>,
    /// Only what was updated before it. Set for a range of history alone: a record that
    /// is edited while it is read must not leave the list.
    before: Option<u64>,
    /// What changes at or after it is the next run's.
    until: u64,
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
    /// Before a page of one of the stream's feeds; its first without a token.
    Page {
        feed: usize,
        token: Option<String>,
    },
    End,
}

impl Connector for Pipedrive {
    type Config = Config;

    fn manifest() -> Manifest {
        declaration::manifest()
    }
}

impl Source for Pipedrive {
    type Cursor = Cursor;
    type Slice = Slice;

    fn check(host: &Host, config: &Config) -> Result<(), Failure> {
        let request = schema::page(config, "/api/v2/dealFields", None).query("limit", 1);
        accepted(host.fetch(&request)?, "the fields of deals").map(drop)
    }

    fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
        schema::discover(host, config)
    }

    fn plan(host: &Host, plan: Plan<Self>) -> Result<Vec<Partition<Slice>>, Failure> {
        let entity = Entity::of_stream(&plan.stream)?;
        Ok(vec![reading::partition(entity, &plan, host.now_ms())])
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        reading::read(host, &read)
    }
}

/// The body of a 2xx answer. Scopes are granted one by one, so a refused kind of
/// record says nothing about the others.
fn accepted(response: Response, what: &str) -> Result<Body, Failure> {
    match response.status {
        401 => Err(Failure::Auth(
            "Pipedrive does not accept the token; authorise again, or set the API token of an active user".to_owned(),
        )),
        402 => Err(Failure::Config(
            "the company's Pipedrive account is not open; its subscription has to be renewed".to_owned(),
        )),
        403 => Err(Failure::Unsupported(format!(
            "no access to {what}; the application lacks its scope, or the user the permission"
        ))),
        415 => Err(Failure::Unsupported(format!(
            "the company's plan does not include {what}"
        ))),
        _ => response.success(),
    }
}

#[cfg(test)]
mod tests;
