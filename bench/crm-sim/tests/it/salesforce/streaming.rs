//! The streaming API over loopback HTTP: one client, by hand.

use std::time::Duration;

use crm_sim::salesforce::{Config, Object, Order, Salesforce};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Answer, call_as, org, start};
use crate::clients::python;

const PATH: &str = "/cometd/62.0";
const CHANNEL: &str = "/data/AccountChangeEvent";

struct Client<'a> {
    sim: &'a Salesforce,
    token: String,
    id: String,
    cookies: String,
}

impl<'a> Client<'a> {
    /// A client that is subscribed to changes, and whose next connect is held.
    async fn subscribed(sim: &'a Salesforce, channel: &str) -> Client<'a> {
        let mut client = Client {
            sim,
            token: sim.issue_tokens().access_token,
            id: String::new(),
            cookies: String::new(),
        };
        let answer = client
            .post(json!({"channel": "/meta/handshake", "version": "1.0",
                "supportedConnectionTypes": ["long-polling"]}))
            .await;
        let cookies = answer.headers.get_all("set-cookie").iter();
        let cookies = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        client.cookies = cookies.collect::<Vec<_>>().join("; ");
        client.id = answer.json()[0]["clientId"].as_str().unwrap().to_owned();
        client.connect().await;
        let subscribed = client
            .post(json!({"channel": "/meta/subscribe", "subscription": channel}))
            .await;
        assert_eq!(subscribed.json()[0]["successful"], true);
        client
    }

    async fn post(&self, mut message: Value) -> Answer {
        message["clientId"] = json!(self.id);
        message["id"] = json!("1");
        let headers = [
            ("content-type", "application/json"),
            ("cookie", self.cookies.as_str()),
        ];
        let body = json!([message]).to_string().into_bytes();
        call_as(self.sim, &self.token, Method::POST, PATH, &headers, body).await
    }

    async fn connect(&self) -> Answer {
        self.post(json!({"channel": "/meta/connect", "connectionType": "long-polling"}))
            .await
    }

    /// The events that the next connect brings.
    async fn events(&self) -> Vec<Value> {
        let answer = self.connect().await;
        let mut messages = answer.json().as_array().unwrap().clone();
        let last = messages.pop().unwrap();
        assert_eq!(last["successful"], true, "{last}");
        messages
    }
}

fn payload(event: &Value) -> &Value {
    &event["data"]["payload"]
}

#[tokio::test]
async fn an_edit_comes_with_the_fields_that_it_changed_and_no_others() {
    let sim = org(&[(Object::Account, 50)]).await;
    let client = Client::subscribed(&sim, CHANNEL).await;
    let now_ms = sim.clock().now_ms();
    let (events, edited) = tokio::join!(client.events(), async {
        // While the connect is held, or before: it brings the event either way.
        sim.edit_count(Object::Account, 1, now_ms, now_ms)
    });
    assert_eq!(edited.len(), 1);
    assert_eq!(events.len(), 1);
    let header = &payload(&events[0])["ChangeEventHeader"];
    assert_eq!(header["changeType"], "UPDATE");
    let id = header["recordIds"][0].as_str().unwrap();
    assert!(id.starts_with("001") && id.len() == 18, "{id}");
    let changed = header["changedFields"].as_array().unwrap();
    assert!(changed.contains(&json!("LastModifiedDate")), "{changed:?}");
    assert_eq!(changed.len(), 2);
    let fields = payload(&events[0]).as_object().unwrap();
    assert_eq!(fields.len(), 1 + changed.len(), "{fields:?}");
    let at = fields["LastModifiedDate"].as_str().unwrap();
    assert!(at.ends_with(".000Z"), "{at}");
    assert_eq!(sim.stream_counters().delivered, 1);
}

#[tokio::test]
async fn creations_come_whole_and_deletions_bare() {
    let sim = org(&[(Object::Contact, 50)]).await;
    let client = Client::subscribed(&sim, "/data/ChangeEvents").await;
    let now_ms = sim.clock().now_ms();
    let created = sim.create(Object::Contact, 1, now_ms);
    sim.delete(Object::Contact, &created, now_ms);
    sim.undelete(Object::Contact, &created, now_ms);
    // The system's own changes are nobody's event.
    sim.touch(Object::Contact, &created, now_ms);
    let events = client.events().await;
    let types = events.iter().map(|event| {
        let header = &payload(event)["ChangeEventHeader"];
        header["changeType"].as_str().unwrap()
    });
    assert_eq!(types.collect::<Vec<_>>(), ["CREATE", "DELETE", "UNDELETE"]);
    let whole = payload(&events[0]);
    assert!(whole["Name"]["LastName"].is_string(), "{whole}");
    assert!(whole["MailingAddress"].is_object(), "{whole}");
    assert_eq!(whole.get("Id"), None);
    assert_eq!(payload(&events[1]).as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn an_expired_session_is_refused_with_the_advice_to_stay_away() {
    let sim = org(&[]).await;
    let client = Client::subscribed(&sim, CHANNEL).await;
    sim.expire_access_tokens();
    let answer = client.connect().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()[0]["error"], "401::Authentication invalid");
    assert_eq!(answer.json()[0]["advice"]["reconnect"], "none");
}

#[tokio::test]
async fn a_connect_that_is_broken_off_brings_nothing_and_the_next_one_goes_on() {
    let sim = org(&[(Object::Account, 50)]).await;
    let client = Client::subscribed(&sim, CHANNEL).await;
    let (broken, ()) = tokio::join!(client.connect(), async {
        while sim.stream_counters().connects < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(sim.stream(Order::Cut));
    });
    assert!(broken.broken);
    assert!(broken.body.is_empty());
    let now_ms = sim.clock().now_ms();
    sim.edit_count(Object::Account, 3, now_ms, now_ms);
    assert_eq!(client.events().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiosfstream_follows_changes_replays_them_and_survives_a_restart() {
    let sim = start(Config {
        control_port: Some(0),
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let config = sim.config();
    let here = sim.base_url().replace("127.0.0.1", "localhost");
    let arguments = [
        here.as_str(),
        sim.control_url().unwrap(),
        &config.client_id,
        &config.client_secret,
        &sim.issue_tokens().refresh_token,
    ];
    python("salesforce_streaming.py", &arguments).await;
}
