//! Subscriptions to changes: who may have them, what they are told, and how they are
//! known to the receiver.

use crm_sim::pipedrive::{Config, Kind};
use data_encoding::BASE64;
use hyper::Method;
use serde_json::json;

use super::client::{call, start};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_subscriber_is_told_what_changed_and_what_it_was_before() {
    let receiver = Receiver::answering(&[200]).await;
    let sim = start(Config {
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let wanted = json!({
        "subscription_url": receiver.url, "event_action": "*", "event_object": "deal",
        "name": "lake", "http_auth_user": "tide", "http_auth_password": "gate", "version": "2.0"
    });
    let answer = call(&sim, Method::POST, "/v1/webhooks", &wanted).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let id = answer.json()["data"]["id"].clone();
    let at_ms = sim.clock().now_ms();
    let deal = sim.create(Kind::Deals, 1, at_ms - 60_000);
    sim.edit(Kind::Persons, &[1], at_ms - 30_000);
    sim.edit(Kind::Deals, &deal, at_ms - 30_000);
    sim.delete(Kind::Deals, &deal, at_ms);
    let received = receiver.deliveries(3).await;
    let events: Vec<_> = received.iter().map(|one| one.json()).collect();
    let actions = events.iter().map(|event| event["meta"]["action"].clone());
    assert_eq!(actions.collect::<Vec<_>>(), ["create", "change", "delete"]);
    for event in &events {
        assert_eq!(event["meta"]["entity"], "deal");
        assert_eq!(event["meta"]["entity_id"], deal[0].to_string());
        assert_eq!(event["meta"]["webhook_id"], id.to_string());
    }
    let changed = events[1]["previous"].as_object().unwrap();
    assert!(changed.contains_key("update_time"), "{changed:?}");
    assert!(!changed.contains_key("id") && !changed.contains_key("add_time"));
    assert_eq!(events[1]["data"]["id"], deal[0]);
    assert!(events[2]["data"].is_null() && events[2]["previous"]["id"] == deal[0]);
    let expected = format!("Basic {}", BASE64.encode(b"tide:gate"));
    assert_eq!(received[0].header("authorization"), Some(expected.as_str()));

    let listed = call(&sim, Method::GET, "/v1/webhooks", &json!(null)).await;
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1);
    let path = format!("/v1/webhooks/{id}");
    for status in [200, 404] {
        let ended = call(&sim, Method::DELETE, &path, &json!(null)).await;
        assert_eq!(ended.status, status);
    }
}

#[tokio::test]
async fn what_the_api_itself_writes_is_told_and_what_is_refused_is_told_again() {
    let receiver = Receiver::answering(&[503, 200]).await;
    let sim = start(Config {
        limit_scale: None,
        webhook_waits_ms: vec![1, 1],
        ..Config::default()
    })
    .await;
    let wanted = json!({
        "subscription_url": receiver.url, "event_action": "create", "event_object": "person"
    });
    call(&sim, Method::POST, "/v1/webhooks", &wanted).await;
    let person = json!({"name": "Ada Byron"});
    call(&sim, Method::POST, "/api/v2/persons", &person).await;
    let received = receiver.deliveries(2).await;
    let attempts = received
        .iter()
        .map(|one| one.json()["meta"]["attempt"].clone());
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 2]);
    assert_eq!(received[1].json()["data"]["name"], "Ada Byron");
    while sim.deliveries().len() < 2 {
        tokio::task::yield_now().await;
    }
    let statuses = sim.deliveries().into_iter().map(|one| one.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [Some(503), Some(200)]);
}

#[tokio::test]
async fn subscriptions_that_make_no_sense_are_refused_and_forty_are_enough() {
    let sim = start(Config {
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let good = json!({
        "subscription_url": "http://127.0.0.1:9/", "event_action": "*", "event_object": "*"
    });
    for (name, value) in [
        ("subscription_url", "somewhere"),
        ("event_action", "updated"),
        ("event_object", "invoice"),
    ] {
        let mut wrong = good.clone();
        wrong[name] = value.into();
        let answer = call(&sim, Method::POST, "/v1/webhooks", &wrong).await;
        assert_eq!(answer.status, 400, "{name}");
    }
    for status in std::iter::repeat_n(201, 40).chain([400]) {
        let answer = call(&sim, Method::POST, "/v1/webhooks", &good).await;
        assert_eq!(answer.status, status);
    }
}
