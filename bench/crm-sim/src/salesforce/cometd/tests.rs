//! The streaming API without its sockets: requests in, replies out.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use serde_json::{Map, Value, json};

use super::{Call, Caller, Change, ChangeType, Order, Org, Reply, Streaming};
use crate::clock::Clock;

const DATA: &str = "/data/AccountChangeEvent";
const NOW_MS: i64 = 1_790_000_000_000;
const HOUR_MS: i64 = 3_600_000;

struct Simulated {
    streaming: Streaming,
    clock: Clock,
    committed: Mutex<Vec<Change>>,
}

/// A client as an honest one is: with a token and its cookies.
struct Client {
    id: String,
    cookies: String,
}

fn org() -> Simulated {
    let clock = Clock::default();
    clock.fix(NOW_MS);
    let entities = vec!["Account".to_owned(), "Contact".to_owned()];
    Simulated {
        streaming: Streaming::new(1, entities),
        clock,
        committed: Mutex::default(),
    }
}

impl Simulated {
    /// What was committed after a number, two changes at a time.
    fn changes(&self, after: u64) -> Vec<(u64, Option<Change>)> {
        let committed = self.committed.lock().unwrap();
        let numbered = (1..).zip(committed.iter().cloned().map(Some));
        numbered
            .filter(|(number, _)| *number > after)
            .take(2)
            .collect()
    }

    fn order(&self, order: Value) -> bool {
        let order: Order = serde_json::from_value(order).unwrap();
        let changes = |after| self.changes(after);
        let org = Org {
            clock: &self.clock,
            changes: &changes,
        };
        self.streaming.order(order, org)
    }

    fn publish(&self, change_type: ChangeType, fields: &Value) {
        let change = Change {
            entity: "Account".to_owned(),
            record_ids: vec!["001000000000001AAA".to_owned()],
            change_type,
            fields: fields.as_object().cloned().unwrap_or_default(),
            commit_ms: self.clock.now_ms(),
            user_id: "005000000000001AAA".to_owned(),
        };
        self.committed.lock().unwrap().push(change);
        self.streaming.committed();
    }

    async fn send(&self, caller: Caller, cookies: &str, message: Value) -> Reply {
        self.send_bytes(caller, cookies, json!([message]).to_string().as_bytes())
            .await
    }

    async fn send_bytes(&self, caller: Caller, cookies: &str, body: &[u8]) -> Reply {
        let changes = |after| self.changes(after);
        let org = Org {
            clock: &self.clock,
            changes: &changes,
        };
        let call = Call {
            caller,
            cookies,
            body,
            org,
        };
        self.streaming.respond(call).await
    }

    async fn handshake(&self) -> Client {
        let reply = self.send(Caller::Known, "", handshake()).await;
        let Reply::Messages {
            set_cookies, body, ..
        } = reply
        else {
            panic!("a handshake is answered");
        };
        let cookies = set_cookies
            .iter()
            .map(|cookie| cookie.split(';').next().unwrap());
        Client {
            cookies: cookies.collect::<Vec<_>>().join("; "),
            id: messages(&body)[0]["clientId"].as_str().unwrap().to_owned(),
        }
    }

    /// A message of a client, and all messages of the answer.
    async fn ask(&self, client: &Client, mut message: Value) -> Vec<Value> {
        message["clientId"] = json!(client.id);
        match self.send(Caller::Known, &client.cookies, message).await {
            Reply::Messages { body, .. } => messages(&body),
            Reply::Nothing => panic!("the connection broke off"),
        }
    }

    /// A client whose next connect is held, subscribed to a channel.
    async fn subscribed(&self, channel: &str, replay: i64) -> Client {
        let client = self.handshake().await;
        self.ask(&client, connect()).await;
        let answers = self.ask(&client, subscribe(channel, replay)).await;
        assert_eq!(answers[0]["successful"], true, "{answers:?}");
        client
    }

    /// The events that the next connect brings.
    async fn events(&self, client: &Client) -> Vec<Value> {
        let mut answers = self.ask(client, connect()).await;
        let last = answers.pop().unwrap();
        assert_eq!(last["channel"], "/meta/connect", "the answer comes last");
        answers
    }
}

fn handshake() -> Value {
    json!({"channel": "/meta/handshake", "version": "1.0", "id": "1",
        "minimumVersion": "1.0", "supportedConnectionTypes": ["long-polling"]})
}

fn connect() -> Value {
    json!({"channel": "/meta/connect", "connectionType": "long-polling", "id": "2"})
}

fn subscribe(channel: &str, replay: i64) -> Value {
    json!({"channel": "/meta/subscribe", "subscription": channel, "id": "3",
        "ext": {"replay": {channel: replay}}})
}

fn messages(body: &str) -> Vec<Value> {
    serde_json::from_str(body).unwrap()
}

fn names(events: &[Value]) -> Vec<&str> {
    let payloads = events.iter().map(|event| &event["data"]["payload"]);
    payloads
        .map(|payload| payload["Name"].as_str().unwrap())
        .collect()
}

fn replay_id(event: &Value) -> i64 {
    event["data"]["event"]["replayId"].as_i64().unwrap()
}

/// Whether a future is held: one look at it finds no answer.
fn waits<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(future.poll(&mut context), Poll::Pending)
}

#[tokio::test]
async fn a_handshake_names_the_client_and_sets_its_cookies() {
    let org = org();
    let Reply::Messages {
        status,
        set_cookies,
        body,
    } = org.send(Caller::Known, "", handshake()).await
    else {
        panic!("a handshake is answered");
    };
    assert_eq!(status, 200);
    assert!(
        set_cookies[0].starts_with("BAYEUX_BROWSER="),
        "{set_cookies:?}"
    );
    let answer = messages(&body).remove(0);
    assert_eq!(answer["id"], "1");
    assert_eq!(answer["successful"], true);
    assert_eq!(answer["supportedConnectionTypes"], json!(["long-polling"]));
    assert_eq!(
        answer["ext"],
        json!({"replay": true, "payload.format": true})
    );
}

#[tokio::test]
async fn the_first_connect_returns_at_once_and_the_next_brings_events_before_its_answer() {
    let org = org();
    let client = org.handshake().await;
    let first = org.ask(&client, connect()).await;
    let advice = json!({"interval": 0, "timeout": 110_000, "reconnect": "retry"});
    assert_eq!(first[0]["advice"], advice);
    org.ask(&client, subscribe(DATA, -1)).await;
    let mut held = pin!(org.events(&client));
    assert!(waits(held.as_mut()), "nothing has happened yet");
    org.publish(ChangeType::Create, &json!({"Name": "Acme"}));
    let events = held.await;
    assert_eq!(names(&events), ["Acme"]);
    assert_eq!(events[0]["channel"], DATA);
    let header = &events[0]["data"]["payload"]["ChangeEventHeader"];
    assert_eq!(header["changeType"], "CREATE");
    assert_eq!(header["commitTimestamp"], NOW_MS);
    let mut held = pin!(org.events(&client));
    assert!(waits(held.as_mut()), "an event comes once");
}

#[tokio::test]
async fn a_connect_without_news_returns_empty_when_it_was_held_long_enough() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    org.order(json!({"hold_ms": 1}));
    assert!(org.events(&client).await.is_empty());
}

#[tokio::test]
async fn replay_starts_at_new_at_all_retained_or_after_an_event() {
    let org = org();
    for name in ["first", "second", "third"] {
        org.publish(ChangeType::Update, &json!({"Name": name}));
        org.clock.advance(HOUR_MS);
    }
    let all = org.events(&org.subscribed(DATA, -2).await).await;
    assert_eq!(names(&all), ["first", "second", "third"]);
    let rest = org
        .events(&org.subscribed(DATA, replay_id(&all[0])).await)
        .await;
    assert_eq!(names(&rest), ["second", "third"]);
    let fresh = org.subscribed(DATA, -1).await;
    let mut held = pin!(org.events(&fresh));
    assert!(waits(held.as_mut()));
    // Three days after the first of them.
    org.clock.advance(69 * HOUR_MS);
    let kept = org.events(&org.subscribed(DATA, -2).await).await;
    assert_eq!(names(&kept), ["second", "third"]);
}

#[tokio::test]
async fn an_id_that_is_kept_no_more_is_refused_by_its_number() {
    let org = org();
    org.publish(ChangeType::Update, &json!({"Name": "first"}));
    let client = org.subscribed(DATA, -2).await;
    let id = replay_id(&org.events(&client).await[0]);
    let invalid = |id: i64| {
        format!(
            "400::The replayId {{{id}}} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events."
        )
    };
    let unknown = org.ask(&client, subscribe(DATA, id + 1)).await;
    assert_eq!(unknown[0]["error"], invalid(id + 1));
    assert!(org.order(json!("purge")));
    let stale = org.ask(&client, subscribe(DATA, id)).await;
    assert_eq!(stale[0]["error"], invalid(id));
    assert_eq!(stale[0]["successful"], false);
    assert_eq!(stale[0]["subscription"], DATA);
}

#[tokio::test]
async fn one_event_comes_over_every_channel_that_carries_it() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    org.ask(&client, subscribe("/data/ChangeEvents", -1)).await;
    org.publish(ChangeType::Delete, &json!({}));
    let events = org.events(&client).await;
    let channels: Vec<&Value> = events.iter().map(|event| &event["channel"]).collect();
    assert_eq!(channels, [DATA, "/data/ChangeEvents"]);
    org.ask(
        &client,
        json!({"channel": "/meta/unsubscribe", "subscription": DATA}),
    )
    .await;
    org.publish(ChangeType::Undelete, &json!({"Name": "back"}));
    assert_eq!(org.events(&client).await.len(), 1);
}

#[tokio::test]
async fn cookies_are_required_afterwards_unless_that_is_switched_off() {
    let org = org();
    let mut client = org.handshake().await;
    let cookies = std::mem::take(&mut client.cookies);
    let without = org.ask(&client, connect()).await;
    let error = without[0]["error"].as_str().unwrap();
    assert!(error.starts_with("400::Client ") && error.contains("no BAYEUX_BROWSER cookie"));
    client.cookies = "BAYEUX_BROWSER=another".to_owned();
    assert_eq!(
        org.ask(&client, connect()).await[0]["error"],
        "403::Unknown client"
    );
    client.cookies = cookies;
    assert_eq!(org.ask(&client, connect()).await[0]["successful"], true);
    client.cookies = String::new();
    org.order(json!({"require_cookies": false}));
    assert_eq!(
        org.ask(&client, subscribe(DATA, -1)).await[0]["successful"],
        true
    );
}

#[tokio::test]
async fn a_restarted_server_knows_no_client_and_tells_the_waiting_ones() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    let mut held = pin!(org.ask(&client, connect()));
    assert!(waits(held.as_mut()));
    org.order(json!("restart"));
    let answers = held.await;
    assert_eq!(answers[0]["error"], "403::Unknown client");
    assert_eq!(
        answers[0]["advice"],
        json!({"interval": 0, "reconnect": "handshake"})
    );
    let answers = org.ask(&client, subscribe(DATA, -1)).await;
    assert_eq!(answers[0]["error"], "403::Unknown client");
}

#[tokio::test]
async fn a_client_that_leaves_a_connect_and_stays_away_is_forgotten() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    {
        let mut left = pin!(org.ask(&client, connect()));
        assert!(waits(left.as_mut()));
        org.order(json!({"patience_ms": 0}));
        let held = org.ask(&client, subscribe(DATA, -1)).await;
        assert_eq!(
            held[0]["successful"], true,
            "while a connect is held there is no hurry"
        );
    }
    let answers = org.ask(&client, connect()).await;
    assert_eq!(answers[0]["error"], "403::Unknown client");
}

#[tokio::test]
async fn a_newer_connect_of_a_client_ends_the_older_one() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    let mut older = pin!(org.events(&client));
    assert!(waits(older.as_mut()));
    let mut newer = pin!(org.events(&client));
    assert!(waits(newer.as_mut()));
    assert!(older.await.is_empty());
    org.publish(ChangeType::Update, &json!({"Name": "Acme"}));
    assert_eq!(names(&newer.await), ["Acme"]);
}

#[tokio::test]
async fn a_held_connect_can_be_broken_off() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    let mut message = connect();
    message["clientId"] = json!(client.id);
    let mut held = pin!(org.send(Caller::Known, &client.cookies, message));
    assert!(waits(held.as_mut()));
    org.order(json!("cut"));
    assert_eq!(held.await, Reply::Nothing);
    org.publish(ChangeType::Update, &json!({"Name": "Acme"}));
    assert_eq!(
        names(&org.events(&client).await),
        ["Acme"],
        "the client is still known"
    );
}

#[tokio::test]
async fn whoever_has_no_good_token_is_told_so() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    let mut message = connect();
    message["clientId"] = json!(client.id);
    for (caller, reason) in [
        (Caller::Refused, "401::Authentication invalid"),
        (Caller::Anonymous, "401::Request requires authentication"),
    ] {
        let Reply::Messages { body, .. } = org.send(caller, "", handshake()).await else {
            panic!("a handshake is answered");
        };
        let denied = messages(&body).remove(0);
        assert_eq!(denied["error"], "403::Handshake denied");
        assert_eq!(denied["ext"]["sfdc"]["failureReason"], reason);
        assert_eq!(denied["advice"]["reconnect"], "none");
        let Reply::Messages { body, .. } = org.send(caller, &client.cookies, message.clone()).await
        else {
            panic!("a connect is answered");
        };
        let refused = messages(&body).remove(0);
        assert_eq!(refused["error"], reason);
        assert_eq!(
            refused["advice"],
            json!({"interval": 0, "reconnect": "none"})
        );
    }
}

#[tokio::test]
async fn changes_come_without_values_when_gaps_are_ordered() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    org.order(json!({"gaps": 1}));
    org.publish(ChangeType::Update, &json!({"Name": "lost"}));
    org.publish(ChangeType::Update, &json!({"Name": "kept"}));
    assert!(org.order(json!({"overflow": {"entity": "Account", "commit_ms": 5}})));
    let events = org.events(&client).await;
    let header = |place: usize| &events[place]["data"]["payload"]["ChangeEventHeader"];
    assert_eq!(header(0)["changeType"], "GAP_UPDATE");
    assert_eq!(header(0)["recordIds"], json!(["001000000000001AAA"]));
    assert_eq!(events[0]["data"]["payload"].get("Name"), None);
    assert_eq!(events[1]["data"]["payload"]["Name"], "kept");
    assert_eq!(header(2)["changeType"], "GAP_OVERFLOW");
    assert_eq!(header(2)["commitTimestamp"], 5);
}

#[tokio::test]
async fn a_stalled_server_delivers_later_what_it_kept() {
    let org = org();
    let client = org.subscribed(DATA, -1).await;
    org.order(json!({"stall": true}));
    org.publish(ChangeType::Update, &json!({"Name": "late"}));
    let mut held = pin!(org.events(&client));
    assert!(waits(held.as_mut()));
    org.order(json!({"stall": false}));
    assert_eq!(names(&held.await), ["late"]);
}

#[tokio::test]
async fn ordered_refusals_strike_handshakes_and_subscriptions() {
    let org = org();
    let client = org.handshake().await;
    let error = "403::Organization total events daily limit exceeded";
    org.order(json!({"refuse": {"error": error, "times": 1}}));
    assert_eq!(
        org.ask(&client, subscribe(DATA, -1)).await[0]["error"],
        error
    );
    assert_eq!(
        org.ask(&client, subscribe(DATA, -1)).await[0]["successful"],
        true
    );
    let busy = "503::Server is too busy. Please try your request again later.";
    org.order(json!({"refuse": {"error": busy, "times": 1}}));
    let Reply::Messages { body, .. } = org.send(Caller::Known, "", handshake()).await else {
        panic!("a handshake is answered");
    };
    assert_eq!(messages(&body)[0]["ext"]["sfdc"]["failureReason"], busy);
}

#[tokio::test]
async fn unknown_channels_and_publishing_are_refused() {
    let org = org();
    let client = org.handshake().await;
    for name in [
        "/data/OrderChangeEvent",
        "/event/Order__e",
        "/data/*",
        "/topic/None",
    ] {
        let answers = org.ask(&client, subscribe(name, -1)).await;
        assert_eq!(answers[0]["error"], format!("404::Unknown channel {name}"));
    }
    let answers = org.ask(&client, json!({"channel": DATA, "data": {}})).await;
    assert_eq!(answers[0]["successful"], false);
    let reply = org.send_bytes(Caller::Known, "", b"no JSON");
    assert!(matches!(reply.await, Reply::Messages { status: 400, .. }));
}

#[tokio::test]
async fn platform_events_stored_queries_and_generic_events_have_their_own_shapes() {
    let org = org();
    assert!(org.order(json!({"declare": "/event/Order__e"})));
    assert!(org.order(json!({"declare": "/u/Notices"})));
    assert!(!org.order(json!({"declare": "/data/OrderChangeEvent"})));
    let topic = json!({"name": "Accounts", "entity": "Account", "fields": ["Id", "Name"]});
    assert!(org.order(json!({"topic": topic})));
    let client = org.subscribed("/event/Order__e", -1).await;
    org.ask(&client, subscribe("/u/Notices", -1)).await;
    org.ask(&client, subscribe("/topic/Accounts", -1)).await;
    let payload = json!({"Number__c": "7"});
    assert!(org.order(json!({"publish": {"channel": "/event/Order__e", "payload": payload}})));
    assert!(org.order(json!({"publish": {"channel": "/u/Notices", "payload": "hello"}})));
    org.publish(ChangeType::Update, &json!({"Name": "Acme", "Phone": "1"}));
    org.publish(ChangeType::Update, &json!({"Phone": "2"}));
    let events = org.events(&client).await;
    assert_eq!(
        events.len(),
        3,
        "the last update shows in no query: {events:?}"
    );
    let platform = &events[0]["data"]["payload"];
    assert_eq!(platform["Number__c"], "7");
    assert!(platform["CreatedDate"].is_string() && platform["CreatedById"].is_string());
    assert_eq!(events[1]["data"]["payload"], "hello");
    assert!(events[1]["data"]["event"]["createdDate"].is_string());
    let record: &Map<String, Value> = events[2]["data"]["sobject"].as_object().unwrap();
    assert_eq!(record.keys().collect::<Vec<_>>(), ["Id", "Name"]);
    assert_eq!(events[2]["data"]["event"]["type"], "updated");
}
