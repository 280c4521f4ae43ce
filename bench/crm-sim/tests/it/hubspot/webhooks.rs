//! Webhooks: who may set them up, what is told of which change, and what happens when a
//! receiver does not take it.

use crm_sim::hubspot::{Config, CrmSim, CustomType, Kind};
use hyper::Method;
use serde_json::{Value, json};

use crate::receiver::Receiver;

use super::client::{Answer, call, post, send, start};

/// A request with the developer's key.
async fn developer(sim: &CrmSim, method: Method, path: &str, body: &Value) -> Answer {
    let config = sim.config();
    let target = format!(
        "/webhooks/v3/{}/{path}?hapikey={}",
        config.app_id, config.developer_key
    );
    let body = body.to_string().into_bytes();
    send(sim.base_url(), method, &target, &[], body).await
}

async fn subscribed(receiver: &Receiver, wanted: &[Value]) -> CrmSim {
    let sim = start(Config {
        limit_scale: None,
        custom_types: vec![CustomType::machines(10)],
        webhook_retry_ms: 1,
        ..Config::default()
    })
    .await;
    let settings = json!({"targetUrl": receiver.url, "throttling": {"maxConcurrentRequests": 1}});
    let answer = developer(&sim, Method::PUT, "settings", &settings).await;
    assert_eq!(answer.status, 200);
    for one in wanted {
        let answer = developer(&sim, Method::POST, "subscriptions", one).await;
        assert_eq!(answer.status, 201, "{one}");
    }
    sim
}

fn to(event: &str) -> Value {
    json!({"eventType": event, "active": true})
}

fn of<'a>(events: &'a [Value], subscription: &str) -> Vec<&'a Value> {
    let events = events.iter();
    events
        .filter(|event| event["subscriptionType"] == subscription)
        .collect()
}

#[tokio::test]
async fn every_kind_of_change_is_told_to_who_subscribed_to_it() {
    let receiver = Receiver::answering(&[204]).await;
    let machine =
        json!({"eventType": "object.creation", "objectTypeId": "2-3604285", "active": true});
    let city =
        json!({"eventType": "contact.propertyChange", "propertyName": "city", "active": true});
    let silent = json!({"eventType": "company.creation", "active": false});
    let wanted = [
        to("contact.creation"),
        to("contact.deletion"),
        to("contact.restore"),
        to("contact.merge"),
        to("contact.associationChange"),
        to("company.associationChange"),
        machine,
        city,
        silent,
    ];
    let sim = subscribed(&receiver, &wanted).await;
    sim.create(Kind::Companies, 1, 1_790_000_000_000);
    let contact = sim.create(Kind::Contacts, 1, 1_790_000_000_000)[0];
    let company = sim.current(Kind::Companies).next().unwrap().id;
    sim.create(Kind::Custom(0), 1, 1_790_000_000_000);
    sim.set_property(
        Kind::Contacts,
        contact,
        "city",
        Some("Gera"),
        1_790_000_000_001,
    );
    sim.set_property(
        Kind::Contacts,
        contact,
        "zip",
        Some("07545"),
        1_790_000_000_002,
    );
    assert!(sim.associate((Kind::Contacts, contact), (Kind::Companies, company), true));
    sim.archive(Kind::Contacts, &[contact], 1_790_000_000_003);
    sim.restore(Kind::Contacts, &[contact], 1_790_000_000_004);
    let other = sim
        .current(Kind::Contacts)
        .find(|one| one.id != contact)
        .unwrap()
        .id;
    sim.merge(Kind::Contacts, contact, other, 1_790_000_000_005)
        .unwrap();

    // Its associations move with the record that is merged away, each told to both ends.
    let mut events = receiver.events(9).await;
    while of(&events, "contact.merge").is_empty() {
        events = receiver.events(events.len() + 1).await;
    }
    let merge = of(&events, "contact.merge")[0];
    assert_eq!(merge["mergedObjectIds"], json!([other]));
    assert_eq!(merge["primaryObjectId"], json!(contact));
    assert_eq!(
        of(&events, "contact.creation")[0]["objectId"],
        json!(contact)
    );
    assert_eq!(of(&events, "contact.deletion").len(), 1);
    assert_eq!(of(&events, "contact.restore").len(), 1);
    let machine = of(&events, "object.creation");
    assert_eq!(
        (machine.len(), &machine[0]["objectTypeId"]),
        (1, &json!("2-3604285"))
    );
    let city = of(&events, "contact.propertyChange");
    assert_eq!((city.len(), &city[0]["propertyValue"]), (1, &json!("Gera")));
    assert_eq!(of(&events, "company.creation").len(), 0);
    let ends = |subscription: &str, from: u64, to: u64| {
        of(&events, subscription).into_iter().any(|event| {
            event["fromObjectId"] == json!(from)
                && event["toObjectId"] == json!(to)
                && event["associationRemoved"] == json!(false)
        })
    };
    assert!(ends("contact.associationChange", contact, company));
    assert!(ends("company.associationChange", company, contact));
    for event in &events {
        assert_eq!(event["portalId"], json!(sim.config().portal_id));
        assert_eq!(event["appId"], json!(sim.config().app_id));
    }
}

#[tokio::test]
async fn writes_through_the_api_are_told_too() {
    let receiver = Receiver::answering(&[200]).await;
    let sim = subscribed(&receiver, &[to("company.creation"), to("company.deletion")]).await;
    let body = json!({"properties": {"name": "Acme"}});
    let created = post(&sim, "/crm/v3/objects/companies", &body).await.json();
    let id = created["id"].as_str().unwrap();
    let path = format!("/crm/v3/objects/companies/{id}");
    assert_eq!(
        call(&sim, Method::DELETE, &path, &json!({})).await.status,
        204
    );
    assert_eq!(
        call(&sim, Method::DELETE, &path, &json!({})).await.status,
        204
    );
    let events = receiver.events(2).await;
    let ids: Vec<String> = events
        .iter()
        .map(|event| event["objectId"].to_string())
        .collect();
    assert_eq!(
        ids,
        [id, id],
        "one of each, though the second archive was answered alike"
    );
}

#[tokio::test]
async fn what_a_receiver_does_not_take_is_delivered_again() {
    let receiver = Receiver::answering(&[500, 404, 200]).await;
    let sim = subscribed(&receiver, &[to("deal.creation")]).await;
    sim.create(Kind::Deals, 3, 1_790_000_000_000);
    let events = receiver.events(9).await;
    let attempts: Vec<u64> = events
        .iter()
        .map(|event| event["attemptNumber"].as_u64().unwrap())
        .collect();
    assert_eq!(attempts, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let first: Vec<&Value> = events[..3].iter().map(|event| &event["objectId"]).collect();
    let last: Vec<&Value> = events[6..].iter().map(|event| &event["objectId"]).collect();
    assert_eq!(first, last);
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_after_ten_more_attempts() {
    let receiver = Receiver::answering(&[503]).await;
    let sim = subscribed(&receiver, &[to("deal.creation")]).await;
    sim.create(Kind::Deals, 1, 1_790_000_000_000);
    receiver.events(11).await;
    while sim.deliveries().len() < 11 {
        tokio::task::yield_now().await;
    }
    assert!(sim.deliveries().iter().all(|one| one.status == Some(503)));
    sim.create(Kind::Deals, 1, 1_790_000_000_001);
    let events = receiver.events(12).await;
    assert_eq!(
        events[11]["attemptNumber"], 0,
        "the first one is not tried again"
    );
}

#[tokio::test]
async fn the_settings_belong_to_the_application_and_its_developer() {
    let sim = start(Config::default()).await;
    let config = sim.config();
    let path = format!("/webhooks/v3/{}/settings", config.app_id);
    let token = format!("Bearer {}", sim.issue_tokens().access_token);
    let as_account = [("authorization", token.as_str())];
    let refused = send(sim.base_url(), Method::GET, &path, &as_account, Vec::new()).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        developer(&sim, Method::GET, "settings", &json!({}))
            .await
            .status,
        404
    );
    let unknown = json!({"eventType": "contact.sneeze", "active": true});
    let unnamed = json!({"eventType": "contact.propertyChange", "active": true});
    for wanted in [unknown, unnamed] {
        let answer = developer(&sim, Method::POST, "subscriptions", &wanted).await;
        assert_eq!(answer.status, 400, "{wanted}");
    }
}
