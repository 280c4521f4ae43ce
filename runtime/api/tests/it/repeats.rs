//! Requests that come again: the same answer, and no second effect.

use crate::site::{Site, with_sync};
use serde_json::json;
use tidegate_domain::access::Role;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_repeated_request_is_answered_alike_and_counts_once() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let body = json!({ "role": "tenant-viewer" });
    let first = admin.post_as("/v1/keys", "k-1", &body).await.expect(201);
    let again = admin.post_as("/v1/keys", "k-1", &body).await.expect(201);
    assert_eq!(
        first.text, again.text,
        "the key's text was lost or drawn anew"
    );
    let other = admin.post_as("/v1/keys", "k-2", &body).await.expect(201);
    assert_ne!(first.json()["id"], other.json()["id"]);
    assert_eq!(
        admin.get("/v1/keys").await.expect(200).json()["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn one_idempotency_key_is_never_two_requests() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    admin
        .post_as("/v1/keys", "k", &json!({ "role": "tenant-viewer" }))
        .await
        .expect(201);
    let other_body = admin
        .post_as("/v1/keys", "k", &json!({ "role": "tenant-admin" }))
        .await
        .expect(422);
    assert_eq!(other_body.code(), "idempotency_key_reused");
    let other_path = admin
        .post_as(
            "/v1/syncs/crm/jobs",
            "k",
            &json!({ "role": "tenant-viewer" }),
        )
        .await;
    assert_ne!(other_path.status.as_u16(), 201);
    let other_path = admin
        .post_as("/v1/syncs/crm/jobs", "k", &json!({ "kind": "sync" }))
        .await
        .expect(422);
    assert_eq!(other_path.code(), "idempotency_key_reused");
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_own_api_key_only() {
    let site = Site::new().await;
    let (one, two) = (site.admin("acme").await, site.admin("acme").await);
    let stranger = site.admin("umbrella").await;
    let body = json!({ "role": "tenant-viewer" });
    let first = one.post_as("/v1/keys", "k", &body).await.expect(201).json();
    for other in [&two, &stranger] {
        let answer = other
            .post_as("/v1/keys", "k", &body)
            .await
            .expect(201)
            .json();
        assert_ne!(
            answer["key"], first["key"],
            "a key was shown to someone else"
        );
    }
}

#[tokio::test]
async fn concurrent_repeats_make_one_job() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let mut body = crate::site::sync("crm");
    body["when_running"] = json!("queue");
    admin.put("/v1/syncs/crm", &body).await.expect(200);
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let admin = admin.clone();
        calls.spawn(async move {
            admin
                .post_as("/v1/syncs/crm/jobs", "once", &json!({ "kind": "sync" }))
                .await
                .expect(201)
                .json()
        });
    }
    let answers = calls.join_all().await;
    assert!(
        answers
            .windows(2)
            .all(|pair| pair[0]["id"] == pair[1]["id"]),
        "{answers:?}"
    );
    assert_eq!(
        admin.get("/v1/jobs").await.expect(200).json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    admin
        .post_as("/v1/syncs/crm/jobs", "twice", &json!({ "kind": "sync" }))
        .await
        .expect(201);
    assert_eq!(
        admin.get("/v1/jobs").await.expect(200).json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    let site = Site::new().await;
    let platform = site.caller("platform", Role::PlatformAdmin).await;
    let body = json!({ "role": "tenant-admin" });
    platform
        .post_as("/v1/tenants/umbrella/keys", "k", &body)
        .await
        .expect(404);
    platform
        .put("/v1/tenants/umbrella", &json!({}))
        .await
        .expect(201);
    platform
        .post_as("/v1/tenants/umbrella/keys", "k", &body)
        .await
        .expect(201);
}
