//! Jobs that may not run now: of a sync that is switched off, and outside its hours.

use crate::plant::{Plant, assert_same, eventually, sync_document};
use serde_json::json;
use tidegate_domain::id::SyncId;
use tidegate_domain::job::{JobRequest, JobState};
use tidegate_store::clock::now_ms;
use tidegate_store::queue::RESTS_MS;

const MINUTE_MS: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_sync_s_job_rests_untouched_and_goes_on_when_the_sync_is_resumed() {
    let plant = Plant::new(300).await;
    let tenant = plant.add_tenant("acme").await;
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let mut document = sync_document(&plant);
    document["paused"] = json!(true);
    plant.put_sync(&tenant, "crm", document.clone(), &[]).await;
    let working = plant.work();
    let rests = |found: &tidegate_store::queue::QueuedJob| found.wake_at_ms == RESTS_MS;
    let resting = plant.until(&tenant, &job, rests).await;
    assert_eq!(resting.row.job.state, JobState::Queued);
    assert!(!resting.claimed);
    eventually(async || (working.handle.running() == 0).then_some(())).await;
    let store = &plant.node.store;
    assert_eq!(store.attempts(&tenant, &job).await.unwrap(), []);
    let found = store.candidates(now_ms() + 3_600_000).await.unwrap();
    assert!(
        found.due.is_empty() && found.next_at_ms.is_none(),
        "{found:?}"
    );

    // Saved again, and still paused.
    plant.put_sync(&tenant, "crm", document.clone(), &[]).await;
    plant.until(&tenant, &job, rests).await;
    document["paused"] = json!(false);
    plant.put_sync(&tenant, "crm", document, &[]).await;
    working.handle.wake();
    let done = plant.to_state(&tenant, &job, JobState::Succeeded).await;
    assert_eq!(done.row.job.attempts, 1);
    assert_eq!(store.attempts(&tenant, &job).await.unwrap().len(), 1);
    working.drain().await;
    plant.assert_whole(&tenant).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_worker_was_lost_rests_too_once_its_sync_is_paused() {
    let plant = Plant::new(3_000).await;
    let tenant = plant.add_tenant("acme").await;
    plant.slow_down(60);
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let first = plant.work();
    plant.until_rows(&first, &tenant, &job).await;
    first.kill().await;
    let mut document = sync_document(&plant);
    document["paused"] = json!(true);
    plant.put_sync(&tenant, "crm", document.clone(), &[]).await;
    let second = plant.work();
    let resting = plant
        .until(&tenant, &job, |found| found.wake_at_ms == RESTS_MS)
        .await;
    assert_eq!(resting.row.job.state, JobState::Queued);
    document["paused"] = json!(false);
    plant.put_sync(&tenant, "crm", document, &[]).await;
    second.handle.wake();
    plant.to_state(&tenant, &job, JobState::Succeeded).await;
    second.drain().await;
    plant.assert_whole(&tenant).await;
}

/// `hh:mm` in UTC at this time.
fn time_of_day(at_ms: u64) -> String {
    let minutes = at_ms / MINUTE_MS;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// Hours are told to the minute, so this waits for the end of one; the long form also
/// for the next to pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_the_end_of_its_hours_meets_saves_and_goes_on_within_the_next() {
    let plant = Plant::new(10_000).await;
    let tenant = plant.add_tenant("acme").await;
    // Compiled before, which may take a while.
    plant
        .put_sync(&tenant, "other", sync_document(&plant), &[])
        .await;
    let other = SyncId::parse("other").unwrap();
    let other = plant.enqueue_of(&tenant, &other, JobRequest::Sync).await;
    let working = plant.work();
    plant.to_state(&tenant, &other, JobState::Succeeded).await;
    plant.slow_down(1_000);
    // With time to commit something before.
    let closes_at_ms = (now_ms() + 15_000).next_multiple_of(MINUTE_MS);
    let opens_at_ms = closes_at_ms + MINUTE_MS;
    let mut document = sync_document(&plant);
    document["schedule"] = json!({ "off_hours": {
        "from": time_of_day(opens_at_ms), "to": time_of_day(closes_at_ms),
    }});
    document["batch"] = json!({ "rows_max": 100 });
    plant.put_sync(&tenant, "crm", document, &[]).await;
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    working.handle.wake();
    plant.until_rows(&working, &tenant, &job).await;
    assert!(now_ms() < closes_at_ms);
    let parked = plant.to_state(&tenant, &job, JobState::Parked).await;
    assert_eq!((parked.wake_at_ms, parked.claimed), (opens_at_ms, false));
    assert!(now_ms() >= closes_at_ms);
    let saved: u32 = plant.landed(&tenant, "contacts").await.values().sum();
    assert!((1..10_000).contains(&saved), "{saved} rows");
    assert_eq!(parked.row.job.attempts, 1);
    if std::env::var_os("TIDEGATE_PROOF").is_some() {
        plant.crm.clear_faults();
        let done = plant.to_state(&tenant, &job, JobState::Succeeded).await;
        assert!(now_ms() >= opens_at_ms);
        assert_eq!(done.row.job.attempts, 2);
        assert!(done.row.job.fruitless.is_empty(), "a pause is no failure");
        assert_same(
            &plant.landed(&tenant, "contacts").await,
            &plant.truth(|_| true),
        );
    }
    working.drain().await;
}
