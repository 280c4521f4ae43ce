//! The socket: health, and a graceful end.

use crate::site::{Site, with_sync};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_node_that_goes_away_says_so_ends_its_streams_and_answers_what_is_under_way() {
    let mut site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    assert_eq!(
        site.nobody().get("/readyz").await.expect(200).json(),
        json!({ "status": "ok" })
    );
    let job = admin
        .post("/v1/syncs/crm/jobs", &json!({ "kind": "sync" }))
        .await
        .expect(201)
        .json();
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let (_, mut flow) = admin
        .open(Method::GET, &format!("{path}/events"), &[], Bytes::new())
        .await;
    flow.until("queued").await;
    site.stop.cancel();
    flow.rest().await;
    let ended = tokio::time::timeout(Duration::from_secs(30), site.server.join_next()).await;
    assert!(matches!(ended, Ok(Some(Ok(())))), "the server did not end");
}
