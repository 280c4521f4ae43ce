//! Following a job: an answer that waits, and a stream of changes.

use crate::jobs::fail;
use crate::site::{Site, with_sync};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use tidegate_domain::Fault;

#[tokio::test]
async fn a_long_poll_answers_when_the_job_is_over() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let job = admin
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let waits_path = format!("{path}?wait_s=55");
    let cancel_path = format!("{path}/cancel");
    let (waited, _) = tokio::join!(admin.get(&waits_path), async {
        admin.post(&cancel_path, &json!(null)).await.expect(200)
    });
    assert_eq!(waited.expect(200).json()["state"], "cancelled");
    let over = admin.get(&waits_path).await.expect(200).json();
    assert_eq!(over["is_final"], true);
}

#[tokio::test]
async fn a_long_poll_of_a_job_that_goes_on_answers_in_time() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let job = admin
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let path = format!("/v1/jobs/{}?wait_s=1", job["id"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.expect(200).json()["state"], "queued");
}

#[tokio::test]
async fn a_stream_shows_every_state_and_ends_with_the_job() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let job = admin
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let id = job["id"].as_str().unwrap();
    let (parts, mut flow) = admin
        .open(
            Method::GET,
            &format!("/v1/jobs/{id}/events"),
            &[],
            Bytes::new(),
        )
        .await;
    assert_eq!(parts.headers["content-type"], "text/event-stream");
    flow.until("\"state\":\"queued\"").await;
    fail(&site, id, Fault::Config).await;
    let all = flow.rest().await;
    assert!(
        all.contains("event: job") && all.contains("\"state\":\"failed\""),
        "{all}"
    );
}

#[tokio::test]
async fn a_tenant_follows_no_more_jobs_than_it_may() {
    let config = tidegate_api::Config {
        followers_max: 1,
        ..tidegate_api::Config::default()
    };
    let site = Site::with(config).await;
    let (admin, other) = (site.admin("acme").await, site.admin("umbrella").await);
    with_sync(&admin).await;
    with_sync(&other).await;
    let job = admin
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let path = format!("/v1/jobs/{}/events", job["id"].as_str().unwrap());
    let (_, mut flow) = admin.open(Method::GET, &path, &[], Bytes::new()).await;
    flow.until("queued").await;
    assert_eq!(admin.get(&path).await.expect(429).code(), "quota_exceeded");
    let theirs = other
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let path = format!("/v1/jobs/{}/events", theirs["id"].as_str().unwrap());
    let (parts, mut flow) = other.open(Method::GET, &path, &[], Bytes::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
    flow.until("queued").await;
}
