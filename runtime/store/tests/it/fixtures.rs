//! Streams, states and intents to test with. The history is one line of changes:
//! `change(k)` leads from `state(k)` to `state(k + 1)`.

use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::id::{
    ConnectionId, JobId, OwnerToken, PartitionId, Sha256, StreamKey, StreamName, SyncId, TenantId,
};
use tidegate_domain::job::{Class, Event, Job, JobRequest, RetryBudget, StreamOutcome, Trigger};
use tidegate_domain::record::{Format, Operation};
use tidegate_domain::slot::{Content, Object};
use tidegate_domain::stream::{Change, End, GenerationKind, PlannedPartition, Step, StreamState};
use tidegate_domain::sync::{Landing, Mode};
use tidegate_store::control::{Actor, Commit, Expected, TenantState, Write};
use tidegate_store::events::NewEvent;
use tidegate_store::queue::{Enqueue, Enqueued, MAIN_TRACK, NewAttempt, NewJob, Settled};
use tidegate_store::streams::{Intent, IntentState, Lease, Reconciliation, StagedObject};
use tidegate_store::{ServiceStore, SqliteStore, Store};

/// Longer than any test.
pub(crate) const LONG_MS: u64 = 600_000;

/// A fresh store, and the directory that must outlive it.
pub(crate) fn sqlite() -> (Arc<dyn ServiceStore>, TempDir) {
    let dir = TempDir::new().unwrap();
    (Arc::new(SqliteStore::open(dir.path()).unwrap()), dir)
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(crate) fn sync() -> SyncId {
    SyncId::parse("crm").unwrap()
}

pub(crate) fn connection() -> ConnectionId {
    ConnectionId::parse("crm-eu").unwrap()
}

pub(crate) fn key(stream: &str) -> StreamKey {
    StreamKey {
        tenant: tenant(),
        sync: sync(),
        stream: StreamName::parse(stream).unwrap(),
    }
}

pub(crate) fn token(number: u8) -> OwnerToken {
    OwnerToken::from_bytes([number; 16])
}

pub(crate) fn sha256(number: u8) -> Sha256 {
    Sha256::from_bytes([number; 32])
}

fn partition() -> PartitionId {
    PartitionId::parse("all").unwrap()
}

pub(crate) fn change(position: u64) -> Change {
    match position {
        0 => Change::Begin {
            generation: 1,
            how: GenerationKind {
                mode: Mode::Incremental,
                landing: Landing::Append,
            },
        },
        1 => Change::Plan {
            run: 1,
            partitions: vec![PlannedPartition {
                id: partition(),
                descriptor: "{}".to_owned(),
                window: None,
                estimated_records: None,
            }],
        },
        _ => {
            let cursor = |number: u64| (number > 2).then(|| format!("{{\"page\":{number}}}"));
            let (before, after) = (cursor(position), cursor(position + 1));
            let step = Step {
                before,
                after,
                end: End::Open,
            };
            Change::Commit {
                steps: BTreeMap::from([(partition(), step)]),
            }
        }
    }
}

pub(crate) fn state(position: u64) -> StreamState {
    (0..position)
        .map(change)
        .fold(StreamState::default(), |state, change| {
            state.apply(&change).unwrap()
        })
}

pub(crate) fn intent(batch: u64, position: u64) -> Intent {
    let object = Object {
        place: None,
        key: format!("data/{batch}.jsonl.zst"),
        content: Content::Rows(Operation::Upsert),
        format: Format::JsonlZstd,
        sha256: sha256(1),
        bytes: 10,
        rows: 2,
        schema: None,
    };
    let path = format!("/staging/{batch}-{position}").into();
    Intent {
        batch,
        change: change(position),
        objects: vec![StagedObject { object, path }],
        state: IntentState::Sealed,
    }
}

/// Seals `change(position)` as `batch`.
pub(crate) async fn seal(
    store: &dyn Store,
    lease: &Lease,
    batch: u64,
    position: u64,
) -> Result<(), tidegate_store::Error> {
    let (before, after) = (state(position), state(position + 1));
    store
        .seal(lease, &before, &after, intent(batch, position))
        .await
}

/// A reconciliation that finds nothing new.
pub(crate) fn nothing_found() -> Reconciliation {
    Reconciliation {
        published: StreamState::default(),
        log_tail: 0,
        log_tail_sha256: None,
        adopted: Vec::new(),
        abandoned: Vec::new(),
        staged: StreamState::default(),
        next_batch: 0,
        events: Vec::new(),
    }
}

/// A commit by the system, at time 1,000.
pub(crate) fn commit(tenant: TenantId, writes: Vec<Write>) -> Commit {
    Commit {
        tenant,
        actor: Actor::System,
        origin: None,
        action: "test.write".to_owned(),
        subject: "things".to_owned(),
        detail: "{}".to_owned(),
        at_ms: 1_000,
        writes,
        idempotency: None,
        events: Vec::new(),
    }
}

pub(crate) fn put_tenant(expected: Expected) -> Write {
    Write::PutTenant {
        expected,
        title: "Acme".to_owned(),
        state: TenantState::Active,
        jobs_max: None,
    }
}

/// Makes the tenant of [`tenant`].
pub(crate) async fn make_tenant(store: &dyn ServiceStore) {
    let made = commit(tenant(), vec![put_tenant(Expected::Absent)]);
    store.commit(made).await.unwrap();
}

/// A job of the sync of [`sync`] over one stream.
pub(crate) fn new_job(id: &str) -> NewJob {
    NewJob {
        id: JobId::parse(id).unwrap(),
        sync: sync(),
        track: MAIN_TRACK.to_owned(),
        connection: connection(),
        connector: sha256(1),
        class: Class::Incremental,
        trigger: Trigger::Api,
        request: JobRequest::Sync,
        job: Job::new([StreamName::parse("contacts").unwrap()]),
    }
}

/// Asks for a job, at time 1,000.
pub(crate) async fn put_job(store: &dyn ServiceStore, job: NewJob, attach: bool) -> Enqueued {
    let writes = vec![Write::PutJob(Box::new(Enqueue { job, attach }))];
    let put = store.commit(commit(tenant(), writes)).await.unwrap();
    put.jobs.into_iter().next().unwrap()
}

pub(crate) const BUDGET: RetryBudget = RetryBudget {
    fruitless_max: 3,
    lost_max: 3,
    backoff: Backoff {
        first_ms: 1,
        ceiling_ms: 1,
    },
};

/// What a claimed job comes to when its stream ends so.
pub(crate) fn settled(mut job: Job, outcome: StreamOutcome, now_ms: u64) -> Settled {
    let progressed = false;
    job.step(Event::Claimed { now_ms, progressed }, BUDGET);
    let name = StreamName::parse("contacts").unwrap();
    let ended = Event::Stream {
        name,
        outcome,
        progressed,
    };
    job.step(ended, BUDGET);
    job.step(Event::AttemptEnded { now_ms, random: 0 }, BUDGET);
    Settled {
        job,
        attempt: NewAttempt {
            started_at_ms: now_ms,
            ended_at_ms: now_ms + 1,
            fault: None,
            error: None,
            report: "{}".to_owned(),
        },
        events: Vec::new(),
        follow_ups: Vec::new(),
        at_ms: now_ms,
    }
}

pub(crate) fn event(kind: &str) -> NewEvent {
    NewEvent {
        kind: kind.to_owned(),
        subject: "sync crm".to_owned(),
        body: "{}".to_owned(),
    }
}
