//! Settings and subscriptions of the application's webhooks. They belong to the
//! application, not to an account: a developer's key opens them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::Reply;
use super::route::Hooks;
use crate::clock::iso;
use crate::hubspot::account::Account;
use crate::hubspot::problem::Problem;
use crate::hubspot::webhooks::{Settings, Wanted};

/// What a subscription may be to.
const WHAT: [&str; 6] = [
    "creation",
    "deletion",
    "propertyChange",
    "merge",
    "restore",
    "associationChange",
];

#[derive(Deserialize)]
struct Activation {
    active: bool,
}

#[derive(Deserialize)]
struct Activations {
    inputs: Vec<OneActivation>,
}

#[derive(Deserialize)]
struct OneActivation {
    id: u64,
    active: bool,
}

/// Answers a request about webhooks.
pub(super) fn answer(
    account: &Account,
    app: &str,
    what: &Hooks,
    query: &str,
    body: &[u8],
) -> Result<Reply, Problem> {
    let form = crate::tokens::form(query.as_bytes());
    if form.get("hapikey") != Some(&account.config.developer_key) {
        return Err(Problem::no_credentials());
    }
    if app != account.config.app_id.to_string() {
        return Err(Problem::not_found());
    }
    let hooks = &account.webhooks;
    let now_ms = account.clock.now_ms();
    match what {
        Hooks::ReadSettings => match hooks.settings() {
            Some(settings) => Ok(Reply::value(200, &shown(&settings, now_ms))),
            None => Err(Problem::not_found()),
        },
        Hooks::Configure => {
            let settings: Settings = read(body)?;
            if url::Url::parse(&settings.target_url).is_err() {
                return Err(Problem::validation("targetUrl is not a URL".to_owned()));
            }
            hooks.configure(Some(settings.clone()));
            Ok(Reply::value(200, &shown(&settings, now_ms)))
        }
        Hooks::Clear => {
            hooks.configure(None);
            Ok(Reply::empty(204))
        }
        Hooks::List => {
            let all = hooks.subscriptions();
            let results: Vec<Value> = all.iter().map(|one| one.shown()).collect();
            Ok(Reply::value(200, &json!({ "results": results })))
        }
        Hooks::Subscribe => {
            let wanted: Wanted = read(body)?;
            check(&wanted)?;
            Ok(Reply::value(201, &hooks.subscribe(wanted, now_ms).shown()))
        }
        Hooks::Read(id) => {
            let all = hooks.subscriptions();
            let found = all.iter().find(|one| Some(one.id) == id.parse().ok());
            let found = found.ok_or_else(Problem::not_found)?;
            Ok(Reply::value(200, &found.shown()))
        }
        Hooks::Activate(id) => {
            let wanted: Activation = read(body)?;
            let id = id.parse().map_err(|_| Problem::not_found())?;
            let changed = hooks.activate(id, wanted.active, now_ms);
            let changed = changed.ok_or_else(Problem::not_found)?;
            Ok(Reply::value(200, &changed.shown()))
        }
        Hooks::ActivateMany => {
            let wanted: Activations = read(body)?;
            let changed = wanted.inputs.iter();
            let changed = changed.filter_map(|one| hooks.activate(one.id, one.active, now_ms));
            let results: Vec<Value> = changed.map(|one| one.shown()).collect();
            Ok(Reply::value(
                200,
                &json!({
                    "status": "COMPLETE", "results": results,
                    "startedAt": iso(now_ms), "completedAt": iso(now_ms),
                }),
            ))
        }
        Hooks::Unsubscribe(id) => {
            if let Ok(id) = id.parse() {
                hooks.unsubscribe(id);
            }
            Ok(Reply::empty(204))
        }
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::invalid_json(&error))
}

fn shown(settings: &Settings, now_ms: i64) -> Value {
    json!({
        "targetUrl": settings.target_url,
        "throttling": {
            "maxConcurrentRequests": settings.throttling.max_concurrent_requests,
            "period": "SECONDLY",
        },
        "createdAt": iso(now_ms),
        "updatedAt": iso(now_ms),
    })
}

fn check(wanted: &Wanted) -> Result<(), Problem> {
    let known = ["contact", "company", "deal", "ticket", "object"];
    let parts = wanted.event_type.split_once('.');
    let Some((object, what)) =
        parts.filter(|(object, what)| known.contains(object) && WHAT.contains(what))
    else {
        return Err(Problem::validation(format!(
            "{} is not a valid event type",
            wanted.event_type
        )));
    };
    if object == "object" && wanted.object_type_id.is_none() {
        return Err(Problem::validation("objectTypeId must be given".to_owned()));
    }
    if what == "propertyChange" && wanted.property_name.is_none() {
        return Err(Problem::validation("propertyName must be given".to_owned()));
    }
    Ok(())
}
