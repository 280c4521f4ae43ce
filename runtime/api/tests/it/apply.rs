//! A whole set at once: planned, applied, applied again.

use crate::site::{Site, connection, sync, with_sync};
use serde_json::{Value, json};
use tidegate_domain::access::Role;

fn set() -> Value {
    let mut connection = connection();
    connection["secrets"] = json!({ "token": "${secret:hubspot-token}" });
    json!({
        "connections": { "hubspot": connection },
        "syncs": { "contacts": sync("hubspot") },
        "secrets": { "hubspot-token": "s3cret-one" },
    })
}

#[tokio::test]
async fn a_plan_changes_nothing_and_is_empty_after_its_apply() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let plan = admin
        .post("/v1/apply?dry_run=true", &set())
        .await
        .expect(200);
    assert!(!plan.text.contains("s3cret-one"));
    let plan = plan.json();
    assert_eq!(plan["applied"], false);
    assert_eq!(plan["secrets"], json!(["hubspot-token"]));
    let changed: Vec<&Value> = plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["document"])
        .collect();
    assert_eq!(
        changed,
        [
            &json!({ "kind": "connection", "id": "hubspot" }),
            &json!({ "kind": "sync", "id": "contacts" })
        ]
    );
    admin.get("/v1/connections/hubspot").await.expect(404);

    let applied = admin.post("/v1/apply", &set()).await.expect(200).json();
    assert_eq!(applied["applied"], true);
    assert_eq!(applied["changes"], plan["changes"]);
    let again = admin
        .post("/v1/apply?dry_run=true", &set())
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&again["changes"], &again["secrets"]),
        (&json!([]), &json!([]))
    );
    let before = admin.get("/v1/syncs/contacts").await.expect(200).json();
    admin.post("/v1/apply", &set()).await.expect(200);
    assert_eq!(
        admin.get("/v1/syncs/contacts").await.expect(200).json(),
        before
    );
}

#[tokio::test]
async fn only_the_fields_and_the_secrets_that_differ_are_in_the_plan() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    admin.post("/v1/apply", &set()).await.expect(200);
    let mut other = set();
    other["syncs"]["contacts"]["paused"] = json!(true);
    other["secrets"]["hubspot-token"] = json!("s3cret-two");
    let plan = admin
        .post("/v1/apply?dry_run=true", &other)
        .await
        .expect(200)
        .json();
    assert_eq!(
        plan["changes"],
        json!([{
            "document": { "kind": "sync", "id": "contacts" },
            "action": "update",
            "fields": [{ "field": "paused", "before": false, "after": true }],
        }])
    );
    assert_eq!(plan["secrets"], json!(["hubspot-token"]));
}

#[tokio::test]
async fn a_set_is_applied_whole_or_not_at_all() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let mut broken = set();
    broken["syncs"]["second"] = sync("nowhere");
    let refused = admin.post("/v1/apply", &broken).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/syncs/second/connection");
    let mut broken = set();
    broken["connections"]["hubspot"]["secrets"]["token"] = json!("${secret:missing}");
    admin.post("/v1/apply", &broken).await.expect(422);
    for path in ["/v1/connections", "/v1/syncs", "/v1/secrets"] {
        assert_eq!(
            admin.get(path).await.expect(200).json()["items"],
            json!([]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_the_set_does_not_hold_stays_unless_it_is_pruned() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let kept = admin.post("/v1/apply", &set()).await.expect(200).json();
    assert_eq!(
        kept["unmanaged"],
        json!([{ "kind": "connection", "id": "crm" }, { "kind": "sync", "id": "crm" }])
    );
    admin.get("/v1/syncs/crm").await.expect(200);

    let job = admin
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let busy = admin.post("/v1/apply?prune=true", &set()).await.expect(409);
    assert_eq!(busy.code(), "in_use");
    admin
        .post(
            &format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap()),
            &json!(null),
        )
        .await
        .expect(200);
    let pruned = admin
        .post("/v1/apply?prune=true", &set())
        .await
        .expect(200)
        .json();
    let actions: Vec<&str> = pruned["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["remove", "remove"]);
    admin.get("/v1/syncs/crm").await.expect(404);
    admin.get("/v1/syncs/contacts").await.expect(200);
}

#[tokio::test]
async fn applying_needs_the_right_and_a_known_shape() {
    let site = Site::new().await;
    let viewer = site.caller("acme", Role::TenantViewer).await;
    viewer
        .post("/v1/apply?dry_run=true", &set())
        .await
        .expect(403);
    let admin = site.admin("acme").await;
    let unknown = admin
        .post("/v1/apply", &json!({ "tenants": {} }))
        .await
        .expect(422);
    assert_eq!(unknown.code(), "invalid");
}

#[tokio::test]
async fn subscriptions_are_applied_and_pruned_like_other_documents() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let set = json!({
        "subscriptions": { "loads": {
            "url": "https://hooks.example",
            "events": ["objects.committed"],
            "secret": "${secret:hook}",
        } },
        "secrets": { "hook": "s3cret" },
    });
    let plan = admin.post("/v1/apply?dry_run=true", &set).await.expect(200);
    assert_eq!(
        plan.json()["changes"][0]["document"]["kind"],
        "subscription"
    );
    admin.get("/v1/subscriptions/loads").await.expect(404);
    admin.post("/v1/apply", &set).await.expect(200);
    admin.get("/v1/subscriptions/loads").await.expect(200);
    let again = admin.post("/v1/apply", &set).await.expect(200).json();
    assert_eq!(again["changes"], json!([]));
    let mut wrong = set.clone();
    wrong["subscriptions"]["loads"]["url"] = json!("http://plain.example");
    let refused = admin.post("/v1/apply", &wrong).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/subscriptions/loads/url");
    let kept = admin.post("/v1/apply", &json!({})).await.expect(200).json();
    assert_eq!(
        kept["unmanaged"],
        json!([{ "kind": "subscription", "id": "loads" }])
    );
    admin
        .post("/v1/apply?prune=true", &json!({}))
        .await
        .expect(200);
    admin.get("/v1/subscriptions/loads").await.expect(404);
}
