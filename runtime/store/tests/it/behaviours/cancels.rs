//! Cancelling: of a job that waits, of one that runs, of one whose worker is gone.

use super::queue::{NOW_MS, assert_powerless, cancel, claim, finish, id};
use crate::fixtures::{LONG_MS, make_tenant, new_job, put_job, settled, tenant};
use std::sync::Arc;
use tidegate_domain::id::SyncId;
use tidegate_domain::job::{JobState, StreamOutcome};
use tidegate_store::queue::{Candidates, Enqueued, NewJob, Settlement};
use tidegate_store::{Error, ServiceStore};

pub(crate) async fn a_waiting_job_is_cancelled_at_once(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    for job in ["waiting", "over"] {
        let new = NewJob {
            sync: SyncId::parse(job).unwrap(),
            ..new_job(job)
        };
        put_job(&*store, new, false).await;
    }
    finish(&*store, "over").await;
    for job in ["waiting", "waiting", "over"] {
        cancel(&*store, job).await.unwrap();
    }
    let state = async |job: &str| {
        let queued = store.queued_job(&tenant(), &id(job)).await.unwrap();
        queued.unwrap().row.job.state
    };
    assert_eq!(state("waiting").await, JobState::Cancelled);
    assert_eq!(state("over").await, JobState::Succeeded);
    assert_eq!(
        store.candidates(NOW_MS).await.unwrap(),
        Candidates::default()
    );
    let events = store.events(&tenant(), 0, 9).await.unwrap();
    assert_eq!(events.len(), 1, "its end is told once");
    let missing = cancel(&*store, "missing").await;
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn a_running_job_is_asked_to_end(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let (first, job) = claim(&*store, "j", 1).await;
    assert!(!store.renew_claim(&first, LONG_MS).await.unwrap());
    cancel(&*store, "j").await.unwrap();
    assert!(store.renew_claim(&first, LONG_MS).await.unwrap());
    assert_eq!(store.cancel_requests().await.unwrap(), [id("j")]);
    assert_eq!(store.events(&tenant(), 0, 9).await.unwrap(), []);
    // One that stands for nothing any more.
    let attached = put_job(&*store, new_job("k"), true).await;
    assert_eq!(attached, Enqueued::New(id("k")));

    let parked = settled(
        job.clone(),
        StreamOutcome::Parked { until_ms: 9_000 },
        NOW_MS,
    );
    let refused = store.settle(&first, parked).await.unwrap();
    assert_eq!(refused, Settlement::CancelRequested);
    assert_eq!(store.attempts(&tenant(), &id("j")).await.unwrap(), []);
    let stopped = settled(job, StreamOutcome::Stopped, NOW_MS);
    assert_eq!(stopped.job.state, JobState::Cancelled);
    store.settle(&first, stopped).await.unwrap();
    assert_eq!(store.cancel_requests().await.unwrap(), []);
}

pub(crate) async fn a_job_whose_worker_is_gone_is_cancelled_and_its_worker_fenced(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let (first, mut job) = claim(&*store, "j", 1).await;
    let claimed = tidegate_domain::job::Event::Claimed {
        now_ms: NOW_MS,
        progressed: false,
    };
    job.step(claimed, crate::fixtures::BUDGET);
    store.save_job(&first, &job, NOW_MS).await.unwrap();
    store.renew_claim(&first, 0).await.unwrap();
    cancel(&*store, "j").await.unwrap();
    let queued = store
        .queued_job(&tenant(), &id("j"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(queued.row.job.state, JobState::Cancelled);
    assert_powerless(&*store, &first, &job, "the worker came back").await;
}
