//! Jobs that nobody asks for: by the clock, after one another, in their hours.

use crate::plant::{Plant, assert_same, eventually, sync, sync_document};
use serde_json::json;
use std::sync::Arc;
use tidegate_domain::job::{JobRequest, JobState, Trigger};
use tidegate_engine::scheduler::Scheduler;
use tidegate_store::clock::now_ms;
use tidegate_store::control::Write;
use tidegate_store::queue::JobFilter;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const HOUR_MS: u64 = 3_600_000;

/// `hh:mm` in UTC at this time.
fn time_of_day(at_ms: u64) -> String {
    let minutes = at_ms / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_was_missed_fires_once_and_others_follow() {
    let plant = Plant::new(300).await;
    let tenant = plant.add_tenant("acme").await;
    let mut document = sync_document(&plant);
    document["schedule"] = json!({ "every": "1h" });
    plant.put_sync(&tenant, "crm", document.clone(), &[]).await;
    document["schedule"] = json!({ "after": "crm" });
    plant.put_sync(&tenant, "copy", document, &["crm"]).await;
    let missed = Write::SetSchedule {
        sync: sync(),
        next_at_ms: Some(now_ms() - 72 * HOUR_MS),
    };
    plant.commit(&tenant, vec![missed]).await;

    let working = plant.work();
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let scheduler = Scheduler::new(Arc::clone(&plant.node), working.handle.clone());
    tasks.spawn(scheduler.run(shutdown.clone()));
    let store = &plant.node.store;
    let jobs = eventually(async || {
        let jobs = store.queued_jobs(&tenant, &JobFilter::default(), 10).await;
        let jobs = jobs.unwrap();
        let ended = jobs.iter().filter(|job| job.row.job.state.is_final());
        (ended.count() == 2).then_some(jobs)
    })
    .await;
    shutdown.cancel();
    tasks.join_all().await;
    working.drain().await;

    assert_eq!(jobs.len(), 2);
    assert!(
        jobs.iter()
            .all(|job| job.row.job.state == JobState::Succeeded)
    );
    let first = jobs.iter().find(|job| job.row.sync == sync()).unwrap();
    let follower = jobs.iter().find(|job| job.row.sync != sync()).unwrap();
    assert_eq!(first.trigger, Trigger::Schedule);
    let job = first.row.id.clone();
    assert_eq!(follower.trigger, Trigger::After { job });
    let schedule = store.schedule(&tenant, &sync()).await.unwrap().unwrap();
    let now = now_ms();
    assert!((now..now + HOUR_MS).contains(&schedule.next_at_ms));
    let copied = plant.view_of(&tenant, "copy", "contacts").await;
    assert_same(&plant.rows(&copied).await, &plant.truth(|_| true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_its_hours_a_job_waits_until_they_begin() {
    let plant = Plant::new(300).await;
    let tenant = plant.add_tenant("acme").await;
    let opens_at_ms = (now_ms() + 2 * HOUR_MS) / 60_000 * 60_000;
    let mut document = sync_document(&plant);
    document["schedule"] = json!({ "off_hours": {
        "from": time_of_day(opens_at_ms),
        "to": time_of_day(opens_at_ms + HOUR_MS),
    }});
    plant.put_sync(&tenant, "crm", document, &[]).await;
    let working = plant.work();
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let parked = plant.to_state(&tenant, &job, JobState::Parked).await;
    assert_eq!(parked.wake_at_ms, opens_at_ms);
    assert_eq!(parked.row.job.attempts, 0, "nothing was tried");
    working.drain().await;
    assert_eq!(plant.crm.counters().requests_total, 0);
}
