//! HubSpot CRM objects, read without seeing a record: the host cuts them out
//! of each page, the connector learns only where the next page is.

mod associations;
mod batches;
mod catalog;
mod declaration;
mod planning;
mod reading;
mod schema;
mod searching;
mod shapes;

use serde::{Deserialize, Serialize};
use tidegate_sdk::prelude::*;

use catalog::Entity;

struct HubSpot;

tidegate_sdk::connector!(HubSpot);

/// The user's choices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    auth: AuthChoice,
}

/// Which auth method of the manifest to send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthChoice {
    #[default]
    Oauth,
    PrivateApp,
}

impl AuthChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::PrivateApp => "private_app",
        }
    }
}

/// What a partition covers. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Slice {
    /// Everything, in the list's own order. What changes after `until` is the
    /// next run's.
    List { until: u64 },
    /// Records modified in `since..until`, by search.
    Window { since: u64, until: u64 },
    /// Records archived at or after `floor`.
    Archived { floor: u64, until: u64 },
}

/// How far a partition was read: all before `until` once `position` is `End`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    until: u64,
    position: Position,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    /// Token of the next list page.
    Page(String),
    /// Object id of the last record that was read.
    Key(String),
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

impl Connector for HubSpot {
    type Config = Config;

    fn manifest() -> Manifest {
        declaration::manifest()
    }
}

impl Source for HubSpot {
    type Cursor = Cursor;
    type Slice = Slice;

    fn check(host: &Host, config: &Config) -> Result<(), Failure> {
        account(host, config).map(drop)
    }

    fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
        schema::discover(host, config)
    }

    fn plan(host: &Host, plan: Plan<Self>) -> Result<Vec<Partition<Slice>>, Failure> {
        let entity = Entity::of_stream(&plan.stream)?;
        // Bounds are compared with HubSpot's times: a clock of ours that is ahead
        // would pass over what changes until HubSpot's has caught up.
        let remote_now_ms = account(host, &plan.config)?.unwrap_or(u64::MAX);
        let now_ms = host.now_ms().min(remote_now_ms);
        Ok(planning::partitions(&entity, &plan, now_ms))
    }

    fn read(host: &Host, read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        reading::read(host, &read)
    }
}

/// What every token may ask for: whether it works, and HubSpot's own time in
/// milliseconds since the epoch, where it is told.
fn account(host: &Host, config: &Config) -> Result<Option<u64>, Failure> {
    let request = Request::get("schema", "/account-info/v3/details").auth(config.auth.name());
    let response = host.fetch(&request)?;
    let remote_now_ms = response.remote_now_ms();
    response.success()?;
    Ok(remote_now_ms)
}

/// The body of a 2xx answer. Objects are granted one by one, so a refused one
/// says nothing about the others.
fn accepted(response: Response, what: &str) -> Result<Body, Failure> {
    match response.status {
        403 => Err(Failure::Unsupported(format!("no access to {what}"))),
        477 => Err(Failure::Transient(
            "HubSpot is moving the account".to_owned(),
        )),
        // The edge answers so to a token that it cannot parse.
        530 => Err(Failure::Auth(
            "HubSpot does not recognise the token".to_owned(),
        )),
        _ => response.success(),
    }
}

#[cfg(test)]
mod tests;
