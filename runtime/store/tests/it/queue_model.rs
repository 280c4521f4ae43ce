//! Random histories of a few jobs, with kills in between, against a model of a few
//! lines: nobody runs a job that another runs, and nothing is lost or done twice.

use crate::fixtures::{BUDGET, LONG_MS, commit, make_tenant, new_job, put_job, settled, token};
use proptest::prelude::*;
use std::path::Path;
use tempfile::TempDir;
use tidegate_domain::id::{ConnectionId, JobId};
use tidegate_domain::job::{Event, StreamOutcome};
use tidegate_store::control::{ControlStore as _, Write};
use tidegate_store::queue::{Claim, NewJob, QueueStore as _, QueuedJob, Settlement};
use tidegate_store::{Error, SqliteStore};

const OWNERS: u8 = 3;
/// Two of one track, one of another.
const JOBS: [(&str, &str); 3] = [("a", "main"), ("b", "main"), ("c", "backfill")];

/// One call. `by` is the owner whose latest claim of the job is used, lost or not.
#[derive(Clone, Debug)]
enum Call {
    Claim { job: usize, by: u8, long: bool },
    Renew { job: usize, by: u8, long: bool },
    Save { job: usize, by: u8 },
    Park { job: usize, by: u8, for_ms: u64 },
    Finish { job: usize, by: u8 },
    Release { job: usize, by: u8 },
    Cancel { job: usize },
    Wait { for_ms: u64 },
    Kill,
}

fn call() -> impl Strategy<Value = Call> {
    let of = || (0..JOBS.len(), 0..OWNERS);
    let long = || prop::bool::weighted(0.7);
    prop_oneof![
        8 => (of(), long()).prop_map(|((job, by), long)| Call::Claim { job, by, long }),
        2 => (of(), long()).prop_map(|((job, by), long)| Call::Renew { job, by, long }),
        3 => of().prop_map(|(job, by)| Call::Save { job, by }),
        6 => (of(), 0..5_u64).prop_map(|((job, by), for_ms)| Call::Park { job, by, for_ms }),
        1 => of().prop_map(|(job, by)| Call::Finish { job, by }),
        2 => of().prop_map(|(job, by)| Call::Release { job, by }),
        1 => (0..JOBS.len()).prop_map(|job| Call::Cancel { job }),
        3 => (1..5_u64).prop_map(|for_ms| Call::Wait { for_ms }),
        2 => Just(Call::Kill),
    ]
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Lost,
    NotDue,
    CancelRequested,
}

fn outcome<T>(result: Result<T, Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(Error::ClaimLost { .. }) => Outcome::Lost,
        Err(other) => panic!("{other:?}"),
    }
}

#[derive(Default)]
struct ModelJob {
    epoch: u64,
    owner: Option<u8>,
    /// Whether the claim has not run out.
    live: bool,
    cancel: bool,
    over: bool,
    wake_at_ms: u64,
    attempts: usize,
    claims: [Option<Claim>; OWNERS as usize],
}

impl ModelJob {
    fn guards(&self, by: u8) -> bool {
        let claim = self.claims[usize::from(by)].as_ref();
        self.owner == Some(by) && claim.is_some_and(|claim| claim.epoch == self.epoch)
    }

    /// A claim for `by`: its latest, or one that it never had.
    fn claim(&self, job: usize, by: u8) -> Claim {
        let never = Claim {
            job: id(job),
            epoch: 0,
            owner: token(by),
        };
        self.claims[usize::from(by)].clone().unwrap_or(never)
    }

    fn let_go(&mut self) {
        (self.owner, self.live) = (None, false);
    }
}

struct World<'a> {
    dir: &'a Path,
    store: Option<SqliteStore>,
    jobs: [ModelJob; JOBS.len()],
    now_ms: u64,
}

fn id(job: usize) -> JobId {
    JobId::parse(JOBS[job].0).unwrap()
}

impl World<'_> {
    fn store(&self) -> &SqliteStore {
        self.store.as_ref().unwrap()
    }

    fn is_due(&self, job: usize) -> bool {
        let blocked = self.jobs.iter().enumerate().any(|(at, other)| {
            at != job && JOBS[at].1 == JOBS[job].1 && !other.over && other.epoch > 0
        });
        let model = &self.jobs[job];
        !model.over && !model.live && model.wake_at_ms <= self.now_ms && !blocked
    }

    async fn queued(&self, job: usize) -> QueuedJob {
        let tenant = crate::fixtures::tenant();
        let found = self.store().queued_job(&tenant, &id(job)).await;
        found.unwrap().unwrap()
    }

    async fn claim(&mut self, job: usize, by: u8, long: bool) -> (Outcome, Outcome) {
        let lifetime_ms = if long { LONG_MS } else { 0 };
        let claim = self
            .store()
            .claim(&id(job), token(by), self.now_ms, lifetime_ms)
            .await;
        let due = self.is_due(job);
        let model = &mut self.jobs[job];
        let Some((claim, queued)) = claim.unwrap() else {
            let expected = if due { Outcome::Done } else { Outcome::NotDue };
            return (Outcome::NotDue, expected);
        };
        assert!(due, "{by} claimed a job that is not due");
        assert_eq!(claim.epoch, model.epoch + 1);
        assert_eq!(queued.cancel_requested, model.cancel);
        model.epoch += 1;
        (model.owner, model.live) = (Some(by), long);
        model.claims[usize::from(by)] = Some(claim);
        (Outcome::Done, Outcome::Done)
    }

    async fn settle(&mut self, job: usize, by: u8, ended: StreamOutcome) -> (Outcome, Outcome) {
        let settled = settled(self.queued(job).await.row.job, ended, self.now_ms);
        let (over, wakes_at_ms) = (settled.job.state.is_final(), settled.job.wakes_at_ms());
        let model = &mut self.jobs[job];
        let expected = match model.guards(by) {
            false => Outcome::Lost,
            true if model.cancel && !over => Outcome::CancelRequested,
            true => Outcome::Done,
        };
        let claim = model.claim(job, by);
        let store = self.store.as_ref().unwrap();
        let got = match store.settle(&claim, settled).await {
            Ok(Settlement::CancelRequested) => Outcome::CancelRequested,
            other => outcome(other),
        };
        if expected == Outcome::Done {
            model.let_go();
            model.over = over;
            model.wake_at_ms = model.wake_at_ms.max(wakes_at_ms.unwrap_or(0));
            model.attempts += 1;
        }
        (got, expected)
    }

    async fn cancel(&mut self, job: usize) -> (Outcome, Outcome) {
        let (id, events) = (id(job), Vec::new());
        let cancel = commit(
            crate::fixtures::tenant(),
            vec![Write::CancelJob { id, events }],
        );
        let got = outcome(self.store().commit(cancel).await);
        let model = &mut self.jobs[job];
        if !model.over {
            model.cancel = true;
        }
        if !model.over && !model.live {
            model.over = true;
            model.epoch += 1;
            model.let_go();
        }
        (got, Outcome::Done)
    }

    /// Runs a call on both sides; says what the store did and what it should have.
    async fn step(&mut self, call: Call) -> (Outcome, Outcome) {
        let guarded = |model: &ModelJob, by| match model.guards(by) {
            true => Outcome::Done,
            false => Outcome::Lost,
        };
        match call {
            Call::Claim { job, by, long } => self.claim(job, by, long).await,
            Call::Renew { job, by, long } => {
                let lifetime_ms = if long { LONG_MS } else { 0 };
                let claim = self.jobs[job].claim(job, by);
                let renewed = self.store().renew_claim(&claim, lifetime_ms).await;
                let model = &mut self.jobs[job];
                if let Ok(cancel) = &renewed {
                    assert_eq!(*cancel, model.cancel);
                    model.live = long;
                }
                (outcome(renewed), guarded(model, by))
            }
            Call::Save { job, by } => {
                let mut begun = self.queued(job).await.row.job;
                let (now_ms, progressed) = (self.now_ms, false);
                begun.step(Event::Claimed { now_ms, progressed }, BUDGET);
                if begun.state.is_final() {
                    return (Outcome::Done, Outcome::Done);
                }
                let claim = self.jobs[job].claim(job, by);
                let saved = self.store().save_job(&claim, &begun, now_ms).await;
                (outcome(saved), guarded(&self.jobs[job], by))
            }
            Call::Park { job, by, for_ms } => {
                let until_ms = self.now_ms + for_ms;
                self.settle(job, by, StreamOutcome::Parked { until_ms })
                    .await
            }
            Call::Finish { job, by } => self.settle(job, by, StreamOutcome::Succeeded).await,
            Call::Release { job, by } => {
                let claim = self.jobs[job].claim(job, by);
                let got = outcome(self.store().rest(&claim, 1 << 40).await);
                let expected = guarded(&self.jobs[job], by);
                if expected == Outcome::Done {
                    self.jobs[job].let_go();
                }
                (got, expected)
            }
            Call::Cancel { job } => self.cancel(job).await,
            Call::Wait { for_ms } => {
                self.now_ms += for_ms;
                (Outcome::Done, Outcome::Done)
            }
            Call::Kill => {
                drop(self.store.take());
                self.store = Some(SqliteStore::open(self.dir).unwrap());
                self.jobs.iter_mut().for_each(|model| model.live = false);
                (Outcome::Done, Outcome::Done)
            }
        }
    }

    async fn check(&self) {
        let found = self.store().candidates(self.now_ms).await.unwrap();
        let mut due: Vec<JobId> = found.due.into_iter().map(|one| one.id).collect();
        due.sort();
        let wanted = (0..JOBS.len()).filter(|job| self.is_due(*job));
        assert_eq!(due, wanted.map(id).collect::<Vec<_>>());
        let running: Vec<JobId> = found.running.into_iter().map(|one| one.id).collect();
        let wanted = (0..JOBS.len()).filter(|job| self.jobs[*job].live);
        assert_eq!(running, wanted.map(id).collect::<Vec<_>>());
        let tenant = crate::fixtures::tenant();
        for (job, model) in self.jobs.iter().enumerate() {
            let attempts = self.store().attempts(&tenant, &id(job)).await.unwrap();
            assert_eq!(attempts.len(), model.attempts);
            let queued = self.queued(job).await;
            assert_eq!(queued.row.job.state.is_final(), model.over);
            assert_eq!(queued.claimed, model.live);
        }
    }
}

async fn world(dir: &TempDir) -> World<'_> {
    let store = SqliteStore::open(dir.path()).unwrap();
    make_tenant(&store).await;
    for (name, track) in JOBS {
        let job = NewJob {
            track: track.to_owned(),
            connection: ConnectionId::parse(name).unwrap(),
            ..new_job(name)
        };
        put_job(&store, job, false).await;
    }
    let jobs = JOBS.map(|_| ModelJob {
        wake_at_ms: 1_000,
        ..ModelJob::default()
    });
    World {
        dir: dir.path(),
        store: Some(store),
        jobs,
        now_ms: 1_000,
    }
}

#[test]
fn a_job_is_never_run_twice_at_once_whatever_happens() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(48)
    };
    proptest!(config, |(calls in prop::collection::vec(call(), 1..60))| {
        let dir = TempDir::new().unwrap();
        runtime.block_on(async {
            let mut world = world(&dir).await;
            for call in calls {
                let (got, expected) = world.step(call.clone()).await;
                assert_eq!(got, expected, "{call:?}");
                world.check().await;
            }
        });
    });
}
