//! Requests with an API token.

use crm_sim::pipedrive::{Config, PipedriveSim};
use hyper::Method;
use serde_json::Value;

pub(crate) use crate::hubspot::client::{Answer, send};

/// Without limits, and with the first version whatever the date.
pub(crate) async fn unlimited(persons: u32) -> PipedriveSim {
    start(Config {
        persons,
        limit_scale: None,
        v1_retires_ms: None,
        ..Config::default()
    })
    .await
}

pub(crate) async fn start(config: Config) -> PipedriveSim {
    PipedriveSim::start(config).await.unwrap()
}

pub(crate) async fn get(sim: &PipedriveSim, target: &str) -> Answer {
    let headers = [("x-api-token", sim.api_token())];
    send(sim.base_url(), Method::GET, target, &headers, Vec::new()).await
}

pub(crate) async fn get_as(sim: &PipedriveSim, token: &str, target: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    send(sim.base_url(), Method::GET, target, &headers, Vec::new()).await
}

pub(crate) async fn call(sim: &PipedriveSim, method: Method, target: &str, body: &Value) -> Answer {
    let headers = [
        ("x-api-token", sim.api_token()),
        ("content-type", "application/json"),
    ];
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    send(sim.base_url(), method, target, &headers, body).await
}

/// Ids of a page.
pub(crate) fn ids(page: &Value) -> Vec<u64> {
    let records = page["data"].as_array().unwrap();
    let ids = records.iter().map(|record| record["id"].as_u64().unwrap());
    ids.collect()
}

/// Every record of a list of the second version, page by page.
pub(crate) async fn all(sim: &PipedriveSim, target: &str) -> Vec<Value> {
    let mut records = Vec::new();
    let mut next = target.to_owned();
    loop {
        let page = get(sim, &next).await;
        assert_eq!(page.status, 200, "{next}: {:?}", page.json());
        let page = page.json();
        records.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["additional_data"]["next_cursor"].as_str() {
            Some(cursor) => {
                let cursor = cursor.replace('+', "%2B").replace('=', "%3D");
                next = format!("{target}&cursor={cursor}");
            }
            None => return records,
        }
    }
}
