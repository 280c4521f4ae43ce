//! Schedules fire once, whoever tries how often.

use crate::fixtures::{commit, make_tenant, new_job, sync, tenant};
use std::sync::Arc;
use tidegate_domain::id::SyncId;
use tidegate_store::ServiceStore;
use tidegate_store::control::{Expected, TenantState, Write};
use tidegate_store::queue::{Enqueue, Enqueued};
use tidegate_store::schedules::{DueSchedules, Fired, ScheduleRow};
use tokio::task::JoinSet;

async fn set(store: &dyn ServiceStore, sync: &str, next_at_ms: Option<u64>) {
    let write = Write::SetSchedule {
        sync: SyncId::parse(sync).unwrap(),
        next_at_ms,
    };
    let set = commit(tenant(), vec![write]);
    store.commit(set).await.unwrap();
}

fn job(id: &str) -> Option<Enqueue> {
    Some(Enqueue {
        job: new_job(id),
        attach: true,
    })
}

async fn only_due(store: &dyn ServiceStore, now_ms: u64) -> ScheduleRow {
    let found = store.due_schedules(now_ms, 9).await.unwrap();
    found.due.into_iter().next().unwrap()
}

pub(crate) async fn schedules_come_due_in_order(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    for (sync, next_at_ms) in [("a", 30), ("b", 10), ("c", 20), ("d", 40)] {
        set(&*store, sync, Some(next_at_ms)).await;
    }
    set(&*store, "b", None).await;
    let found = store.due_schedules(30, 9).await.unwrap();
    let due: Vec<_> = found.due.iter().map(|row| row.sync.as_str()).collect();
    assert_eq!((due, found.next_at_ms), (vec!["c", "a"], Some(40)));
    assert_eq!(store.due_schedules(30, 1).await.unwrap().due.len(), 1);
    let suspend = Write::PutTenant {
        expected: Expected::Any,
        title: String::new(),
        state: TenantState::Suspended,
        jobs_max: None,
    };
    store.commit(commit(tenant(), vec![suspend])).await.unwrap();
    assert_eq!(store.due_schedules(30, 9).await.unwrap().due, []);
}

pub(crate) async fn of_many_schedulers_one_fires(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    set(&*store, "crm", Some(10)).await;
    let due = only_due(&*store, 15).await;
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let (store, due) = (Arc::clone(&store), due.clone());
        tasks.spawn(async move {
            let job = job(&format!("j{number}"));
            store.fire(&due, job, Some(20), 15).await.unwrap()
        });
    }
    let fired: Vec<Fired> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(fired.len(), 1);
    let Some(Enqueued::New(id)) = &fired[0].job else {
        panic!("{fired:?}");
    };
    assert!(store.queued_job(&tenant(), id).await.unwrap().is_some());
    let row = store.schedule(&tenant(), &sync()).await.unwrap().unwrap();
    assert_eq!((row.next_at_ms, row.fired_at_ms), (20, Some(15)));
    assert_eq!(row.job.as_ref(), Some(id));
    assert_eq!(
        store.due_schedules(15, 9).await.unwrap(),
        DueSchedules {
            due: vec![],
            next_at_ms: Some(20)
        }
    );
}

pub(crate) async fn a_schedule_that_was_changed_meanwhile_does_not_fire(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    set(&*store, "crm", Some(10)).await;
    let due = only_due(&*store, 15).await;
    set(&*store, "crm", Some(12)).await;
    let late = store.fire(&due, job("j"), Some(20), 15).await.unwrap();
    assert_eq!(late, None);
    set(&*store, "crm", None).await;
    let late = store.fire(&due, job("j"), Some(20), 15).await.unwrap();
    assert_eq!(late, None);
    assert_eq!(store.schedule(&tenant(), &sync()).await.unwrap(), None);
    assert_eq!(store.candidates(9_999).await.unwrap().due, []);
}

pub(crate) async fn a_missed_schedule_attaches_and_the_last_one_goes_away(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    set(&*store, "crm", Some(10)).await;
    for (id, next_at_ms, stands) in [("j1", Some(20), "j1"), ("j2", Some(30), "j1")] {
        let due = only_due(&*store, 25).await;
        let fired = store.fire(&due, job(id), next_at_ms, 25).await.unwrap();
        assert_eq!(fired.unwrap().job.unwrap().id().as_str(), stands);
    }
    let due = only_due(&*store, 35).await;
    let skipped = store.fire(&due, None, Some(40), 35).await.unwrap();
    assert_eq!(skipped, Some(Fired { job: None }));
    let due = only_due(&*store, 45).await;
    assert_eq!(due.fired_at_ms, Some(25), "skipping is not firing");
    store
        .fire(&due, job("j3"), None, 45)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.schedule(&tenant(), &sync()).await.unwrap(), None);
}
