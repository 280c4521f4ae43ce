//! Requests as a client of the LeadSquared API sends them.

use crm_sim::leadsquared::{Config, KeyPair, LeadSquaredSim};
use hyper::Method;
use serde_json::{Value, json};

pub(crate) use crate::hubspot::client::{Answer, send};

/// Without limits, so that tests of other things never meet one.
pub(crate) fn unlimited() -> Config {
    Config {
        limit_scale: None,
        ..Config::default()
    }
}

pub(crate) async fn start(config: Config) -> LeadSquaredSim {
    LeadSquaredSim::start(config).await.unwrap()
}

/// A request with keys in its headers.
pub(crate) async fn call_as(
    sim: &LeadSquaredSim,
    keys: &KeyPair,
    method: Method,
    target: &str,
    body: &Value,
) -> Answer {
    let headers = [
        ("x-lsq-accesskey", keys.access_key.as_str()),
        ("x-lsq-secretkey", keys.secret_key.as_str()),
        ("content-type", "application/json"),
    ];
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    send(
        sim.base_url(),
        method,
        &format!("/v2/{target}"),
        &headers,
        body,
    )
    .await
}

pub(crate) async fn get(sim: &LeadSquaredSim, target: &str) -> Answer {
    call_as(sim, &sim.issue_keys(), Method::GET, target, &Value::Null).await
}

pub(crate) async fn post(sim: &LeadSquaredSim, target: &str, body: &Value) -> Answer {
    call_as(sim, &sim.issue_keys(), Method::POST, target, body).await
}

/// The answer must be this failure.
pub(crate) fn check_problem(answer: &Answer, status: u16, exception: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["Status"]),
        (status, &json!("Error")),
        "{body}"
    );
    assert_eq!(body["ExceptionType"], exception);
    assert!(body["ExceptionMessage"].is_string());
}

/// A lead from the list of its attributes.
pub(crate) fn unlisted(lead: &Value) -> Value {
    let pairs = lead["LeadPropertyList"].as_array().unwrap();
    let pairs = pairs.iter().map(|pair| {
        let name = pair["Attribute"].as_str().unwrap().to_owned();
        (name, pair["Value"].clone())
    });
    Value::Object(pairs.collect())
}

/// The body of a query for what was modified within a span.
pub(crate) fn modified(from: &str, to: &str, page: u64, size: u64) -> Value {
    json!({
        "Parameter": {"FromDate": from, "ToDate": to},
        "Paging": {"PageIndex": page, "PageSize": size},
        "Sorting": {"ColumnName": "ProspectAutoId", "Direction": "0"},
    })
}

pub(crate) const MODIFIED: &str = "LeadManagement.svc/Leads.RecentlyModified";
/// A span that holds every generated record.
pub(crate) const EVER: (&str, &str) = ("2000-01-01 00:00:00", "2099-01-01 00:00:00");
