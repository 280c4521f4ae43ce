//! Requests to the Salesforce simulator.

use std::collections::BTreeMap;

use crm_sim::salesforce::{Config, Object, Salesforce};
use hyper::Method;
use serde_json::Value;
use url::form_urlencoded;

pub(crate) use crate::hubspot::client::{Answer, send};

/// Start of every path of the data API.
pub(crate) const DATA: &str = "/services/data/v62.0";

/// A small org without limits.
pub(crate) async fn org(counts: &[(Object, u32)]) -> Salesforce {
    start(Config {
        counts: BTreeMap::from_iter(counts.iter().copied()),
        limit_scale: None,
        ..Config::default()
    })
    .await
}

pub(crate) async fn start(config: Config) -> Salesforce {
    Salesforce::start(config).await.unwrap()
}

/// A request with this session.
pub(crate) async fn call_as(
    sim: &Salesforce,
    token: &str,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    send(sim.base_url(), method, target, &all, body).await
}

/// A GET of the data API with a fresh session.
pub(crate) async fn get(sim: &Salesforce, path: &str) -> Answer {
    let token = sim.issue_tokens().access_token;
    let target = format!("{DATA}{path}");
    call_as(sim, &token, Method::GET, &target, &[], Vec::new()).await
}

/// A JSON request of the data API with a fresh session.
pub(crate) async fn call(sim: &Salesforce, method: Method, path: &str, body: &Value) -> Answer {
    let token = sim.issue_tokens().access_token;
    let target = format!("{DATA}{path}");
    let json = [("content-type", "application/json")];
    let body = body.to_string().into_bytes();
    call_as(sim, &token, method, &target, &json, body).await
}

/// A form without a session.
pub(crate) async fn form(sim: &Salesforce, target: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    send(
        sim.base_url(),
        Method::POST,
        target,
        &headers,
        body.into_bytes(),
    )
    .await
}

pub(crate) fn query_path(soql: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", soql)
        .finish();
    format!("/query?{query}")
}

pub(crate) fn query_all_path(soql: &str) -> String {
    query_path(soql).replacen("/query?", "/queryAll?", 1)
}

/// Every record of a query, through all its pages.
pub(crate) async fn all_records(sim: &Salesforce, path: &str) -> Vec<Value> {
    let token = sim.issue_tokens().access_token;
    let mut target = format!("{DATA}{path}");
    let mut records = Vec::new();
    loop {
        let answer = call_as(sim, &token, Method::GET, &target, &[], Vec::new()).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        let page = answer.json();
        records.extend(page["records"].as_array().unwrap().iter().cloned());
        match page["nextRecordsUrl"].as_str() {
            Some(next) => target = next.to_owned(),
            None => {
                assert_eq!(page["done"], true);
                return records;
            }
        }
    }
}

/// The ids of a query's records.
pub(crate) async fn all_ids(sim: &Salesforce, path: &str) -> Vec<String> {
    let records = all_records(sim, path).await;
    let ids = records.iter().map(|record| record["Id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// Code of the first error of a failed request.
pub(crate) fn code(answer: &Answer) -> String {
    answer.json()[0]["errorCode"]
        .as_str()
        .unwrap_or("")
        .to_owned()
}
