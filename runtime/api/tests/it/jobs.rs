//! Jobs: asked for, found, cancelled, tried again.

use crate::client::{Client, JSON};
use crate::site::{Site, sync, with_sync};
use serde_json::{Value, json};
use tidegate_domain::Fault;
use tidegate_domain::access::Role;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::id::{JobId, OwnerToken};
use tidegate_domain::job::{Event, JobState, RetryBudget, StreamOutcome};
use tidegate_store::clock::now_ms;
use tidegate_store::queue::{NewAttempt, Settled};

const PLAIN: fn() -> Value = || json!({ "kind": "sync" });

async fn trigger(client: &Client, body: &Value) -> Value {
    client
        .post("/v1/syncs/crm/jobs", body)
        .await
        .expect(201)
        .json()
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

/// Plays the worker: claims the job and fails all its streams.
pub(crate) async fn fail(site: &Site, job: &str, fault: Fault) {
    let store = &site.node.store;
    let (claim, queued) = store
        .claim(
            &JobId::parse(job).unwrap(),
            OwnerToken::from_bytes([7; 16]),
            now_ms(),
            60_000,
        )
        .await
        .unwrap()
        .expect("the job is due");
    let budget = RetryBudget {
        fruitless_max: 1,
        lost_max: 1,
        backoff: Backoff {
            first_ms: 1,
            ceiling_ms: 1,
        },
    };
    let mut job = queued.row.job;
    let now_ms = now_ms();
    job.step(
        Event::Claimed {
            now_ms,
            progressed: false,
        },
        budget,
    );
    for name in job.streams.clone().into_keys() {
        let reason = format!("the test asked for {fault}");
        let outcome = StreamOutcome::Failed { fault, reason };
        job.step(
            Event::Stream {
                name,
                outcome,
                progressed: false,
            },
            budget,
        );
    }
    job.step(Event::AttemptEnded { now_ms, random: 0 }, budget);
    assert_eq!(job.state, JobState::Failed);
    let attempt = NewAttempt {
        started_at_ms: 1,
        ended_at_ms: 2,
        fault: Some(fault),
        error: Some("as the test asked".to_owned()),
        report: "{\"contacts\":{\"rows\":0}}".to_owned(),
    };
    let settled = Settled {
        job,
        attempt,
        events: Vec::new(),
        follow_ups: Vec::new(),
        at_ms: now_ms,
    };
    store.settle(&claim, settled).await.unwrap();
}

#[tokio::test]
async fn a_trigger_makes_a_job_or_joins_the_one_that_is_not_over() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let first = admin
        .send(http::Method::POST, "/v1/syncs/crm/jobs", &[], "")
        .await
        .expect(201)
        .json();
    assert_eq!(first["state"], "queued");
    assert_eq!(first["trigger"], json!({ "by": "api" }));
    assert_eq!(first["request"], PLAIN());
    assert_eq!(first["streams"].as_object().unwrap().len(), 2);
    let joined = admin
        .post("/v1/syncs/crm/jobs", &PLAIN())
        .await
        .expect(200)
        .json();
    assert_eq!(id(&joined), id(&first));
    let resync = trigger(
        &admin,
        &json!({ "kind": "resync", "streams": ["contacts"] }),
    )
    .await;
    assert_eq!(resync["class"], "history");
    let window = json!({ "since": "2024-01-01T00:00:00Z", "until": "2024-02-01T00:00:00Z" });
    let backfill = trigger(
        &admin,
        &json!({ "kind": "backfill", "stream": "contacts", "window": window }),
    )
    .await;
    assert_eq!(backfill["streams"].as_object().unwrap().len(), 1);
    let unknown = admin
        .post(
            "/v1/syncs/crm/jobs",
            &json!({ "kind": "resync", "streams": ["nothing"] }),
        )
        .await
        .expect(422);
    assert_eq!(unknown.code(), "invalid");
    admin
        .post(
            "/v1/syncs/crm/jobs",
            &json!({ "kind": "sync", "tenant": "other" }),
        )
        .await
        .expect(422);
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_at_once_and_its_sync_can_go_then() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let job = trigger(&admin, &PLAIN()).await;
    assert_eq!(
        admin.delete("/v1/syncs/crm").await.expect(409).code(),
        "in_use"
    );
    let cancelled = admin
        .post(&format!("/v1/jobs/{}/cancel", id(&job)), &json!(null))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&cancelled["state"], &cancelled["is_final"]),
        (&json!("cancelled"), &json!(true))
    );
    admin
        .post(&format!("/v1/jobs/{}/cancel", id(&job)), &json!(null))
        .await
        .expect(200);
    admin.delete("/v1/syncs/crm").await.expect(204);
    admin
        .get(&format!("/v1/jobs/{}", id(&job)))
        .await
        .expect(200);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_and_filtered() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let job = trigger(&admin, &PLAIN()).await;
        admin
            .post(&format!("/v1/jobs/{}/cancel", id(&job)), &json!(null))
            .await
            .expect(200);
        ids.push(id(&job).to_owned());
    }
    let (mut path, mut seen) = ("/v1/jobs?limit=2".to_owned(), Vec::new());
    loop {
        let page = admin.get(&path).await.expect(200).json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|job| id(job).to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/jobs?limit=2&after={next}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    ids.sort();
    assert_eq!(sorted, ids, "a page was lost or doubled");
    let count = async |query: &str| {
        admin
            .get(&format!("/v1/jobs?{query}"))
            .await
            .expect(200)
            .json()["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("state=cancelled&sync=crm").await, 5);
    assert_eq!(count("state=queued").await, 0);
    assert_eq!(count("sync=other").await, 0);
}

#[tokio::test]
async fn a_failed_job_tells_why_and_is_tried_again() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let job = trigger(&admin, &PLAIN()).await;
    let early = admin
        .post(&format!("/v1/jobs/{}/retry", id(&job)), &json!(null))
        .await
        .expect(409);
    assert_eq!(early.code(), "state_conflict");
    fail(&site, id(&job), Fault::Auth).await;
    let failed = admin
        .get(&format!("/v1/jobs/{}", id(&job)))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&failed["state"], &failed["reason"]),
        (&json!("failed"), &json!("auth"))
    );
    let attempts = admin
        .get(&format!("/v1/jobs/{}/attempts", id(&job)))
        .await
        .expect(200)
        .json();
    assert_eq!(attempts["items"][0]["error"], "as the test asked");
    assert_eq!(attempts["items"][0]["report"]["contacts"]["rows"], 0);
    assert_eq!(
        admin
            .get(&format!("/v1/jobs/{}/log", id(&job)))
            .await
            .expect(200)
            .json()["items"],
        json!([])
    );
    let again = admin
        .post(&format!("/v1/jobs/{}/retry", id(&job)), &json!(null))
        .await
        .expect(201)
        .json();
    assert_eq!(again["trigger"], json!({ "by": "retry", "job": id(&job) }));
}

#[tokio::test]
async fn all_that_failed_for_one_reason_is_tried_again_in_one_call() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    admin
        .put("/v1/connections/crm", &crate::site::connection())
        .await
        .expect(201);
    for (sync, fault) in [
        ("a", Some(Fault::Auth)),
        ("b", Some(Fault::Auth)),
        ("c", Some(Fault::Config)),
        ("d", None),
    ] {
        admin
            .put(&format!("/v1/syncs/{sync}"), &crate::site::sync("crm"))
            .await
            .expect(201);
        let job = admin
            .post(&format!("/v1/syncs/{sync}/jobs"), &PLAIN())
            .await
            .expect(201)
            .json();
        if let Some(fault) = fault {
            fail(&site, id(&job), fault).await;
        }
    }
    let newer = admin
        .post("/v1/syncs/b/jobs", &PLAIN())
        .await
        .expect(201)
        .json();
    let retried = admin
        .post("/v1/jobs/retry", &json!({ "reason": "auth" }))
        .await
        .expect(200)
        .json();
    let jobs = retried["jobs"].as_array().unwrap();
    assert_eq!(
        jobs.len(),
        1,
        "b has a newer job already, c failed for another reason: {retried}"
    );
    let job = admin
        .get(&format!("/v1/jobs/{}", jobs[0].as_str().unwrap()))
        .await
        .expect(200)
        .json();
    assert_eq!(job["sync"], "a");
    assert_ne!(id(&job), id(&newer));
    let none = admin
        .post("/v1/jobs/retry", &json!({ "reason": "auth", "sync": "d" }))
        .await
        .expect(200)
        .json();
    assert_eq!(none["jobs"], json!([]));
    admin
        .post("/v1/jobs/retry", &json!({ "reason": "bad luck" }))
        .await
        .expect(422);
}

#[tokio::test]
async fn streams_and_checkpoints_of_a_sync_that_never_ran_are_empty() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let streams = admin.get("/v1/syncs/crm/streams").await.expect(200).json();
    assert_eq!(streams["items"].as_array().unwrap().len(), 2);
    assert_eq!(streams["items"][0]["generation"], 0);
    let checkpoints = admin
        .get("/v1/syncs/crm/streams/contacts/checkpoints")
        .await
        .expect(200)
        .json();
    assert_eq!(checkpoints["items"], json!([]));
    admin
        .get("/v1/syncs/crm/streams/nothing/checkpoints")
        .await
        .expect(404);
}

#[tokio::test]
async fn checkpoints_are_not_edited_under_a_job_and_not_with_what_is_no_cursor() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    with_sync(&admin).await;
    let path = "/v1/syncs/crm/streams/contacts/checkpoints";
    let edit = |cursor: &str| json!({ "edits": [{ "partition": "all", "cursor": cursor }] });
    let patch = async |path: &str, body: Value| {
        admin
            .send(
                http::Method::PATCH,
                path,
                &[("content-type", JSON)],
                body.to_string(),
            )
            .await
    };
    let wrong = patch(path, edit("{")).await.expect(422).json();
    assert_eq!(wrong["errors"][0]["pointer"], "/edits/0/cursor");
    patch(path, json!({ "edits": [] })).await.expect(422);
    let other = "/v1/syncs/crm/streams/unknown/checkpoints";
    patch(other, edit("{}")).await.expect(404);
    let job = trigger(&admin, &PLAIN()).await;
    let busy = patch(path, edit("{}")).await.expect(409);
    assert_eq!(busy.code(), "in_use");
    let cancel = format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap());
    admin.post(&cancel, &json!(null)).await.expect(200);
    // Nothing was read yet, so there is no cursor.
    let mut here = sync("crm");
    let lake = site.folder.path().join("lake");
    here["target"]["url"] = json!(format!("file://{}", lake.display()));
    admin.put("/v1/syncs/crm", &here).await.expect(200);
    let none = patch(path, edit("{}")).await.expect(422);
    let detail = none.json()["detail"].to_string();
    assert!(detail.contains("no partition all"), "{detail}");
    let viewer = site.caller("acme", Role::TenantViewer).await;
    viewer
        .send(
            http::Method::PATCH,
            path,
            &[("content-type", JSON)],
            edit("{}").to_string(),
        )
        .await
        .expect(403);
}
