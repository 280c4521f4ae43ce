//! Connections and syncs: written, changed, refused, removed.

use crate::client::JSON;
use crate::site::{CONNECTOR, Site, connection, connector, sync, with_sync};
use http::Method;
use serde_json::json;
use tidegate_domain::access::Role;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_store::grants::GrantKey;

#[tokio::test]
async fn a_document_changes_only_over_the_revision_that_was_read() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let made = admin
        .put("/v1/connections/crm", &connection())
        .await
        .expect(201);
    let tag = made.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", made.json()["revision"]));
    let put = async |name: &str, value: &str, body: serde_json::Value| {
        let headers = [("content-type", JSON), (name, value)];
        admin
            .send(
                Method::PUT,
                "/v1/connections/crm",
                &headers,
                body.to_string(),
            )
            .await
    };
    let changed = json!({ "connector": "hubspot", "account": "42" });
    let absent = put("if-none-match", "*", changed.clone()).await.expect(412);
    assert_eq!(absent.code(), "revision_changed");
    let second = put("if-match", &tag, changed.clone()).await.expect(200);
    assert_ne!(second.header("etag"), tag);
    put("if-match", &tag, changed).await.expect(412);
    let read = admin.get("/v1/connections/crm").await.expect(200);
    assert_eq!(read.header("etag"), second.header("etag"));
    assert_eq!(read.json()["spec"]["account"], "42");
    assert_eq!(read.json()["created_at_ms"], made.json()["created_at_ms"]);
}

#[tokio::test]
async fn a_connection_stays_pinned_until_someone_asks_for_more() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let digest = |answer: &crate::client::Answer| {
        answer.json()["spec"]["digest"].as_str().unwrap().to_owned()
    };
    let pinned = admin
        .put("/v1/connections/crm", &connection())
        .await
        .expect(201);
    assert_eq!(digest(&pinned), CONNECTOR);
    let newer = "bb".repeat(32);
    site.write(
        "platform",
        vec![connector("hubspot", "2.0.0", &newer, true)],
    )
    .await;
    let again = admin
        .put("/v1/connections/crm", &connection())
        .await
        .expect(200);
    assert_eq!(digest(&again), CONNECTOR, "a put changed the version");
    let upgraded = admin
        .post("/v1/connections/crm/upgrade", &json!(null))
        .await
        .expect(200);
    assert_eq!(digest(&upgraded), newer);
    let back = admin
        .put(
            "/v1/connections/crm",
            &json!({ "connector": format!("sha256:{CONNECTOR}") }),
        )
        .await
        .expect(200);
    assert_eq!(digest(&back), CONNECTOR);
    let named = admin
        .put(
            "/v1/connections/other",
            &json!({ "connector": "hubspot@1.0.0" }),
        )
        .await
        .expect(201);
    assert_eq!(digest(&named), CONNECTOR);
}

#[tokio::test]
async fn a_digest_that_a_client_sends_is_not_taken() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let body = json!({ "connector": "hubspot", "digest": "cc".repeat(32) });
    let put = admin.put("/v1/connections/crm", &body).await.expect(201);
    assert_eq!(put.json()["spec"]["digest"], CONNECTOR);
}

#[tokio::test]
async fn what_is_used_is_not_removed_and_what_is_missing_is_not_named() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    assert_eq!(
        admin.delete("/v1/connections/crm").await.expect(409).code(),
        "in_use"
    );
    let mut after = sync("crm");
    after["schedule"] = json!({ "after": "nothing" });
    let missing = admin.put("/v1/syncs/second", &after).await.expect(422);
    assert_eq!(missing.json()["errors"][0]["pointer"], "/schedule/after");
    let mut secret = connection();
    secret["secrets"] = json!({ "token": "${secret:not-there}" });
    assert_eq!(
        admin
            .put("/v1/connections/second", &secret)
            .await
            .expect(422)
            .code(),
        "invalid"
    );
    secret["secrets"] = json!({ "token": "${env:HOME}" });
    let env = admin
        .put("/v1/connections/second", &secret)
        .await
        .expect(422);
    assert_eq!(env.json()["errors"][0]["pointer"], "/secrets/token");

    admin.delete("/v1/syncs/crm").await.expect(204);
    admin.delete("/v1/connections/crm").await.expect(204);
    admin.delete("/v1/connections/crm").await.expect(404);
    admin.get("/v1/connections/crm").await.expect(404);
}

#[tokio::test]
async fn syncs_that_run_after_one_another_never_run_in_a_circle() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let after = |other: &str| {
        let mut body = sync("crm");
        body["schedule"] = json!({ "after": other });
        body
    };
    admin
        .put("/v1/syncs/second", &after("crm"))
        .await
        .expect(201);
    admin
        .put("/v1/syncs/third", &after("second"))
        .await
        .expect(201);
    let circle = admin
        .put("/v1/syncs/crm", &after("third"))
        .await
        .expect(422);
    assert_eq!(circle.json()["errors"][0]["pointer"], "/schedule/after");
    let itself = admin.put("/v1/syncs/crm", &after("crm")).await.expect(422);
    assert_eq!(itself.json()["errors"][0]["pointer"], "/schedule/after");
}

#[tokio::test]
async fn a_schedule_is_due_keeps_its_beat_and_ends_with_a_pause() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let next = async || {
        let schedule = admin.get("/v1/syncs/crm/schedule").await.expect(200).json();
        schedule["next_at_ms"].as_u64()
    };
    assert_eq!(next().await, None);
    let mut body = sync("crm");
    body["schedule"] = json!({ "cron": "0 3 * * *", "time_zone": "Europe/Paris" });
    admin.put("/v1/syncs/crm", &body).await.expect(200);
    let first = next().await.unwrap();
    assert_eq!(first % 3_600_000, 0, "three in the morning is a whole hour");
    body["batch"] = json!({ "rows_max": 10 });
    admin.put("/v1/syncs/crm", &body).await.expect(200);
    assert_eq!(
        next().await,
        Some(first),
        "another change moved the schedule"
    );
    body["paused"] = json!(true);
    admin.put("/v1/syncs/crm", &body).await.expect(200);
    assert_eq!(next().await, None);
    assert_eq!(
        admin
            .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
            .await
            .expect(409)
            .code(),
        "state_conflict"
    );
    body["paused"] = json!(false);
    admin.put("/v1/syncs/crm", &body).await.expect(200);
    assert_eq!(next().await, Some(first));
}

#[tokio::test]
async fn pages_hold_every_document_once_in_order() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    for at in 0..7 {
        admin
            .put(&format!("/v1/connections/crm-{at}"), &connection())
            .await
            .expect(201);
    }
    let (mut path, mut seen) = ("/v1/connections?limit=3".to_owned(), Vec::new());
    loop {
        let page = admin.get(&path).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/connections?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!(
        seen,
        (0..7).map(|at| format!("crm-{at}")).collect::<Vec<_>>()
    );
    let exact = admin
        .get("/v1/connections?limit=7")
        .await
        .expect(200)
        .json();
    assert!(exact.get("next").is_none(), "a next page that is empty");
}

#[tokio::test]
async fn a_connector_is_used_only_once_it_is_approved() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let platform = site
        .caller("platform", tidegate_domain::access::Role::PlatformAdmin)
        .await;
    let digest = "dd".repeat(32);
    site.write("acme", vec![connector("own", "1.0.0", &digest, false)])
        .await;
    let path = format!("/v1/tenants/acme/connectors/{digest}");
    let disabled = platform
        .post(&format!("{path}/disable"), &json!(null))
        .await
        .expect(200)
        .json();
    assert_eq!(disabled["state"], "disabled");
    let refused = admin
        .put("/v1/connections/own", &json!({ "connector": "own" }))
        .await
        .expect(422);
    assert!(refused.text.contains("not approved"), "{}", refused.text);
    admin
        .post(&format!("/v1/connectors/{digest}/approve"), &json!(null))
        .await
        .expect(403);
    platform
        .post(&format!("{path}/approve"), &json!(null))
        .await
        .expect(200);
    admin
        .put("/v1/connections/own", &json!({ "connector": "own" }))
        .await
        .expect(201);
    let other = site.admin("umbrella").await;
    other
        .get(&format!("/v1/connectors/{digest}"))
        .await
        .expect(404);
    other
        .put(
            "/v1/connections/own",
            &json!({ "connector": format!("sha256:{digest}") }),
        )
        .await
        .expect(422);
}

#[tokio::test]
async fn a_grant_goes_when_it_is_revoked_and_with_its_connection() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let key = |name: &str| GrantKey {
        tenant: TenantId::parse("acme").unwrap(),
        connection: ConnectionId::parse(name).unwrap(),
        method: "oauth".to_owned(),
    };
    let store = &site.node.store;
    for name in ["crm", "other"] {
        let path = format!("/v1/connections/{name}");
        admin.put(&path, &connection()).await;
        let granted = store.put_grant(&key(name), 1, b"sealed").await;
        assert!(granted.unwrap());
    }
    let viewer = site.caller("acme", Role::TenantViewer).await;
    let path = "/v1/connections/crm/authorizations/oauth";
    viewer.delete(path).await.expect(403);
    admin.delete(path).await.expect(204);
    assert_eq!(store.grant(&key("crm")).await.unwrap(), None);
    admin.delete(path).await.expect(404);
    admin.delete("/v1/connections/other").await.expect(204);
    assert_eq!(store.grant(&key("other")).await.unwrap(), None);
}
