//! The control API, as other processes use it.

use crm_sim::salesforce::{Config, Object, Salesforce};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{all_ids, get, query_path, send, start};

async fn sim() -> Salesforce {
    start(Config {
        control_port: Some(0),
        counts: [(Object::Account, 100), (Object::User, 2)].into(),
        ..Config::default()
    })
    .await
}

async fn steer(sim: &Salesforce, method: Method, path: &str, body: &Value) -> Value {
    let url = sim.control_url().unwrap();
    let answer = send(url, method, path, &[], body.to_string().into_bytes()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    answer.json()
}

#[tokio::test]
async fn records_and_the_clock_are_steered_by_ids_of_the_wire() {
    let sim = sim().await;
    let now_ms = 1_780_000_000_000_i64;
    steer(
        &sim,
        Method::POST,
        "/settings",
        &json!({"clock_fixed_ms": now_ms}),
    )
    .await;
    let edited = steer(
        &sim,
        Method::POST,
        "/edit",
        &json!({"kind": "Account", "count": 2}),
    )
    .await;
    let id = edited["edited"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(edited["edited"][0]["version"], "2026-05-28T20:26:40Z");
    let body = json!({"kind": "Account", "ids": [id]});
    let gone = steer(&sim, Method::POST, "/delete", &body).await;
    assert_eq!(gone["ids"], json!([id]));
    assert_eq!(
        all_ids(&sim, &query_path("SELECT Id FROM Account"))
            .await
            .len(),
        99
    );
    let back = steer(&sim, Method::POST, "/undelete", &body).await;
    assert_eq!(back["ids"], json!([id]));
    let created = steer(
        &sim,
        Method::POST,
        "/create",
        &json!({"kind": "Account", "count": 3}),
    )
    .await;
    assert_eq!(created["ids"].as_array().unwrap().len(), 3);
    steer(
        &sim,
        Method::POST,
        "/touch",
        &json!({"kind": "Account", "ids": [id]}),
    )
    .await;
    let field = json!({"object": "Account", "name": "Score__c", "type": "double"});
    assert_eq!(
        steer(&sim, Method::POST, "/fields", &field).await["changed"],
        true
    );
    let score = get(&sim, &query_path("SELECT Score__c FROM Account LIMIT 1")).await;
    assert_eq!(score.status, 200);
    let drop = json!({"object": "Account", "name": "Score__c"});
    assert_eq!(
        steer(&sim, Method::DELETE, "/fields", &drop).await["changed"],
        true
    );
    steer(
        &sim,
        Method::POST,
        "/settings",
        &json!({"open_transaction_ms": now_ms, "spend_requests": 500}),
    )
    .await;
    let counters = steer(&sim, Method::GET, "/counters", &json!({})).await;
    assert!(
        counters["daily_used"].as_u64().unwrap() >= 500,
        "{counters}"
    );
    assert_eq!(counters["requests"]["query"], 2);
    let url = sim.control_url().unwrap();
    let truth = send(url, Method::GET, "/truth/Account?full", &[], Vec::new()).await;
    let text = String::from_utf8(truth.body.to_vec()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 103);
    let mine = lines.iter().find(|line| line["id"] == id.as_str()).unwrap();
    assert_eq!(mine["record"]["Id"], id.as_str());
    assert_eq!(mine["version"], "2026-05-28T20:26:40Z");
    let unknown = send(
        url,
        Method::POST,
        "/settings",
        &[],
        br#"{"nothing":1}"#.to_vec(),
    )
    .await;
    assert_eq!(unknown.status, 400);
}
