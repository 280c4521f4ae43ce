//! What went to the provider, and what may still go: each to its tenant alone.

use crate::site::{Site, connection, with_sync};
use serde_json::{Value, json};
use tidegate_domain::id::{ConnectionId, JobId, Sha256, TenantId};
use tidegate_store::control::{ConnectorState, Write};
use tidegate_store::flow::{RequestOrigin, RequestRecord};

fn record(job: &str, sent_at_ms: u64) -> RequestRecord {
    RequestRecord {
        tenant: TenantId::parse("acme").unwrap(),
        connection: ConnectionId::parse("crm").unwrap(),
        origin: Some(RequestOrigin {
            job: JobId::parse(job).unwrap(),
            attempt: 1,
            stream: None,
            partition: None,
        }),
        connector: None,
        method: "GET".to_owned(),
        endpoint: "api".to_owned(),
        path: "/v3/contacts/{id}".to_owned(),
        status: Some(200),
        fault: None,
        bytes_sent: 0,
        bytes_received: 17,
        sent_at_ms,
        waited_ms: 0,
        took_ms: 5,
    }
}

#[tokio::test]
async fn a_jobs_requests_are_listed_page_by_page() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let wanted = json!({ "kind": "sync" });
    let job = admin.post("/v1/syncs/crm/jobs", &wanted).await.expect(201);
    let job = job.json()["id"].as_str().unwrap().to_owned();
    let records = [7, 8, 9].map(|sent| record(&job, sent)).to_vec();
    site.node.store.record_requests(records, 0).await.unwrap();
    let path = format!("/v1/jobs/{job}/requests?limit=2");
    let first = admin.get(&path).await.expect(200).json();
    let next = first["next"].as_str().unwrap();
    let rest = admin.get(&format!("{path}&after={next}")).await;
    let rest = rest.expect(200).json();
    let sent = |page: &Value| -> Vec<u64> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|one| one["sent_at_ms"].as_u64().unwrap())
            .collect()
    };
    assert_eq!((sent(&first), sent(&rest)), (vec![7, 8], vec![9]));
    assert_eq!(rest["next"], Value::Null);
    assert_eq!(first["items"][0]["path"], "/v3/contacts/{id}");
    let stranger = site.admin("globex").await;
    stranger.get(&path).await.expect(404);
}

#[tokio::test]
async fn budgets_are_those_of_the_callers_connections() {
    let site = Site::new().await;
    let limited = json!({
        "id": "limited", "title": "", "version": "1.0.0", "config_schema": "{}",
        "endpoints": [], "allowed_hosts": [], "auth": [], "secrets": [],
        "limits": [{
            "buckets": ["default"], "scope": "remote_account",
            "rule": { "calendar": { "period": "day", "zone": "Europe/Berlin" } },
            "capacity": 200, "per_ms": 0, "remaining_header": null, "reset_header": null,
        }],
        "response_headers": [], "responses": [], "paging_pointers": [], "extra": "{}",
    });
    let connector = Write::PutConnector {
        shared: true,
        digest: Sha256::try_from("cd".repeat(32)).unwrap(),
        name: "limited".to_owned(),
        version: "1.0.0".to_owned(),
        manifest: limited.to_string(),
        state: ConnectorState::Approved,
        wasm: b"no component".to_vec().into(),
    };
    let admin = site.admin("acme").await;
    site.write("acme", vec![connector]).await;
    let mut spec = connection();
    spec["connector"] = json!("limited");
    spec["account"] = json!("portal-7");
    spec["quota_share"] = json!(50);
    admin.put("/v1/connections/crm", &spec).await.expect(201);
    let page = admin.get("/v1/limits").await.expect(200).json();
    let budgets = &page["items"][0];
    assert_eq!(budgets["account"], "portal-7");
    let limit = &budgets["limits"][0];
    assert_eq!(limit["key"], "limited/account/portal-7");
    assert_eq!(
        (&limit["rule"], &limit["zone"]),
        (&json!("day"), &json!("Europe/Berlin"))
    );
    assert_eq!(
        (&limit["declared"], &limit["capacity"]),
        (&json!(200), &json!(100))
    );
    assert_eq!(
        (&limit["used"], &limit["remaining"]),
        (&json!(0), &json!(100))
    );
    let stranger = site.admin("globex").await;
    let page = stranger.get("/v1/limits").await.expect(200).json();
    assert_eq!(page["items"], json!([]));
}
