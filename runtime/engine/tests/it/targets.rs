//! What a job's documents say of its connection and its target, as the worker heeds it.

use crate::plant::{Plant, assert_same, sync, sync_document};
use s3_local::S3Local;
use serde_json::json;
use tidegate_broker::Origin;
use tidegate_domain::id::{StreamKey, SyncId};
use tidegate_domain::job::{JobRequest, JobState};
use tidegate_domain::spec::TargetSpec;
use tidegate_landing::lake;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_connection_run_as_many_at_once_as_its_document_says() {
    for (concurrency_max, jobs_max) in [(1, 1), (2, 2)] {
        let plant = Plant::new(400).await;
        let tenant = plant.add_tenant("acme").await;
        let mut connection = plant.connection(&tenant).await;
        connection["concurrency_max"] = json!(concurrency_max);
        plant.put_connection(&tenant, connection).await;
        plant.slow_down(200);
        let mut document = sync_document(&plant);
        // So that a job asks for one page at a time.
        document["streams"][0]["partitions_max"] = json!(1);
        let mut jobs = Vec::new();
        for name in ["a", "b", "c", "d"] {
            plant.put_sync(&tenant, name, document.clone(), &[]).await;
            let sync = SyncId::parse(name).unwrap();
            jobs.push(plant.enqueue_of(&tenant, &sync, JobRequest::Sync).await);
        }
        let working = plant.work();
        for job in &jobs {
            plant.to_state(&tenant, job, JobState::Succeeded).await;
        }
        working.drain().await;
        assert_eq!(plant.crm.counters().in_flight_max, jobs_max);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_lands_on_s3_with_stored_secrets_and_only_where_the_operator_allows() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3Local::start(folder.path(), 0, "test", "test-secret")
        .await
        .unwrap();
    s3.create_bucket("lake").unwrap();
    let endpoint = s3.endpoint();
    let target = json!({
        "url": "s3://lake/crm",
        "endpoint": endpoint,
        "region": "us-east-1",
        "path_style": true,
        "access_key": "${secret:s3-access}",
        "secret_key": "${secret:s3-secret}",
        "format": "jsonl.zst",
    });
    for is_allowed in [false, true] {
        let plant = Plant::with(1_000, |config| {
            if is_allowed {
                config
                    .target_origins
                    .push(Origin::parse(&endpoint).unwrap());
            }
        })
        .await;
        let tenant = plant.add_tenant("acme").await;
        plant.put_secret_as(&tenant, "s3-access", "test").await;
        plant
            .put_secret_as(&tenant, "s3-secret", "test-secret")
            .await;
        let mut document = sync_document(&plant);
        document["target"] = target.clone();
        plant.put_sync(&tenant, "crm", document, &[]).await;
        if !is_allowed {
            let working = plant.work();
            let job = plant.enqueue(&tenant, JobRequest::Sync).await;
            let refused = plant.to_state(&tenant, &job, JobState::Failed).await;
            let text = format!("{:?}", refused.row.job);
            assert!(text.contains("is not https"), "{text}");
            working.drain().await;
            continue;
        }
        plant.run(&tenant, JobRequest::Sync).await;
        let spec: TargetSpec = serde_json::from_value(target.clone()).unwrap();
        let target = plant.node.stored_target(&tenant, &sync(), &spec).await;
        let target = target.unwrap();
        let key = StreamKey {
            tenant,
            sync: sync(),
            stream: crate::plant::contacts(),
        };
        let view = lake::view(&target, &key).await.unwrap();
        assert_same(&plant.rows_on(&target, &view).await, &plant.truth(|_| true));
    }
}
