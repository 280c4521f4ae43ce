//! Requests as a client of the Intercom API sends them.

use std::collections::BTreeSet;

use crm_sim::intercom::{Config, IntercomSim};
use hyper::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

pub(crate) use crate::hubspot::client::{Answer, send};

/// Without limits, so that tests of other things never meet one.
pub(crate) fn unlimited() -> Config {
    Config {
        limit_scale: None,
        ..Config::default()
    }
}

pub(crate) async fn start(config: Config) -> IntercomSim {
    IntercomSim::start(config).await.unwrap()
}

/// A request of API version 2.14 with the workspace's own token.
pub(crate) async fn call(sim: &IntercomSim, method: Method, target: &str, body: &Value) -> Answer {
    call_as(sim, "2.14", method, target, body).await
}

pub(crate) async fn call_as(
    sim: &IntercomSim,
    version: &str,
    method: Method,
    target: &str,
    body: &Value,
) -> Answer {
    let bearer = format!("Bearer {}", sim.access_token());
    let headers = [
        ("authorization", bearer.as_str()),
        ("intercom-version", version),
        ("content-type", "application/json"),
    ];
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    send(sim.base_url(), method, target, &headers, body).await
}

pub(crate) async fn get(sim: &IntercomSim, target: &str) -> Answer {
    call(sim, Method::GET, target, &Value::Null).await
}

pub(crate) async fn post(sim: &IntercomSim, target: &str, body: &Value) -> Answer {
    call(sim, Method::POST, target, body).await
}

/// The answer must be this failure.
pub(crate) fn check_problem(answer: &Answer, status: u16, code: &str, message: &str) {
    let body = answer.json();
    let request_id = answer.header("x-request-id").unwrap();
    assert_eq!(body["type"], "error.list");
    assert_eq!(body["request_id"], request_id);
    let error = &body["errors"][0];
    let seen = (
        answer.status,
        error["code"].as_str(),
        error["message"].as_str(),
    );
    assert_eq!(seen, (status, Some(code), Some(message)));
}

pub(crate) fn ids(page: &Value, key: &str) -> Vec<String> {
    let records = page[key].as_array().unwrap();
    let ids = records.iter().map(|record| record["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// Follows the cursors of a list to its end; every record once.
pub(crate) async fn list_all(sim: &IntercomSim, path: &str, key: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut target = format!("{path}?per_page=37");
    loop {
        let page = get(sim, &target).await.json();
        for id in ids(&page, key) {
            assert!(all.insert(id.clone()), "{id} came twice");
        }
        let Some(cursor) = page["pages"]["next"]["starting_after"].as_str() else {
            return all;
        };
        let cursor: String = form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
        target = format!("{path}?per_page=37&starting_after={cursor}");
    }
}

/// Follows the cursors of a search to its end; records in the order they came.
pub(crate) async fn search_all(sim: &IntercomSim, path: &str, body: &Value) -> Vec<Value> {
    let key = if path.contains("contacts") {
        "data"
    } else {
        "conversations"
    };
    let mut body = body.clone();
    let mut all = Vec::new();
    loop {
        let answer = post(sim, path, &body).await;
        let page = answer.json();
        assert_eq!(answer.status, 200, "{page}");
        all.extend(page[key].as_array().unwrap().iter().cloned());
        let next = page["pages"]["next"]["starting_after"].as_str();
        let Some(cursor) = next else {
            assert_eq!(page["total_count"], all.len());
            return all;
        };
        body["pagination"] = json!({"per_page": 150, "starting_after": cursor});
    }
}
