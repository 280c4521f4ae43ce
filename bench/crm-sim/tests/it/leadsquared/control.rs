//! Steering over HTTP.

use crm_sim::leadsquared::{Config, KeyPair, Kind};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call_as, send, start, unlimited};

#[tokio::test]
async fn the_control_port_gives_keys_edits_deletes_and_tells_the_truth() {
    let sim = start(Config {
        control_port: Some(0),
        leads: 20,
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
    let issued = steer(Method::POST, "/tokens", Value::Null).await.json();
    let keys = KeyPair {
        access_key: issued["access_key"].as_str().unwrap().to_owned(),
        secret_key: issued["secret_key"].as_str().unwrap().to_owned(),
    };
    let users = || {
        call_as(
            &sim,
            &keys,
            Method::GET,
            "UserManagement.svc/Users.Get",
            &Value::Null,
        )
    };
    assert_eq!(users().await.status, 200);
    let edited = steer(
        Method::POST,
        "/edit",
        json!({"kind": "leads", "count": 2, "from_ms": 1_772_685_000_000_i64}),
    )
    .await
    .json();
    let id = edited["edited"][0]["id"].as_str().unwrap();
    assert_eq!(edited["edited"][0]["version"], "2026-03-05T04:30:00Z");
    steer(
        Method::POST,
        "/delete",
        json!({"kind": "leads", "ids": [id]}),
    )
    .await;
    let truth = steer(Method::GET, "/truth/leads?full", Value::Null).await;
    let text = String::from_utf8(truth.body.to_vec()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 20);
    let gone = lines.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!(
        (&gone["archived"], &gone["record"]["ProspectID"]),
        (&json!(true), &json!(id))
    );
    steer(
        Method::POST,
        "/settings",
        json!({"refusal": "status200", "limit_scale": 0.04}),
    )
    .await;
    assert_eq!(
        users().await.json()["ExceptionType"],
        "MXAPIRateLimitExceededException"
    );
    steer(Method::DELETE, "/tokens", Value::Null).await;
    assert_eq!(users().await.status, 401);
    assert_eq!(sim.live_count(Kind::Leads), 19);
}
