//! Jobs and their retention.

use crate::fixtures::{sync, tenant};
use std::sync::Arc;
use tidegate_domain::id::{JobId, StreamName, SyncId};
use tidegate_domain::job::{Job, JobState};
use tidegate_store::jobs::{FINISHED_JOBS_MAX, JobRow};
use tidegate_store::{Error, Store};
use tokio::task::JoinSet;

fn row(id: &str, created_at_ms: u64, state: JobState) -> JobRow {
    let mut job = Job::new([StreamName::parse("contacts").unwrap()]);
    job.state = state;
    JobRow {
        id: JobId::parse(id).unwrap(),
        tenant: tenant(),
        sync: sync(),
        job,
        created_at_ms,
        updated_at_ms: created_at_ms,
    }
}

async fn ids(store: &dyn Store, limit: u32) -> Vec<String> {
    let jobs = store.jobs_of(&tenant(), &sync(), limit).await.unwrap();
    jobs.into_iter().map(|row| row.id.to_string()).collect()
}

pub(crate) async fn a_job_is_replaced_by_its_newer_self(store: Arc<dyn Store>) {
    let queued = row("j", 1, JobState::Queued);
    assert_eq!(store.job(&queued.id).await.unwrap(), None);
    store.put_job(&queued).await.unwrap();
    let running = JobRow {
        updated_at_ms: 2,
        ..row("j", 1, JobState::Running)
    };
    store.put_job(&running).await.unwrap();
    assert_eq!(store.job(&queued.id).await.unwrap(), Some(running));
}

pub(crate) async fn jobs_of_a_sync_come_newest_first(store: Arc<dyn Store>) {
    for (id, created_at_ms) in [("b", 2), ("a", 1), ("c", 2)] {
        store
            .put_job(&row(id, created_at_ms, JobState::Succeeded))
            .await
            .unwrap();
    }
    let other = JobRow {
        sync: SyncId::parse("erp").unwrap(),
        ..row("d", 9, JobState::Queued)
    };
    store.put_job(&other).await.unwrap();
    assert_eq!(ids(&*store, 9).await, ["c", "b", "a"]);
    assert_eq!(ids(&*store, 1).await, ["c"]);
}

pub(crate) async fn an_id_is_not_taken_over_by_another_sync(store: Arc<dyn Store>) {
    let ours = row("j", 1, JobState::Queued);
    store.put_job(&ours).await.unwrap();
    let theirs = JobRow {
        sync: SyncId::parse("erp").unwrap(),
        ..ours.clone()
    };
    let put = store.put_job(&theirs).await;
    assert!(matches!(put, Err(Error::Statement { .. })), "{put:?}");
    assert_eq!(store.job(&ours.id).await.unwrap(), Some(ours));
}

pub(crate) async fn only_the_newest_finished_jobs_are_kept(store: Arc<dyn Store>) {
    store
        .put_job(&row("running", 0, JobState::Running))
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    let extra = 5;
    for number in 0..u64::from(FINISHED_JOBS_MAX) + extra {
        let store = Arc::clone(&store);
        let job = row(&format!("j{number}"), number + 1, JobState::Failed);
        tasks.spawn(async move { store.put_job(&job).await.unwrap() });
    }
    tasks.join_all().await;
    let kept = ids(&*store, u32::MAX).await;
    let newest =
        (0..u64::from(FINISHED_JOBS_MAX)).map(|age| u64::from(FINISHED_JOBS_MAX) + extra - 1 - age);
    let mut expected: Vec<String> = newest.map(|number| format!("j{number}")).collect();
    expected.push("running".to_owned());
    assert_eq!(kept, expected);
}
