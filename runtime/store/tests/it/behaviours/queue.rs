//! The queue: what is due, who has it, what came of it.

use crate::fixtures::{
    LONG_MS, commit, event, make_tenant, new_job, put_job, settled, sync, tenant, token,
};
use std::sync::Arc;
use tidegate_domain::Fault;
use tidegate_domain::id::{ConnectionId, JobId, SyncId, TenantId};
use tidegate_domain::job::{Class, Job, JobRequest, JobState, Reason, StreamOutcome};
use tidegate_store::control::{DocumentKind, Expected, TenantState, Write};
use tidegate_store::jobs::JobRow;
use tidegate_store::queue::{
    ATTEMPTS_KEPT, Candidates, Claim, Enqueue, Enqueued, JobFilter, JobPosition, LOG_LINES_KEPT,
    LogLine, NewJob, QueuedJob, RESTS_MS, Settled, Settlement,
};
use tidegate_store::{Error, ServiceStore};
use tokio::task::JoinSet;

pub(super) const NOW_MS: u64 = 5_000;
/// Of no document.
const NO_REVISION: u64 = 1 << 40;

pub(super) fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

fn due(candidates: &Candidates) -> Vec<&str> {
    let due = candidates.due.iter();
    due.map(|candidate| candidate.id.as_str()).collect()
}

async fn try_claim(store: &dyn ServiceStore, job: &str, owner: u8) -> Option<(Claim, QueuedJob)> {
    let claim = store.claim(&id(job), token(owner), NOW_MS, LONG_MS).await;
    claim.unwrap()
}

pub(super) async fn claim(store: &dyn ServiceStore, job: &str, owner: u8) -> (Claim, Job) {
    let (claim, queued) = try_claim(store, job, owner).await.unwrap();
    (claim, queued.row.job)
}

pub(super) async fn finish(store: &dyn ServiceStore, job: &str) {
    let (claim, job) = claim(store, job, 1).await;
    let done = settled(job, StreamOutcome::Succeeded, NOW_MS);
    store.settle(&claim, done).await.unwrap();
}

fn assert_lost<T: std::fmt::Debug>(result: Result<T, Error>, what: &str) {
    assert!(
        matches!(result, Err(Error::ClaimLost { .. })),
        "{what}: {result:?}"
    );
}

/// Every guarded method must find the claim lost, and change nothing.
pub(super) async fn assert_powerless(
    store: &dyn ServiceStore,
    claim: &Claim,
    job: &Job,
    what: &str,
) {
    let before = store.queued_job(&tenant(), &claim.job).await.unwrap();
    let done = settled(job.clone(), StreamOutcome::Succeeded, NOW_MS);
    assert_lost(store.renew_claim(claim, LONG_MS).await, what);
    assert_lost(store.save_job(claim, job, NOW_MS).await, what);
    assert_lost(store.append_log(claim, vec![line(1)]).await, what);
    assert_lost(store.rest(claim, 1).await, what);
    assert_lost(store.settle(claim, done).await, what);
    let after = store.queued_job(&tenant(), &claim.job).await.unwrap();
    assert_eq!(after, before, "{what}");
}

fn line(at_ms: u64) -> LogLine {
    LogLine {
        at_ms,
        level: "info".to_owned(),
        stream: None,
        message: format!("line {at_ms}"),
    }
}

pub(super) async fn cancel(store: &dyn ServiceStore, job: &str) -> Result<(), Error> {
    let write = Write::CancelJob {
        id: id(job),
        events: vec![event("job.finished")],
    };
    let cancelled = store.commit(commit(tenant(), vec![write])).await;
    cancelled.map(drop)
}

pub(crate) async fn of_each_class_tenant_and_connection_the_longest_due_is_offered(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    let job = |id: &str, sync: &str, connection: &str, class| NewJob {
        sync: SyncId::parse(sync).unwrap(),
        connection: ConnectionId::parse(connection).unwrap(),
        class,
        ..new_job(id)
    };
    for new in [
        job("b", "s1", "c1", Class::Incremental),
        job("a", "s2", "c1", Class::Incremental),
        job("c", "s3", "c2", Class::Incremental),
        job("d", "s4", "c1", Class::Live),
    ] {
        put_job(&*store, new, false).await;
    }
    let mut parked = job("e", "s5", "c3", Class::History);
    parked.job.streams.insert(
        tidegate_domain::id::StreamName::parse("contacts").unwrap(),
        StreamOutcome::Parked { until_ms: 7_000 },
    );
    parked.job.state = JobState::Parked;
    put_job(&*store, parked, false).await;

    let found = store.candidates(NOW_MS).await.unwrap();
    assert_eq!(due(&found), ["a", "c", "d"]);
    assert_eq!(found.running, []);
    assert_eq!(found.next_at_ms, Some(7_000));
    claim(&*store, "a", 1).await;
    let found = store.candidates(7_000).await.unwrap();
    assert_eq!(due(&found), ["b", "c", "d", "e"]);
    assert_eq!(found.running.len(), 1);
    assert_eq!(found.running[0].id, id("a"));
    assert!(found.next_at_ms.is_some(), "the claim will run out");
}

pub(crate) async fn live_jobs_are_offered_apart_and_every_one_of_them(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    for (id, track) in [
        ("a", "Account.live"),
        ("b", "Contact.live"),
        ("c", "main"),
        ("d", "live"),
    ] {
        let job = NewJob {
            track: track.to_owned(),
            class: Class::Live,
            ..new_job(id)
        };
        put_job(&*store, job, false).await;
    }
    let found = store.candidates(NOW_MS).await.unwrap();
    let offered = found.due.iter();
    let offered: Vec<_> = offered.map(|it| (it.id.as_str(), it.is_live)).collect();
    assert_eq!(offered, [("a", true), ("b", true), ("c", false)]);
    claim(&*store, "a", 1).await;
    let found = store.candidates(NOW_MS).await.unwrap();
    assert_eq!(due(&found), ["b", "c"]);
    assert!(found.running[0].is_live);
}

pub(crate) async fn syncs_with_a_live_stream_and_no_job_for_it_are_found(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    let write = async |body: &str| {
        let document = Write::PutDocument {
            kind: DocumentKind::Sync,
            id: sync().to_string(),
            expected: Expected::Any,
            body: body.to_owned(),
            references: Vec::new(),
        };
        let written = store.commit(commit(tenant(), vec![document])).await;
        written.unwrap();
    };
    let two = r#"{"streams":[{"name":"Account","mode":"live"},{"name":"Contact","mode":"live"},{"name":"Lead","mode":"incremental"}]}"#;
    let paused = format!("{},\"paused\":true}}", two.trim_end_matches('}'));
    let found = async || store.without_live_jobs(9).await.unwrap();
    write(r#"{"streams":[{"name":"Account","mode":"incremental"}]}"#).await;
    assert_eq!(found().await, []);
    write(&paused).await;
    assert_eq!(found().await, []);
    write(two).await;
    let unattended = [(tenant(), sync())];
    assert_eq!(found().await, unattended);
    let live = |id: &str, track: &str| NewJob {
        track: track.to_owned(),
        ..new_job(id)
    };
    put_job(&*store, live("a", "Account.live"), false).await;
    put_job(&*store, live("m", "main"), false).await;
    assert_eq!(found().await, unattended, "one of two is missing");
    put_job(&*store, live("c", "Contact.live"), false).await;
    assert_eq!(found().await, []);
    cancel(&*store, "a").await.unwrap();
    assert_eq!(found().await, unattended, "one is over");
    assert_eq!(store.without_live_jobs(0).await.unwrap(), []);
}

pub(crate) async fn a_suspended_tenant_s_jobs_wait(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let put = |state| Write::PutTenant {
        expected: Expected::Any,
        title: String::new(),
        state,
        jobs_max: Some(2),
    };
    let suspend = commit(tenant(), vec![put(TenantState::Suspended)]);
    store.commit(suspend).await.unwrap();
    assert_eq!(store.candidates(NOW_MS).await.unwrap().due, []);
    assert!(try_claim(&*store, "j", 1).await.is_none());
    let resume = commit(tenant(), vec![put(TenantState::Active)]);
    store.commit(resume).await.unwrap();
    let found = store.candidates(NOW_MS).await.unwrap();
    assert_eq!(found.due[0].tenant_jobs_max, Some(2));
    claim(&*store, "j", 1).await;
}

pub(crate) async fn one_of_many_workers_gets_a_job(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let mut tasks = JoinSet::new();
    for owner in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { try_claim(&*store, "j", owner).await.is_some() });
    }
    let won = tasks.join_all().await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
}

pub(crate) async fn jobs_of_a_track_run_one_after_another(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    for job in ["a", "b"] {
        put_job(&*store, new_job(job), false).await;
    }
    let history = NewJob {
        track: "backfill".to_owned(),
        ..new_job("c")
    };
    put_job(&*store, history, false).await;
    // The order of the queue is advice; whichever begins first goes first.
    let (first, job) = claim(&*store, "b", 1).await;
    assert!(try_claim(&*store, "a", 2).await.is_none(), "b runs");
    claim(&*store, "c", 3).await;
    let parked = settled(job, StreamOutcome::Parked { until_ms: 4_000 }, 3_000);
    assert_eq!(parked.job.state, JobState::Parked);
    store.settle(&first, parked).await.unwrap();
    assert!(try_claim(&*store, "a", 2).await.is_none(), "b is not over");
    assert_eq!(due(&store.candidates(NOW_MS).await.unwrap()), ["b"]);
    finish(&*store, "b").await;
    claim(&*store, "a", 2).await;
}

pub(crate) async fn a_job_is_not_claimed_before_its_time(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let (first, job) = claim(&*store, "j", 1).await;
    let parked = settled(job, StreamOutcome::Parked { until_ms: 9_000 }, NOW_MS);
    store.settle(&first, parked).await.unwrap();
    assert!(try_claim(&*store, "j", 2).await.is_none());
    let waiting = store.candidates(NOW_MS).await.unwrap();
    assert_eq!((due(&waiting), waiting.next_at_ms), (vec![], Some(9_000)));
    let queued = store
        .queued_job(&tenant(), &id("j"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((queued.wake_at_ms, queued.claimed), (9_000, false));
    let claimed = store.claim(&id("j"), token(2), 9_000, LONG_MS).await;
    assert_eq!(claimed.unwrap().unwrap().0.epoch, 2);
}

pub(crate) async fn a_job_that_rests_is_due_when_its_sync_is_written(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let write = async || {
        let document = Write::PutDocument {
            kind: DocumentKind::Sync,
            id: sync().to_string(),
            expected: Expected::Any,
            body: "{}".to_owned(),
            references: Vec::new(),
        };
        let written = store.commit(commit(tenant(), vec![document])).await;
        written.unwrap().revision
    };
    let revision = write().await;
    put_job(&*store, new_job("j"), false).await;
    let (first, job) = claim(&*store, "j", 1).await;
    store.rest(&first, revision).await.unwrap();
    assert!(try_claim(&*store, "j", 2).await.is_none());
    let queued = store.queued_job(&tenant(), &id("j")).await;
    let queued = queued.unwrap().unwrap();
    assert_eq!((queued.wake_at_ms, queued.claimed), (RESTS_MS, false));
    assert_eq!(
        (queued.row.job, store.candidates(LONG_MS).await.unwrap()),
        (job, Candidates::default())
    );

    let later = write().await;
    let (second, _) = claim(&*store, "j", 2).await;
    // Written again after this worker had read it: nobody would rouse the job.
    write().await;
    store.rest(&second, later).await.unwrap();
    let (third, _) = claim(&*store, "j", 3).await;
    assert_eq!(third.epoch, 3);
    let revision = write().await;
    cancel(&*store, "j").await.unwrap();
    store.rest(&third, revision).await.unwrap();
    let (fourth, _) = claim(&*store, "j", 4).await;
    assert_eq!(fourth.epoch, 4, "its end was asked for");
    assert!(
        store
            .attempts(&tenant(), &id("j"))
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn a_lost_claim_can_do_nothing(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let (stale, job) = claim(&*store, "j", 1).await;
    store.renew_claim(&stale, 0).await.unwrap();
    // It ran out, but nobody took it.
    store.renew_claim(&stale, 0).await.unwrap();
    let (fresh, _) = claim(&*store, "j", 2).await;
    assert_eq!(fresh.epoch, 2);
    assert_powerless(&*store, &stale, &job, "a stale claim").await;
    for (what, forged) in [
        (
            "an epoch alone",
            Claim {
                owner: token(1),
                ..fresh.clone()
            },
        ),
        (
            "a token alone",
            Claim {
                epoch: 1,
                ..fresh.clone()
            },
        ),
    ] {
        assert_powerless(&*store, &forged, &job, what).await;
    }
    let done = settled(job.clone(), StreamOutcome::Succeeded, NOW_MS);
    store.settle(&fresh, done).await.unwrap();
    assert_powerless(&*store, &fresh, &job, "a settled claim").await;
    assert!(try_claim(&*store, "j", 3).await.is_none(), "it is over");
}

pub(crate) async fn a_settlement_is_whole(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let (first, job) = claim(&*store, "j", 1).await;
    let follow_up = Enqueue {
        job: NewJob {
            sync: SyncId::parse("erp").unwrap(),
            ..new_job("next")
        },
        attach: true,
    };
    let mut done = Settled {
        events: vec![event("job.finished")],
        follow_ups: vec![follow_up.clone()],
        ..settled(job, StreamOutcome::Succeeded, NOW_MS)
    };
    done.attempt.fault = Some(Fault::Transient);
    done.attempt.error = Some("once".to_owned());
    let mut broken = done.clone();
    broken.follow_ups.push(Enqueue {
        attach: false,
        ..follow_up
    });
    let refused = store.settle(&first, broken).await;
    assert!(
        matches!(refused, Err(Error::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(store.attempts(&tenant(), &id("j")).await.unwrap(), []);
    assert_eq!(
        store.queued_job(&tenant(), &id("next")).await.unwrap(),
        None
    );

    let settlement = store.settle(&first, done.clone()).await.unwrap();
    let follow_ups = vec![Enqueued::New(id("next"))];
    assert_eq!(settlement, Settlement::Done { follow_ups });
    let queued = store
        .queued_job(&tenant(), &id("j"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((queued.row.job, queued.claimed), (done.job, false));
    let attempts = store.attempts(&tenant(), &id("j")).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (attempts[0].number, &attempts[0].attempt),
        (1, &done.attempt)
    );
    let events = store.events(&tenant(), 0, 9).await.unwrap();
    assert_eq!(events[0].event, event("job.finished"));
    let other = TenantId::parse("other").unwrap();
    assert_eq!(store.attempts(&other, &id("j")).await.unwrap(), []);
    assert_eq!(store.queued_job(&other, &id("j")).await.unwrap(), None);
}

pub(crate) async fn a_job_that_nobody_holds_must_say_when_it_goes_on(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    let (first, job) = claim(&*store, "j", 1).await;
    let mut running = settled(job.clone(), StreamOutcome::Succeeded, NOW_MS);
    let done = running.job.clone();
    running.job.state = JobState::Running;
    let refused = store.settle(&first, running).await;
    assert!(
        matches!(refused, Err(Error::Statement { .. })),
        "{refused:?}"
    );
    let refused = store.save_job(&first, &done, NOW_MS).await;
    assert!(
        matches!(refused, Err(Error::Statement { .. })),
        "{refused:?}"
    );
    store.rest(&first, NO_REVISION).await.unwrap();
    assert_eq!(claim(&*store, "j", 2).await.0.epoch, 2);
}

pub(crate) async fn a_request_attaches_to_a_job_that_does_the_same(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let resync = |id: &str| NewJob {
        request: JobRequest::Resync { streams: vec![] },
        ..new_job(id)
    };
    assert_eq!(
        put_job(&*store, new_job("a"), true).await,
        Enqueued::New(id("a"))
    );
    assert_eq!(
        put_job(&*store, new_job("b"), true).await,
        Enqueued::Attached(id("a"))
    );
    assert_eq!(
        put_job(&*store, new_job("c"), false).await,
        Enqueued::New(id("c"))
    );
    assert_eq!(
        put_job(&*store, resync("d"), true).await,
        Enqueued::New(id("d"))
    );
    assert_eq!(
        put_job(&*store, resync("e"), true).await,
        Enqueued::Attached(id("d"))
    );
    finish(&*store, "a").await;
    assert_eq!(
        put_job(&*store, new_job("f"), true).await,
        Enqueued::Attached(id("c"))
    );
}

pub(crate) async fn jobs_are_found_by_sync_state_and_reason(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    for (job, sync, fault) in [
        ("a", "s1", Some(Fault::Auth)),
        ("b", "s1", None),
        ("c", "s2", Some(Fault::Auth)),
        ("d", "s3", Some(Fault::Config)),
    ] {
        let sync = SyncId::parse(sync).unwrap();
        put_job(
            &*store,
            NewJob {
                sync,
                ..new_job(job)
            },
            false,
        )
        .await;
        let (claim, state) = claim(&*store, job, 1).await;
        let reason = "no".to_owned();
        let failed = fault.map(|fault| StreamOutcome::Failed { fault, reason });
        let outcome = failed.unwrap_or(StreamOutcome::Succeeded);
        let done = settled(state, outcome, NOW_MS);
        store.settle(&claim, done).await.unwrap();
    }
    put_job(&*store, new_job("e"), false).await;
    let found = async |filter: JobFilter, limit| -> Vec<String> {
        let jobs = store.queued_jobs(&tenant(), &filter, limit).await.unwrap();
        jobs.into_iter().map(|job| job.row.id.to_string()).collect()
    };
    let any = JobFilter::default;
    assert_eq!(found(any(), 9).await, ["e", "d", "c", "b", "a"]);
    let of_sync = JobFilter {
        sync: Some(SyncId::parse("s1").unwrap()),
        ..any()
    };
    assert_eq!(found(of_sync, 9).await, ["b", "a"]);
    let failed = JobFilter {
        states: vec![JobState::Failed, JobState::Degraded],
        reason: Some(Reason::Auth),
        ..any()
    };
    assert_eq!(found(failed, 9).await, ["c", "a"]);
    let older = JobFilter {
        before: Some(JobPosition {
            created_at_ms: 1_000,
            id: id("d"),
        }),
        ..any()
    };
    assert_eq!(found(older, 2).await, ["c", "b"]);
    let other = TenantId::parse("other").unwrap();
    assert_eq!(store.queued_jobs(&other, &any(), 9).await.unwrap(), []);
}

pub(crate) async fn attempts_and_lines_are_numbered_and_the_newest_kept(
    store: Arc<dyn ServiceStore>,
) {
    make_tenant(&*store).await;
    put_job(&*store, new_job("j"), false).await;
    for _ in 0..ATTEMPTS_KEPT + 2 {
        let (claim, job) = claim(&*store, "j", 1).await;
        let parked = settled(job, StreamOutcome::Parked { until_ms: 4_000 }, 3_000);
        store.settle(&claim, parked).await.unwrap();
    }
    let attempts = store.attempts(&tenant(), &id("j")).await.unwrap();
    let numbers: Vec<_> = attempts.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (3..=ATTEMPTS_KEPT + 2).collect::<Vec<_>>());

    let (claim, _) = claim(&*store, "j", 1).await;
    let kept = u64::from(LOG_LINES_KEPT);
    let lines = (1..=kept + 1).map(line).collect();
    store.append_log(&claim, lines).await.unwrap();
    store
        .append_log(&claim, vec![line(kept + 2)])
        .await
        .unwrap();
    let log = store.log(&tenant(), &id("j"), 0, u32::MAX).await.unwrap();
    assert_eq!(log.len(), LOG_LINES_KEPT as usize);
    assert_eq!(log[0], (3, line(3)));
    let last = store.log(&tenant(), &id("j"), kept, 1).await.unwrap();
    assert_eq!(last, [(kept + 1, line(kept + 1))]);
    let other = TenantId::parse("other").unwrap();
    assert_eq!(store.log(&other, &id("j"), 0, 9).await.unwrap(), []);
}

pub(crate) async fn a_job_without_a_queue_is_none_of_the_queue_s(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    let own = JobRow {
        id: id("own"),
        tenant: tenant(),
        sync: sync(),
        job: new_job("own").job,
        created_at_ms: 1,
        updated_at_ms: 1,
    };
    store.put_job(&own).await.unwrap();
    assert_eq!(
        store.candidates(NOW_MS).await.unwrap(),
        Candidates::default()
    );
    assert!(try_claim(&*store, "own", 1).await.is_none());
    assert_eq!(store.queued_job(&tenant(), &own.id).await.unwrap(), None);
    put_job(&*store, new_job("queued"), true).await;
    let taken_over = JobRow {
        id: id("queued"),
        ..own
    };
    let refused = store.put_job(&taken_over).await;
    assert!(
        matches!(refused, Err(Error::Statement { .. })),
        "{refused:?}"
    );
}
