//! A job from the queue to its end, and what can come between.

use crate::plant::{Plant, eventually};
use crm_sim::hubspot::{Fault, Kind, PathKind, Rule, When};
use tidegate_domain::job::{JobRequest, JobState, Reason, StreamOutcome};
use tidegate_engine::progress::PartitionOutcome;
use tidegate_engine::worker::AttemptReport;
use tidegate_store::clock::now_ms;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_sync_runs_to_its_end_and_the_next_goes_on_from_there() {
    let plant = Plant::new(1_500).await;
    let tenant = plant.add_tenant("acme").await;
    let done = plant.run(&tenant, JobRequest::Sync).await;
    plant.assert_whole(&tenant).await;
    assert_eq!(done.row.job.attempts, 1);

    let store = &plant.node.store;
    let attempts = store.attempts(&tenant, &done.row.id).await.unwrap();
    let report: AttemptReport = serde_json::from_str(&attempts[0].attempt.report).unwrap();
    assert_eq!(report.figures.rows, 1_500);
    let stream = report.streams.values().next().unwrap();
    assert_eq!(stream.outcome, StreamOutcome::Succeeded);
    assert!(stream.figures.requests >= 15 && stream.figures.guest_cpu_us > 0);
    let partitions = stream.partitions.values();
    assert!(partitions.clone().all(|it| {
        it.outcome == PartitionOutcome::Finished && it.started_at_ms <= it.ended_at_ms
    }));
    let records: u64 = partitions.clone().map(|it| it.records).sum();
    assert_eq!(records, stream.figures.records);
    let requests: u64 = partitions.map(|it| it.requests).sum();
    assert!(requests > 0 && requests <= stream.figures.requests);
    let events = store.events(&tenant, 0, 100).await.unwrap();
    let finished = events.iter().filter(|row| row.event.kind == "job.finished");
    assert_eq!(finished.count(), 1);
    let log = store.log(&tenant, &done.row.id, 0, 100).await.unwrap();
    assert!(
        log.iter()
            .any(|(_, line)| line.message.contains("read to its end"))
    );

    // A run reads up to the last whole second of the provider's clock.
    let before = i64::try_from(now_ms()).unwrap() - 5_000;
    let created = plant.crm.create(Kind::Contacts, 7, before).len() as u64;
    let next = plant.run(&tenant, JobRequest::Sync).await;
    let attempts = store.attempts(&tenant, &next.row.id).await.unwrap();
    let report: AttemptReport = serde_json::from_str(&attempts[0].attempt.report).unwrap();
    assert!((created..100).contains(&report.figures.rows), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_a_running_guest_and_what_was_saved_stays() {
    let plant = Plant::new(3_000).await;
    let tenant = plant.add_tenant("acme").await;
    plant.slow_down(400);
    let working = plant.work();
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    plant.until_rows(&working, &tenant, &job).await;
    plant.cancel(&tenant, &job).await;
    let requests = plant.crm.counters().requests_total;
    let cancelled = plant.to_state(&tenant, &job, JobState::Cancelled).await;
    // A tick, what was under way, and not the two dozen pages that were left.
    let more = plant.crm.counters().requests_total - requests;
    assert!(more <= 5, "{more} requests after the cancel");
    assert_eq!(
        cancelled.row.job.streams.values().next(),
        Some(&StreamOutcome::Stopped)
    );
    assert_eq!(working.drain().await.cut_off, 0);

    let saved: u32 = plant.landed(&tenant, "contacts").await.values().sum();
    assert!(saved > 0);
    plant.crm.clear_faults();
    plant.run(&tenant, JobRequest::Sync).await;
    plant.assert_whole(&tenant).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_waits_for_a_limit_holds_nothing_and_goes_on_when_it_may() {
    let plant = Plant::with(1_500, |config| config.broker.patience_ms = 100).await;
    let tenant = plant.add_tenant("acme").await;
    plant.crm.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 5, take: 1 },
        fault: Fault::Throttle {
            retry_after_s: Some(3),
        },
    });
    let working = plant.work();
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let parked = plant.to_state(&tenant, &job, JobState::Parked).await;
    assert!(!parked.claimed && parked.wake_at_ms > now_ms());
    eventually(async || (working.handle.running() == 0).then_some(())).await;
    let candidates = plant.node.store.candidates(now_ms()).await.unwrap();
    assert!(candidates.due.is_empty() && candidates.running.is_empty());
    assert!(candidates.next_at_ms.is_some());
    let done = plant.to_state(&tenant, &job, JobState::Succeeded).await;
    assert!(done.row.job.fruitless.is_empty(), "a park is no failure");
    assert!(done.row.job.attempts >= 2);
    plant.assert_whole(&tenant).await;
    working.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_run_side_by_side_and_apart() {
    let plant = Plant::new(1_000).await;
    let acme = plant.add_tenant("acme").await;
    let globex = plant.add_tenant("globex").await;
    plant.slow_down(50);
    let working = plant.work();
    let first = plant.enqueue(&acme, JobRequest::Sync).await;
    let second = plant.enqueue(&globex, JobRequest::Sync).await;
    working.handle.wake();
    eventually(async || (working.handle.running() == 2).then_some(())).await;
    assert!(
        working.handle.snapshot(&acme, &second).is_none(),
        "another's job"
    );
    for (tenant, job) in [(&acme, &first), (&globex, &second)] {
        plant.to_state(tenant, job, JobState::Succeeded).await;
        plant.assert_whole(tenant).await;
    }
    let found = plant.node.store.queued_job(&acme, &second).await.unwrap();
    assert!(found.is_none(), "another's job");
    working.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_fails_the_job_with_its_reason_and_without_the_token() {
    let plant = Plant::new(300).await;
    let tenant = plant.add_tenant("acme").await;
    plant.put_secret(&tenant, "pat-na1-canary-4711").await;
    let working = plant.work();
    let job = plant.enqueue(&tenant, JobRequest::Sync).await;
    let failed = plant.to_state(&tenant, &job, JobState::Failed).await;
    let attempts = plant.node.store.attempts(&tenant, &job).await.unwrap();
    let report: AttemptReport = serde_json::from_str(&attempts[0].attempt.report).unwrap();
    assert!(
        report.figures.requests > 0,
        "a call that failed asked too: {report:?}"
    );
    assert_eq!(failed.row.job.reason(), Some(Reason::Auth));
    let store = &plant.node.store;
    let attempts = store.attempts(&tenant, &job).await.unwrap();
    let report: AttemptReport = serde_json::from_str(&attempts[0].attempt.report).unwrap();
    assert!(
        report.figures.requests > 0,
        "a call that failed asked too: {report:?}"
    );
    let events = store.events(&tenant, 0, 100).await.unwrap();
    let log = store.log(&tenant, &job, 0, 100).await.unwrap();
    assert!(
        events
            .iter()
            .any(|row| row.event.kind == "connection.needs_reauth")
    );
    let all = format!("{attempts:?} {events:?} {log:?}");
    assert!(!all.contains("canary"), "{all}");
    working.drain().await;

    plant
        .put_secret(&tenant, plant.crm.private_app_token())
        .await;
    plant.run(&tenant, JobRequest::Sync).await;
    plant.assert_whole(&tenant).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_joins_the_job_that_is_there() {
    let plant = Plant::new(300).await;
    let tenant = plant.add_tenant("acme").await;
    let first = plant.enqueue(&tenant, JobRequest::Sync).await;
    let second = plant.enqueue(&tenant, JobRequest::Sync).await;
    assert_eq!(first, second);
    let working = plant.work();
    plant.to_state(&tenant, &first, JobState::Succeeded).await;
    working.drain().await;
    plant.assert_whole(&tenant).await;
}
