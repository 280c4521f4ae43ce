//! Steering over HTTP.

use crm_sim::intercom::{Config, Kind};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{get, send, start, unlimited};

#[tokio::test]
async fn the_control_port_edits_deletes_and_tells_the_truth_in_ids_of_the_wire() {
    let sim = start(Config {
        control_port: Some(0),
        conversations: 30,
        ..unlimited()
    })
    .await;
    let control = sim.control_url().unwrap().to_owned();
    let steer = |method: Method, target: &str, body: Value| {
        let (control, target) = (control.clone(), target.to_owned());
        async move {
            send(
                &control,
                method,
                &target,
                &[],
                body.to_string().into_bytes(),
            )
            .await
        }
    };
    let edited = steer(
        Method::POST,
        "/edit",
        json!({"kind": "contacts", "count": 3, "from_ms": 1_772_685_000_000_i64}),
    )
    .await
    .json();
    let id = edited["edited"][0]["id"].as_str().unwrap();
    let contact = get(&sim, &format!("/contacts/{id}")).await.json();
    assert_eq!(contact["updated_at"], 1_772_685_000);
    let gone = steer(
        Method::POST,
        "/delete",
        json!({"kind": "conversations", "count": 2}),
    )
    .await
    .json();
    assert_eq!(gone["ids"].as_array().unwrap().len(), 2);
    let truth = steer(Method::GET, "/truth/conversations?full", Value::Null).await;
    let lines = String::from_utf8(truth.body.to_vec()).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 30);
    assert_eq!(
        lines.iter().filter(|line| line["archived"] == true).count(),
        2
    );
    assert!(
        lines
            .iter()
            .all(|line| line["record"]["conversation_parts"].is_object())
    );
    steer(Method::POST, "/settings", json!({"search_lag_ms": 1000})).await;
    let counters = steer(Method::GET, "/counters", Value::Null).await.json();
    assert_eq!(counters["requests"]["read"], 1);
    let token = steer(Method::POST, "/tokens", Value::Null).await.json();
    assert!(token["access_token"].as_str().unwrap().starts_with("dG9r"));
    assert_eq!(sim.live_count(Kind::Conversations), 28);
}
