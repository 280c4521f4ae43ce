//! Retention: what is past its time goes, and nothing else.

use crate::fixtures::{
    LONG_MS, commit, event, make_tenant, new_job, put_job, put_tenant, settled, sha256, tenant,
    token,
};
use std::sync::Arc;
use tidegate_domain::access::Role;
use tidegate_domain::job::StreamOutcome;
use tidegate_store::ServiceStore;
use tidegate_store::control::{
    ANSWER_KEPT_MS, AuditVerdict, Commit, Expected, Idempotency, Page, Write,
};
use tidegate_store::upkeep::{Retention, Swept};

const KEEP: Retention = Retention {
    jobs_ms: 100,
    events_ms: 100,
    audit_ms: 100,
    keys_ms: 100,
    requests_ms: 100,
};

async fn sweep_all(store: &dyn ServiceStore, now_ms: u64) -> u64 {
    let mut rows = 0;
    loop {
        let swept = store.sweep(now_ms, KEEP).await.unwrap();
        rows += swept.rows;
        if !swept.more {
            return rows;
        }
    }
}

pub(crate) async fn finished_jobs_go_and_unfinished_ones_stay(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    for id in ["done", "waits"] {
        put_job(&*store, new_job(id), false).await;
    }
    let claimed = store
        .claim(&new_job("done").id, token(1), 1_000, LONG_MS)
        .await;
    let (claim, queued) = claimed.unwrap().unwrap();
    let done = settled(queued.row.job, StreamOutcome::Succeeded, 1_000);
    store.settle(&claim, done).await.unwrap();
    let ids = async || -> Vec<String> {
        let jobs = store.queued_jobs(&tenant(), &Default::default(), 9).await;
        let jobs = jobs.unwrap().into_iter();
        jobs.map(|job| job.row.id.to_string()).collect()
    };
    sweep_all(&*store, 1_100).await;
    assert_eq!(ids().await, ["waits", "done"]);
    sweep_all(&*store, 1_101).await;
    assert_eq!(ids().await, ["waits"]);
    let gone = store.attempts(&tenant(), &claim.job).await.unwrap();
    assert_eq!(gone, []);
}

pub(crate) async fn events_go_once_they_are_dispatched(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let happened = Commit {
        events: vec![event("a"), event("b")],
        ..commit(tenant(), Vec::new())
    };
    store.commit(happened).await.unwrap();
    store
        .dispatch(1, 1, vec![(1, "hook".to_owned())], 1_000)
        .await
        .unwrap();
    sweep_all(&*store, 9_999).await;
    let left = store.events(&tenant(), 0, 9).await.unwrap();
    assert_eq!(left.iter().map(|row| row.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(store.undispatched(9).await.unwrap(), left);
    let deliveries = store.deliveries(&tenant(), "hook", 0, 9).await.unwrap();
    assert_eq!(deliveries, []);
    assert!(store.dispatch(2, 2, vec![], 1_000).await.unwrap());
    sweep_all(&*store, 9_999).await;
    let next = Commit {
        events: vec![event("c")],
        ..commit(tenant(), Vec::new())
    };
    store.commit(next).await.unwrap();
    assert_eq!(store.undispatched(9).await.unwrap()[0].seq, 3);
}

pub(crate) async fn keys_that_ended_are_forgotten(store: Arc<dyn ServiceStore>) {
    let key = |id: &str, hash, expires_at_ms| Write::PutKey {
        id: id.to_owned(),
        sha256: sha256(hash),
        role: Role::TenantAdmin,
        title: String::new(),
        expires_at_ms,
    };
    let writes = vec![
        put_tenant(Expected::Absent),
        key("expired", 1, Some(1_000)),
        key("lasting", 2, None),
        key("revoked", 3, None),
        Write::RevokeKey {
            id: "revoked".to_owned(),
        },
    ];
    store.commit(commit(tenant(), writes)).await.unwrap();
    let ids = async || -> Vec<String> {
        let page = Page {
            after: None,
            limit: 9,
        };
        let keys = store.keys(&tenant(), &page).await.unwrap().into_iter();
        keys.map(|key| key.id).collect()
    };
    sweep_all(&*store, 1_100).await;
    assert_eq!(ids().await, ["expired", "lasting", "revoked"]);
    sweep_all(&*store, 1_101).await;
    assert_eq!(ids().await, ["lasting"]);
}

pub(crate) async fn the_audit_log_loses_its_start_and_stays_a_chain(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let at = |at_ms| Commit {
        at_ms,
        ..commit(tenant(), Vec::new())
    };
    // The third's clock was late; what is behind it stays too.
    for at_ms in [1_100, 2_000, 1_100] {
        store.commit(at(at_ms)).await.unwrap();
    }
    assert_eq!(sweep_all(&*store, 2_000).await, 2);
    let seqs = async || -> Vec<u64> {
        let entries = store.audit(None, 0, 9).await.unwrap();
        entries.into_iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(seqs().await, [3, 4]);
    assert_eq!(store.commit(at(2_000)).await.unwrap().revision, 5);
    let verdict = store.verify_audit().await.unwrap();
    assert!(
        matches!(verdict, AuditVerdict::Intact { entries: 3, .. }),
        "{verdict:?}"
    );
    sweep_all(&*store, 9_999).await;
    assert_eq!(seqs().await, Vec::<u64>::new());
    assert_eq!(store.commit(at(9_999)).await.unwrap().revision, 6);
    let verdict = store.verify_audit().await.unwrap();
    assert!(
        matches!(verdict, AuditVerdict::Intact { entries: 1, .. }),
        "{verdict:?}"
    );
}

pub(crate) async fn answers_go_after_a_day_and_much_goes_in_parts(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    for number in 0..600 {
        let answered = Commit {
            idempotency: Some(Idempotency {
                key: number.to_string(),
                request_sha256: sha256(1),
                answer: String::new(),
            }),
            ..commit(tenant(), Vec::new())
        };
        store.commit(answered).await.unwrap();
    }
    let keep = Retention {
        audit_ms: u64::MAX,
        ..KEEP
    };
    let now_ms = 1_001 + ANSWER_KEPT_MS;
    for (rows, more) in [(500, true), (100, false), (0, false)] {
        let swept = store.sweep(now_ms, keep).await.unwrap();
        assert_eq!(swept, Swept { rows, more });
    }
}
