//! The control API, and stopping.

use crm_sim::hubspot::{Config, CrmSim, ExtraProperty, Kind, PropertyType};
use hyper::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::client::{Answer, get, send, start};

async fn control(sim: &CrmSim, method: Method, target: &str, body: Value) -> Answer {
    let body = body.to_string().into_bytes();
    send(sim.control_url().unwrap(), method, target, &[], body).await
}

async fn with_control() -> CrmSim {
    start(Config {
        control_port: Some(0),
        contacts: 300,
        ..Config::default()
    })
    .await
}

#[tokio::test]
async fn faults_settings_and_counters_are_reachable_from_outside() {
    let sim = with_control().await;
    let rule = json!({"path": "list", "when": {"ordinal": {"skip": 0, "take": 1}}, "fault": {"status": 503}});
    assert_eq!(
        control(&sim, Method::POST, "/faults", rule.clone())
            .await
            .status,
        200
    );
    let rules = control(&sim, Method::GET, "/faults", json!(null))
        .await
        .json();
    assert_eq!(rules, json!([rule]));
    assert_eq!(get(&sim, "/crm/v3/objects/contacts").await.status, 503);
    let settings =
        json!({"clock_fixed_ms": 1_790_000_000_000_i64, "limit_scale": 0.0, "search_lag_ms": 5});
    assert_eq!(
        control(&sim, Method::POST, "/settings", settings)
            .await
            .status,
        200
    );
    assert_eq!(sim.clock().now_ms(), 1_790_000_000_000);
    let counters = control(&sim, Method::GET, "/counters", json!(null))
        .await
        .json();
    assert_eq!(counters["faulted"], 1);
    assert_eq!(counters["requests"], json!({"list": 1}));
    let unknown = control(&sim, Method::POST, "/settings", json!({"speed": 1})).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(
        control(&sim, Method::GET, "/nothing", json!(null))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn edits_come_in_and_the_truth_goes_out_as_lines() {
    let sim = with_control().await;
    let change = json!({"kind": "contacts", "count": 4, "from_ms": 1_790_000_000_000_i64});
    let edited = control(&sim, Method::POST, "/edit", change.clone())
        .await
        .json();
    assert_eq!(edited["edited"].as_array().unwrap().len(), 4);
    let created = control(&sim, Method::POST, "/create", change).await.json();
    let first = &created["ids"][0];
    let archive = json!({"kind": "contacts", "ids": [first]});
    let archived = control(&sim, Method::POST, "/archive", archive)
        .await
        .json();
    assert_eq!(archived["ids"], json!([first]));
    let lines = control(&sim, Method::GET, "/truth/contacts?full", json!(null)).await;
    let text = std::str::from_utf8(&lines.body).unwrap();
    let mut truth = sim.current(Kind::Contacts);
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let expected = truth.next().unwrap();
        assert_eq!(line["id"], expected.id.to_string());
        assert_eq!(line["archived"], expected.archived);
        assert_eq!(line["record"]["updatedAt"], line["version"]);
    }
    assert_eq!(truth.next(), None);
    let history = control(&sim, Method::GET, "/history/contacts", json!(null)).await;
    let history = std::str::from_utf8(&history.body).unwrap().lines().count();
    assert_eq!(history, 300 + 4 + 4 + 1);
}

#[tokio::test]
async fn properties_come_go_and_change_their_type_under_the_records() {
    let sim = start(Config {
        control_port: Some(0),
        contacts: 300,
        extra_properties: vec![ExtraProperty {
            kind: Kind::Contacts,
            name: "renewal".to_owned(),
            property_type: PropertyType::String,
            archived: true,
        }],
        ..Config::default()
    })
    .await;
    let (id, _) = sim.edit_count(Kind::Contacts, 1, 1, 1)[0];
    let shown = async || {
        let list = get(&sim, "/crm/v3/properties/contacts").await.json();
        let listed = list["results"].as_array().unwrap().iter();
        let listed = listed.filter(|property| property["name"] == "renewal");
        let record = get(
            &sim,
            &format!("/crm/v3/objects/contacts/{id}?properties=renewal"),
        )
        .await;
        let types: Vec<Value> = listed.map(|property| property["type"].clone()).collect();
        (types, record.json()["properties"].get("renewal").cloned())
    };
    assert_eq!(shown().await, (vec![], None));
    let change = async |to: Value| {
        let body = json!({"kind": "contacts", "name": "renewal", "to": to});
        control(&sim, Method::POST, "/properties", body)
            .await
            .json()
    };
    assert_eq!(
        change(json!({"archived": false})).await,
        json!({"changed": true})
    );
    assert_eq!(shown().await, (vec![json!("string")], Some(Value::Null)));
    sim.set_property(Kind::Contacts, id, "renewal", Some("2027-01-31"), 2)
        .unwrap();
    change(json!({"property_type": "date"})).await;
    assert_eq!(
        shown().await,
        (vec![json!("date")], Some(json!("2027-01-31")))
    );
    change(json!({"archived": true})).await;
    assert_eq!(shown().await, (vec![], None));
    let standard = json!({"kind": "contacts", "name": "email", "to": {"archived": true}});
    let refused = control(&sim, Method::POST, "/properties", standard).await;
    assert_eq!(refused.json(), json!({"changed": false}));
}

#[tokio::test]
async fn shutting_down_closes_the_port() {
    let sim = with_control().await;
    let authority = sim.base_url().strip_prefix("http://").unwrap().to_owned();
    let idle = TcpStream::connect(&authority).await.unwrap();
    sim.shutdown().await;
    assert!(TcpStream::connect(&authority).await.is_err());
    drop(idle);
}
