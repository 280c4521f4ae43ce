//! Workers that go away, politely or not: another goes on, and no row is lost or
//! doubled.

use crate::plant::Plant;
use tidegate_domain::job::{JobRequest, JobState};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_is_followed_by_another_once_its_claim_has_run_out() {
    let plant = Plant::new(3_000).await;
    let tenant = plant.add_tenant("acme").await;
    plant.slow_down(60);
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let first = plant.work();
    plant.until_rows(&first, &tenant, &job).await;
    first.kill().await;
    let held = plant.job(&tenant, &job).await;
    assert_eq!(held.row.job.state, JobState::Running);

    let second = plant.work();
    let done = plant.to_state(&tenant, &job, JobState::Succeeded).await;
    assert!(done.row.job.attempts >= 2);
    assert_eq!(done.row.job.lost, 0, "it got on, so nobody counts the loss");
    second.drain().await;
    plant.assert_whole(&tenant).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_gets_on_outlives_any_number_of_workers() {
    let plant = Plant::new(8_000).await;
    let tenant = plant.add_tenant("acme").await;
    plant.slow_down(200);
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let mut attempts = 0;
    for _ in 1..=4 {
        let worker = plant.work();
        // An attempt that finds the dead worker's lease parks for a moment, so they are
        // not numbered as the workers are.
        let gets_on = plant
            .until(&tenant, &job, |found| {
                found.row.job.attempts > attempts && found.row.job.has_progressed()
            })
            .await;
        assert_eq!(gets_on.row.job.lost, 0);
        attempts = gets_on.row.job.attempts;
        worker.kill().await;
    }
    let worker = plant.work();
    plant.to_state(&tenant, &job, JobState::Succeeded).await;
    worker.drain().await;
    plant.assert_whole(&tenant).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_every_worker_ends_as_poison() {
    let plant = Plant::new(300).await;
    let tenant = plant.add_tenant("acme").await;
    plant.slow_down(60_000);
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    for lost in 0..3 {
        let worker = plant.work();
        plant
            .until(&tenant, &job, |found| {
                found.row.job.state == JobState::Running && found.row.job.lost == lost
            })
            .await;
        worker.kill().await;
    }
    let worker = plant.work();
    let failed = plant.to_state(&tenant, &job, JobState::Failed).await;
    assert!(failed.row.job.poisoned);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_gives_its_job_back_and_the_next_goes_on_at_once() {
    let plant = Plant::new(3_000).await;
    let tenant = plant.add_tenant("acme").await;
    plant.slow_down(60);
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let first = plant.work();
    plant.until_rows(&first, &tenant, &job).await;
    assert_eq!(first.drain().await.cut_off, 0);
    let given_back = plant.job(&tenant, &job).await;
    assert_eq!(given_back.row.job.state, JobState::Queued);
    assert!(!given_back.claimed);
    let saved: u32 = plant.landed(&tenant, "contacts").await.values().sum();
    assert!((1..3_000).contains(&saved), "{saved} rows");

    let second = plant.work();
    let done = plant.to_state(&tenant, &job, JobState::Succeeded).await;
    assert!(done.row.job.fruitless.is_empty(), "a drain is no failure");
    second.drain().await;
    plant.assert_whole(&tenant).await;
}
