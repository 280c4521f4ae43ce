//! Subscriptions over the API: written like any document, looked at, replayed.

use crate::site::{Site, with_sync};
use serde_json::{Value, json};
use tidegate_domain::id::{OwnerToken, TenantId};
use tidegate_store::clock::now_ms;
use tidegate_store::events::{DeliveryCaps, Tried};

fn subscription() -> Value {
    json!({
        "url": "https://hooks.example/tidegate",
        "events": ["objects.committed", "job.finished"],
        "secret": "${secret:hook}",
        "route": { "predicate": { "eq": { "field": "/sync", "value": "crm" } } },
    })
}

#[tokio::test]
async fn what_cannot_work_is_refused_by_its_place() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let path = "/v1/subscriptions/hook";
    let put = async |pointer: &str, value: Value| {
        let mut wrong = subscription();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let answer = admin.put(path, &wrong).await.expect(422);
        answer.json()["errors"][0]["pointer"].clone()
    };
    assert_eq!(put("/url", json!("http://hooks.example")).await, "/url");
    assert_eq!(put("/events", json!([])).await, "/events");
    assert_eq!(put("/secret", json!("${env:HOME}")).await, "/secret");
    let empty = json!({ "all": [] });
    let pointer = put("/route/predicate", empty).await;
    assert_eq!(pointer, "/route/predicate/all");
    // Its secret is not there yet.
    admin.put(path, &subscription()).await.expect(422);
    admin.get(path).await.expect(404);
}

#[tokio::test]
async fn a_job_s_end_is_heard_and_heard_again() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let secret = json!({ "value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" });
    admin.put("/v1/secrets/hook", &secret).await.expect(204);
    let path = "/v1/subscriptions/hook";
    let made = admin.put(path, &subscription()).await.expect(201);
    assert_eq!(made.json()["spec"], subscription());
    admin.delete("/v1/secrets/hook").await.expect(409);

    with_sync(&admin).await;
    let job = admin
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let job = job["id"].as_str().unwrap();
    let cancel = format!("/v1/jobs/{job}/cancel");
    admin.post(&cancel, &json!(null)).await.expect(200);
    let events = admin.get("/v1/events").await.expect(200).json();
    let events = events["items"].as_array().unwrap();
    let ended: Vec<&Value> = events
        .iter()
        .filter(|event| event["kind"] == "job.finished")
        .collect();
    assert_eq!(ended.len(), 1, "{events:?}");
    assert_eq!(ended[0]["body"]["job"], job);
    assert_eq!(ended[0]["body"]["state"], "cancelled");
    // One that is over ends no second time.
    admin.post(&cancel, &json!(null)).await.expect(200);

    let store = &site.node.store;
    let seq = ended[0]["seq"].as_u64().unwrap();
    let first = store.undispatched(1).await.unwrap()[0].seq;
    let to = vec![(seq, "hook".to_owned())];
    assert!(store.dispatch(first, seq, to, now_ms()).await.unwrap());
    let caps = DeliveryCaps {
        taken_max: 9,
        tenant_max: 9,
        subscription_max: 9,
    };
    let owner = OwnerToken::from_bytes([1; 16]);
    let taken = store.claim_deliveries(owner, now_ms(), 60_000, caps, Vec::new());
    let taken = taken.await.unwrap().due;
    assert_eq!(taken[0].event.tenant, TenantId::parse("acme").unwrap());
    let delivered = store.settle_delivery(&taken[0], Tried::Delivered);
    assert!(delivered.await.unwrap());

    let deliveries = format!("{path}/deliveries");
    let state = async || {
        let page = admin.get(&deliveries).await.expect(200).json();
        assert_eq!(page["items"].as_array().unwrap().len(), 1);
        assert_eq!(page["items"][0]["event"], seq);
        page["items"][0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "delivered");
    let replay = format!("{path}/replay");
    for (since, after) in [(u64::MAX, "delivered"), (seq, "pending")] {
        let body = json!({ "since": since });
        admin.post(&replay, &body).await.expect(204);
        assert_eq!(state().await, after, "since {since}");
    }
    admin.delete(path).await.expect(204);
    admin.get(&deliveries).await.expect(404);
}
