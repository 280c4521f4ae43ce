//! Events on their way to subscribers on loopback.

mod receiver;

use crate::plant::{Plant, compiler, eventually, tenant};
use receiver::{Got, Receiver};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_broker::{Mapping, Origin};
use tidegate_domain::id::TenantId;
use tidegate_domain::job::JobRequest;
use tidegate_engine::Node;
use tidegate_engine::outbox::Outbox;
use tidegate_store::clock::now_ms;
use tidegate_store::control::{Actor, Commit, DocumentKind, Expected, Reference, Write};
use tidegate_store::events::{DeliveryRow, DeliveryState, GIVEN_UP, NewEvent};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// 32 bytes, and how a subscription's secret spells them.
const KEY: &[u8] = b"a signing key of thirty-two byte";

fn secret() -> String {
    format!("whsec_{}", data_encoding::BASE64.encode(KEY))
}

/// A node whose operator maps `https://hooks.example` to a receiver, and
/// `https://dead.example` to a port on which nobody listens.
async fn plant(receiver: &Receiver) -> Plant {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = nobody.local_addr().unwrap().port();
    drop(nobody);
    let places = [("hooks", receiver.port), ("dead", dead)];
    let plant = Plant::with(300, |config| {
        let mappings = places.map(|(host, port)| Mapping {
            from: Origin::parse(&format!("https://{host}.example")).unwrap(),
            to: Origin::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
        });
        config.broker.mappings.extend(mappings);
    })
    .await;
    plant.put_secret(&tenant("acme"), &secret()).await;
    plant
}

/// Subscribes the tenant `acme` to all that can be heard of.
async fn subscribe(plant: &Plant, id: &str, url: &str, route: Value) {
    let body = json!({
        "url": url,
        "events": ["objects.committed", "job.finished", "connection.needs_reauth", "schema.changed"],
        "secret": "${secret:token}",
        "route": route,
    });
    let write = Write::PutDocument {
        kind: DocumentKind::Subscription,
        id: id.to_owned(),
        expected: Expected::Any,
        body: body.to_string(),
        references: vec![Reference::Secret("token".to_owned())],
    };
    plant.commit(&tenant("acme"), vec![write]).await;
}

/// Lets these many jobs of `acme` be finished, as far as subscribers can tell.
async fn happen(plant: &Plant, bodies: impl IntoIterator<Item = Value>) {
    let event = |body: Value| NewEvent {
        kind: "job.finished".to_owned(),
        subject: "job 1".to_owned(),
        body: body.to_string(),
    };
    let commit = Commit {
        tenant: tenant("acme"),
        actor: Actor::System,
        origin: None,
        action: "test.happen".to_owned(),
        subject: "test".to_owned(),
        detail: "{}".to_owned(),
        at_ms: now_ms(),
        writes: Vec::new(),
        idempotency: None,
        events: bodies.into_iter().map(event).collect(),
    };
    plant.node.store.commit(commit).await.unwrap();
}

/// An outbox that runs until it is dropped, as a killed one would.
fn run(node: &Arc<Node>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let outbox = Outbox::new(Arc::clone(node)).unwrap();
    tasks.spawn(outbox.run(CancellationToken::new()));
    tasks
}

async fn deliveries(node: &Node, id: &str) -> Vec<DeliveryRow> {
    let acme: TenantId = tenant("acme");
    node.store.deliveries(&acme, id, 0, 999).await.unwrap()
}

/// Waits until every delivery to the subscription, of which there are these many, is
/// as wanted.
async fn until(
    node: &Node,
    id: &str,
    count: usize,
    wanted: impl Fn(&DeliveryRow) -> bool,
) -> Vec<DeliveryRow> {
    eventually(async || {
        let rows = deliveries(node, id).await;
        (rows.len() == count && rows.iter().all(&wanted)).then_some(rows)
    })
    .await
}

fn is_delivered(row: &DeliveryRow) -> bool {
    row.state == DeliveryState::Delivered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_its_subscriber_signed() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    subscribe(&plant, "hook", "https://hooks.example/ok?x=1", json!(null)).await;
    happen(&plant, [json!({ "job": "1", "state": "succeeded" })]).await;
    let _outbox = run(&plant.node);
    until(&plant.node, "hook", 1, is_delivered).await;
    let got = receiver.got("/ok?x=1");
    assert_eq!(got.len(), 1);
    assert!(got[0].is_signed_with(KEY));
    assert!(!got[0].is_signed_with(b"another key"));
    assert_eq!(got[0].headers["content-type"], "application/json");
    let at_s: u64 = got[0].headers["webhook-timestamp"].parse().unwrap();
    assert!(now_ms() / 1_000 - at_s < 60);
    let body = got[0].json();
    assert_eq!(body["id"], got[0].id());
    assert_eq!(body["type"], "job.finished");
    assert_eq!(
        (&body["tenant"], &body["subject"]),
        (&json!("acme"), &json!("job 1"))
    );
    assert_eq!(
        (&body["job"], &body["state"]),
        (&json!("1"), &json!("succeeded"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_sent_again_under_the_same_id() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    subscribe(&plant, "flaky", "https://hooks.example/flaky", json!(null)).await;
    subscribe(&plant, "moved", "https://hooks.example/moved", json!(null)).await;
    subscribe(&plant, "gone", "https://hooks.example/gone", json!(null)).await;
    subscribe(&plant, "vast", "https://hooks.example/vast", json!(null)).await;
    happen(&plant, [json!({ "job": "1" })]).await;
    let _outbox = run(&plant.node);
    let rows = until(&plant.node, "flaky", 1, is_delivered).await;
    assert_eq!(rows[0].tried, 2);
    let got = receiver.got("/flaky");
    let ids: BTreeSet<&str> = got.iter().map(Got::id).collect();
    assert_eq!((got.len(), ids.len()), (2, 1));
    assert!(got.iter().all(|got| got.is_signed_with(KEY)));

    let rows = until(&plant.node, "moved", 1, |row| row.error.is_some()).await;
    let error = rows[0].error.as_deref();
    assert_eq!(error, Some("answered 302: redirects are not followed"));
    assert!(receiver.got("/elsewhere").is_empty());
    until(&plant.node, "gone", 1, |row| {
        row.state == DeliveryState::GivenUp
    })
    .await;
    assert_eq!(receiver.got("/gone").len(), 1);
    until(&plant.node, "vast", 1, is_delivered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_and_a_slow_subscriber_hold_up_no_other() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    subscribe(&plant, "a-dead", "https://dead.example/", json!(null)).await;
    subscribe(&plant, "b-slow", "https://hooks.example/slow", json!(null)).await;
    subscribe(&plant, "c-well", "https://hooks.example/well", json!(null)).await;
    happen(&plant, (0..100).map(|number| json!({ "number": number }))).await;
    let _outbox = run(&plant.node);
    until(&plant.node, "c-well", 100, is_delivered).await;
    let numbers = receiver.got("/well").into_iter();
    let numbers: BTreeSet<u64> = numbers
        .map(|got| got.json()["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..100).collect());
    let slow = deliveries(&plant.node, "b-slow").await;
    assert!(slow.iter().all(|row| row.state == DeliveryState::Pending));
    assert!(receiver.got("/slow").len() <= 4, "few are sent at once");
    let dead = deliveries(&plant.node, "a-dead").await;
    let tried = dead.iter().filter(|row| row.tried > 0).count();
    assert!(
        (1..50).contains(&tried),
        "a dead endpoint is left to rest: {tried}"
    );
    let errors: BTreeSet<&str> = dead.iter().filter_map(|row| row.error.as_deref()).collect();
    assert_eq!(
        errors,
        ["not connected: cannot connect to 127.0.0.1"].into()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_a_delivery_is_given_up_and_that_is_an_event() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    subscribe(&plant, "dead", "https://dead.example/", json!(null)).await;
    happen(&plant, [json!({}), json!({})]).await;
    let store = &plant.node.store;
    let events = store.undispatched(9).await.unwrap();
    let [old, young] = [events[0].seq, events[1].seq];
    let hear = |seq| vec![(seq, "dead".to_owned())];
    let since_ms = now_ms() - DAY_MS;
    assert!(store.dispatch(old, old, hear(old), since_ms).await.unwrap());
    let since_ms = since_ms + 60_000;
    assert!(
        store
            .dispatch(young, young, hear(young), since_ms)
            .await
            .unwrap()
    );
    let _outbox = run(&plant.node);
    let rows = until(&plant.node, "dead", 2, |row| row.tried > 0).await;
    assert_eq!((rows[0].event, rows[0].tried), (old, 1));
    assert_eq!(rows[0].state, DeliveryState::GivenUp);
    assert_eq!(rows[1].state, DeliveryState::Pending);
    assert!(
        rows[1].next_at_ms <= since_ms + DAY_MS,
        "the last try is in time"
    );
    let told = store.events(&tenant("acme"), young, 9).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event.kind, GIVEN_UP);
    let body: Value = serde_json::from_str(&told[0].event.body).unwrap();
    assert_eq!(
        (&body["event"], &body["subscription"]),
        (&json!(old), &json!("dead"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_answer_was_noted_sends_again_under_the_same_id() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    subscribe(&plant, "hook", "https://hooks.example/slow", json!(null)).await;
    happen(&plant, [json!({ "job": "1" })]).await;
    let outbox = run(&plant.node);
    eventually(async || receiver.got("/slow").first().cloned()).await;
    outbox_dies(outbox).await;

    let config = plant.node.config.clone();
    let Plant { crm, node, folder } = plant;
    drop(node);
    let state = folder.path().join("state");
    let node = eventually(async || Node::open(&state, compiler(), config.clone()).await.ok()).await;
    let plant = Plant {
        crm,
        node: Arc::new(node),
        folder,
    };
    subscribe(&plant, "hook", "https://hooks.example/ok", json!(null)).await;
    let _outbox = run(&plant.node);
    until(&plant.node, "hook", 1, is_delivered).await;
    let [first, second] = ["/slow", "/ok"].map(|path| receiver.got(path));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(
        (first[0].id(), &first[0].body),
        (second[0].id(), &second[0].body)
    );
}

async fn outbox_dies(mut outbox: JoinSet<()>) {
    outbox.abort_all();
    while outbox.join_next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_lets_through_what_interests_and_cuts_the_rest_away() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    let route = json!({
        "predicate": { "all": [
            { "in": { "field": "/state", "values": ["failed", "degraded"] } },
            { "ne": { "field": "/sync", "value": "noise" } },
        ] },
        "projection": ["/sync", "/streams/*/name"],
    });
    subscribe(&plant, "hook", "https://hooks.example/ok", route).await;
    let job = |sync: &str, state: &str| {
        let streams = json!([{ "name": "contacts", "rows": 3 }, { "name": "deals", "rows": 4 }]);
        json!({ "sync": sync, "state": state, "streams": streams, "private": "x" })
    };
    happen(
        &plant,
        [
            job("crm", "succeeded"),
            job("noise", "failed"),
            job("crm", "failed"),
        ],
    )
    .await;
    let _outbox = run(&plant.node);
    until(&plant.node, "hook", 1, is_delivered).await;
    let got = receiver.got("/ok");
    assert_eq!(got.len(), 1);
    assert!(got[0].is_signed_with(KEY));
    let mut body = got[0].json();
    let members = body.as_object_mut().unwrap();
    for kept in ["id", "type", "timestamp"] {
        assert!(members.remove(kept).is_some(), "{kept}");
    }
    assert_eq!(
        body,
        json!({ "sync": "crm", "streams": [{ "name": "contacts" }, { "name": "deals" }] })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_address_is_reached_that_the_operator_did_not_allow() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    let port = receiver.port;
    let cases = [
        (
            "https://169.254.169.254/latest/meta-data".to_owned(),
            "link-local",
        ),
        ("https://10.0.0.1/".to_owned(), "private"),
        (format!("https://127.0.0.1:{port}/"), "loopback"),
        (format!("https://localhost:{port}/"), "loopback"),
        ("https://[::ffff:10.0.0.1]/".to_owned(), "IPv4-mapped"),
        // Where a mapping leads, but nobody but the operator says so.
        (format!("http://127.0.0.1:{port}/"), "not an https one"),
        (
            format!("https://user@hooks.example:{port}/"),
            "not an https one",
        ),
    ];
    for (at, (url, _)) in cases.iter().enumerate() {
        subscribe(&plant, &format!("hook-{at}"), url, json!(null)).await;
    }
    happen(&plant, [json!({})]).await;
    let _outbox = run(&plant.node);
    for (at, (url, reason)) in cases.iter().enumerate() {
        let id = format!("hook-{at}");
        let rows = until(&plant.node, &id, 1, |row| row.error.is_some()).await;
        let error = rows[0].error.as_deref().unwrap();
        assert!(error.contains(reason), "{url}: {error}");
        assert!(
            !error.contains("meta-data"),
            "paths may be secrets: {error}"
        );
    }
    assert!(receiver.got("/").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_sends_what_was_taken_once_more() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    subscribe(&plant, "hook", "https://hooks.example/ok", json!(null)).await;
    happen(&plant, (0..3).map(|number| json!({ "number": number }))).await;
    let _outbox = run(&plant.node);
    let rows = until(&plant.node, "hook", 3, is_delivered).await;
    let replay = Write::ReplayEvents {
        subscription: "hook".to_owned(),
        since: rows[1].event,
    };
    plant.commit(&tenant("acme"), vec![replay]).await;
    let times = eventually(async || {
        let got = receiver.got("/ok");
        let mut times: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for got in &got {
            let number = got.json()["number"].as_u64().unwrap();
            times.entry(number).or_default().push(got.id().to_owned());
        }
        (got.len() == 5).then_some(times)
    })
    .await;
    let counts: Vec<usize> = times.values().map(Vec::len).collect();
    assert_eq!(counts, [1, 2, 2]);
    for ids in times.values() {
        assert!(ids.iter().all(|id| *id == ids[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_that_a_sync_lands_is_told_of_once() {
    let receiver = Receiver::start().await;
    let plant = plant(&receiver).await;
    let acme = plant.add_tenant("acme").await;
    let signing = plant.crm.private_app_token().to_owned();
    subscribe(&plant, "hook", "https://hooks.example/ok", json!(null)).await;
    let _outbox = run(&plant.node);
    let done = plant.run(&acme, JobRequest::Sync).await;
    let finished = eventually(async || {
        let got = receiver.got("/ok");
        got.into_iter()
            .find(|got| got.json()["type"] == "job.finished")
    })
    .await;
    assert_eq!(finished.json()["job"], json!(done.row.id));
    until(
        &plant.node,
        "hook",
        deliveries(&plant.node, "hook").await.len(),
        is_delivered,
    )
    .await;

    let mut told = Vec::new();
    let mut ids = BTreeSet::new();
    for got in receiver.got("/ok") {
        assert!(got.is_signed_with(signing.as_bytes()));
        let body = got.json();
        if body["type"] != "objects.committed" {
            continue;
        }
        assert!(ids.insert(got.id().to_owned()), "told twice");
        assert_eq!(
            (&body["sync"], &body["stream"]),
            (&json!("crm"), &json!("contacts"))
        );
        for record in body["Records"].as_array().unwrap() {
            assert_eq!(record["eventName"], "ObjectCreated:Put");
            let object = &record["s3"]["object"];
            let key = object["key"].as_str().unwrap().replace("%3D", "=");
            let sequencer = u64::from_str_radix(object["sequencer"].as_str().unwrap(), 16);
            assert_eq!(json!(sequencer.unwrap()), body["slot"]);
            let url = record["tidegate"]["url"].as_str().unwrap();
            let path = url.strip_prefix("file://").unwrap();
            assert_eq!(path, plant.lake().join(&key).to_str().unwrap());
            let bucket = record["s3"]["bucket"]["name"].as_str().unwrap();
            assert_eq!(format!("{bucket}/{key}"), url);
            assert_eq!(
                json!(std::fs::metadata(path).unwrap().len()),
                object["size"]
            );
            told.push((key, object["sha256"].as_str().unwrap().to_owned()));
        }
    }
    told.sort();
    let view = plant.view(&acme, "contacts").await;
    let objects = view.objects.iter();
    let mut landed: Vec<(String, String)> = objects
        .map(|seen| (seen.key.clone(), seen.object.sha256.to_string()))
        .collect();
    landed.sort();
    assert!(!landed.is_empty());
    assert_eq!(told, landed);
}
