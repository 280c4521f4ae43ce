//! Notifications: which change is told under which topic, signed, and sent again where it
//! is not taken.

use crm_sim::intercom::{Config, Kind};
use data_encoding::HEXLOWER;
use ring::hmac;

use super::client::start;
use crate::receiver::{Received, Receiver};

fn topics(received: &[Received]) -> Vec<String> {
    let topic = |one: &Received| one.json()["topic"].as_str().unwrap().to_owned();
    received.iter().map(topic).collect()
}

#[tokio::test]
async fn changes_are_told_by_topic_and_signed_with_the_apps_secret() {
    let receiver = Receiver::answering(&[200]).await;
    let sim = start(Config::default()).await;
    sim.subscribe(&receiver.url, &[]);
    let at_ms = sim.clock().now_ms();
    let contact = sim.create(Kind::Contacts, 1, at_ms);
    sim.edit(Kind::Contacts, &contact, at_ms);
    sim.delete(Kind::Contacts, &contact, at_ms);
    sim.edit_count(Kind::Companies, 1, at_ms, at_ms);
    sim.edit_count(Kind::Conversations, 1, at_ms, at_ms);
    let received = receiver.deliveries(6).await;
    let role = received[1].json()["data"]["item"]["role"].clone();
    let role = role.as_str().unwrap();
    let expected = [
        "ping".to_owned(),
        format!("contact.{role}.created"),
        format!("contact.{role}.updated"),
        "contact.deleted".to_owned(),
        "company.updated".to_owned(),
        "conversation.user.replied".to_owned(),
    ];
    assert_eq!(topics(&received), expected);
    let key = hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        sim.config().client_secret.as_bytes(),
    );
    for one in &received {
        let signature = one.header("x-hub-signature").unwrap();
        let signature = signature.strip_prefix("sha1=").unwrap();
        let signature = HEXLOWER.decode(signature.as_bytes()).unwrap();
        hmac::verify(&key, one.body.as_bytes(), &signature).unwrap();
    }
    let item = received[2].json()["data"]["item"].clone();
    assert_eq!(item["id"], Kind::Contacts.wire_id(contact[0]));
    assert!(item["updated_at"].is_number(), "a whole record: {item}");
    let gone = received[3].json()["data"]["item"].clone();
    assert_eq!(gone["deleted"], true);
    assert!(gone.get("email").is_none(), "{gone}");
}

#[tokio::test]
async fn topics_that_nobody_asked_for_are_not_told_and_refused_ones_are_told_again() {
    let receiver = Receiver::answering(&[200, 500, 200]).await;
    let sim = start(Config {
        webhook_waits_ms: vec![1],
        ..Config::default()
    })
    .await;
    sim.subscribe(&receiver.url, &["company.updated"]);
    let at_ms = sim.clock().now_ms();
    sim.edit_count(Kind::Contacts, 1, at_ms, at_ms);
    sim.edit_count(Kind::Companies, 1, at_ms, at_ms);
    let received = receiver.deliveries(3).await;
    assert_eq!(
        topics(&received),
        ["ping", "company.updated", "company.updated"]
    );
    let attempts = received
        .iter()
        .map(|one| one.json()["delivery_attempts"].clone());
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(received[1].json()["id"], received[2].json()["id"]);
}
