//! What discovery found, now and before, and what syncs land under.

use crate::site::{Site, with_sync};
use serde_json::{Value, json};
use tidegate_domain::catalog::{Catalog, CatalogStream};
use tidegate_domain::contract::{Contract, Found};
use tidegate_domain::id::{ConnectionId, Sha256, StreamKey, StreamName, SyncId, TenantId};
use tidegate_store::schemas::CatalogKey;

fn catalog(id: u8, fields: Value) -> Catalog {
    let stream = json!({
        "name": "contacts", "primary_key": ["/id"], "modes": ["incremental"],
        "has_deletes": true, "schema": { "properties": fields },
    });
    let stream: CatalogStream = serde_json::from_str(&stream.to_string()).unwrap();
    Catalog {
        id: Sha256::from_bytes([id; 32]),
        connector: Sha256::from_bytes([9; 32]),
        streams: vec![stream],
    }
}

fn first() -> Catalog {
    catalog(
        1,
        json!({"id": {"type": "string"}, "n": {"type": "integer"}}),
    )
}

fn second() -> Catalog {
    catalog(
        2,
        json!({"id": {"type": "string"}, "n": {"type": "string"}, "new": {"type": "boolean"}}),
    )
}

/// As a job leaves them: two discoveries, and a contract made of the first.
async fn seed(site: &Site, tenant: &str, connection: &str, sync: &str) {
    let tenant = TenantId::parse(tenant).unwrap();
    let store = &site.node.store;
    let key = CatalogKey {
        tenant: tenant.clone(),
        connection: ConnectionId::parse(connection).unwrap(),
    };
    let asked = Sha256::from_bytes([7; 32]);
    for (newest, found) in [(None, first()), (Some(1), second())] {
        let kept = store.keep_catalog(&key, newest, &found, &asked, 5, Vec::new());
        assert!(kept.await.unwrap());
    }
    let key = StreamKey {
        tenant,
        sync: SyncId::parse(sync).unwrap(),
        stream: StreamName::parse("contacts").unwrap(),
    };
    let first = first();
    let contract = Contract::first(&Found::of(&first.streams[0], &first.id).unwrap());
    let put = store.put_contract(&key, None, &contract, 5, Vec::new());
    assert!(put.await.unwrap());
}

fn changes() -> Value {
    json!([
        {"change": "field_retyped", "field": "/n", "from": "integer", "to": "text"},
        {"change": "field_added", "field": "/new", "type": "boolean"},
    ])
}

#[tokio::test]
async fn the_history_of_discoveries_is_read_and_compared() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let (connection, sync) = ("crm", "crm");
    let base = format!("/v1/connections/{connection}");
    let none = admin
        .get(&format!("{base}/schemas"))
        .await
        .expect(200)
        .json();
    assert_eq!(none["items"], json!([]));
    admin.get(&format!("{base}/catalog")).await.expect(404);
    seed(&site, "acme", connection, sync).await;

    let page = admin
        .get(&format!("{base}/schemas?limit=1"))
        .await
        .expect(200)
        .json();
    assert_eq!(page["items"][0]["number"], 2);
    assert_eq!(
        page["items"][0]["changes"],
        json!([{"stream": "contacts", "changes": changes()}])
    );
    let after = page["next"].as_str().unwrap();
    let page = admin
        .get(&format!("{base}/schemas?after={after}"))
        .await
        .expect(200)
        .json();
    assert_eq!(page["items"][0]["number"], 1);
    assert_eq!(page.get("next"), None);
    let newest = admin
        .get(&format!("{base}/catalog"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&newest["number"], &newest["confirmed_at_ms"]),
        (&json!(2), &json!(5))
    );
    let old = admin
        .get(&format!("{base}/schemas/1"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        old["catalog"]["streams"][0]["schema"]["properties"]["n"]["type"],
        "integer"
    );
    let compared = admin
        .get(&format!("{base}/schemas/2/changes"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        compared["changes"],
        json!([{"stream": "contacts", "changes": changes()}])
    );
    let same = admin
        .get(&format!("{base}/schemas/2/changes?since=2"))
        .await
        .expect(200)
        .json();
    assert_eq!(same["changes"], json!([]));
    for missing in ["3", "0", "x", "18446744073709551615", "1/changes"] {
        admin
            .get(&format!("{base}/schemas/{missing}"))
            .await
            .expect(404);
    }
    // What was found goes with its connection.
    admin.delete(&format!("/v1/syncs/{sync}")).await.expect(204);
    admin.delete(&base).await.expect(204);
    with_sync(&admin).await;
    let none = admin
        .get(&format!("{base}/schemas"))
        .await
        .expect(200)
        .json();
    assert_eq!(none["items"], json!([]));
}

#[tokio::test]
async fn a_person_accepts_the_schema_that_they_looked_at() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let (connection, sync) = ("crm", "crm");
    let path = format!("/v1/syncs/{sync}/schema");
    let empty = admin.get(&path).await.expect(200).json();
    assert_eq!(
        (&empty["policy"], empty.get("newest")),
        (&json!("warn"), None)
    );
    admin
        .post(&format!("{path}/accept"), &json!(null))
        .await
        .expect(404);
    seed(&site, "acme", connection, sync).await;

    let before = admin.get(&path).await.expect(200).json();
    assert_eq!(
        (&before["newest"], &before["streams"][0]["open"]),
        (&json!(2), &changes())
    );
    let looked_at = format!("{path}/accept?number=1");
    admin.post(&looked_at, &json!(null)).await.expect(412);
    let accepted = admin
        .post(&format!("{path}/accept?number=2"), &json!(null))
        .await;
    let after = accepted.expect(200).json();
    let stream = &after["streams"][0];
    assert_eq!(stream["open"], json!([]));
    assert_ne!(stream["schema"], before["streams"][0]["schema"]);
    let columns = stream["columns"].as_array().unwrap().iter();
    let names: Vec<&str> = columns
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["id", "n", "n__text", "new"]);
    let events = admin.get("/v1/events").await.expect(200).json();
    let subjects: Vec<&Value> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "schema.changed" || event["type"] == "schema.changed")
        .map(|event| &event["subject"])
        .collect();
    assert_eq!(subjects, [&json!(format!("stream {sync}/contacts"))]);
}
