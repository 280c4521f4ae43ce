//! The worker: claims jobs that are due, fairly, and runs one attempt of each. A job
//! that waits is a row of the store, and nothing of it is here.

mod attempt_report;
mod caps;
mod heartbeat;
mod job_run;
mod settle;

pub use attempt_report::{AttemptReport, StreamAttempt};

use crate::config::WorkerConfig;
use crate::error::Error;
use crate::lag::{Lags, Of};
use crate::node::Node;
use crate::progress::{Figures, Progress};
use caps::ConnectionCaps;
use job_run::JobRun;
pub(crate) use job_run::live_stream;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_domain::id::{JobId, OwnerToken, StreamName, TenantId};
use tidegate_domain::job::{Class, JobState};
use tidegate_domain::queue::{Entry, START_MS, Shares};
use tidegate_store::clock::now_ms;
use tidegate_store::queue::{Candidate, Candidates, Claim, QueuedJob};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often running jobs are looked at: for a cancel that another process was told
/// of, and to charge their time.
const TICK: Duration = Duration::from_millis(500);
/// The longest time between two looks at the queue: another process may fill it.
const LOOK_MS_MAX: u64 = 1_000;
/// Changes of jobs that a slow listener may lag behind before it misses some.
const CHANGES_KEPT: usize = 1_024;
/// Requests to one job that may wait: there are only four.
const ASKS: usize = 8;

/// Runs jobs until it is told to stop.
pub struct Worker {
    shared: Arc<Shared>,
    config: WorkerConfig,
    tasks: JoinSet<JobId>,
    shares: Shares,
    charged: HashMap<JobId, Charged>,
    caps: ConnectionCaps,
}

/// A cheap handle to a worker.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// Something happened to a job: it was taken, or an attempt of it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobChange {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub job: JobId,
    /// Where it is now.
    pub state: JobState,
}

/// A running job, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When this attempt began, in milliseconds since the epoch.
    pub started_at_ms: u64,
    /// Of the whole attempt.
    pub figures: Figures,
    /// Of each stream that was begun.
    pub streams: BTreeMap<StreamName, Figures>,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Jobs that did not checkpoint in time and were cut off; each is taken again
    /// when its claim has run out, and loses nothing.
    pub cut_off: usize,
}

/// What a running job is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// To end for good.
    Cancel,
    /// To checkpoint and be given back.
    Drain,
    /// To checkpoint and be given back, behind those that wait.
    Turn,
    /// To end without a word: the job is another's.
    Lost,
}

/// What the worker, its jobs and its handles share.
struct Shared {
    node: Arc<Node>,
    claim_ms: u64,
    wake: Notify,
    lags: Lags,
    running: Mutex<HashMap<JobId, Running>>,
    changes: broadcast::Sender<JobChange>,
}

/// A running job, as others see it.
struct Running {
    tenant: TenantId,
    asks: mpsc::Sender<Ask>,
    progress: Arc<Progress>,
    started_at_ms: u64,
    epoch: u64,
    is_live: bool,
}

/// A running job's time, as far as it was charged.
struct Charged {
    tenant: TenantId,
    class: Class,
    since: Instant,
    charged_ms: u64,
}

impl Worker {
    /// A worker over a node, and its handle.
    pub fn new(node: Arc<Node>) -> (Worker, Handle) {
        let config = node.config.worker;
        let shared = Arc::new(Shared {
            node,
            claim_ms: config.claim_ms,
            wake: Notify::new(),
            lags: Lags::default(),
            running: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        });
        let handle = Handle {
            shared: Arc::clone(&shared),
        };
        let worker = Worker {
            shared,
            config,
            tasks: JoinSet::new(),
            shares: Shares::default(),
            charged: HashMap::new(),
            caps: ConnectionCaps::default(),
        };
        (worker, handle)
    }

    /// Claims and runs until `shutdown`; then takes no more, tells every job to
    /// checkpoint, and gives them back within the time that the operator allows.
    pub async fn run(mut self, shutdown: CancellationToken) -> Drained {
        let shared = Arc::clone(&self.shared);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            let look_at_ms = self.claim_due(&shutdown).await;
            let look = sleep(Duration::from_millis(look_at_ms.saturating_sub(now_ms())));
            tokio::pin!(look);
            loop {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    Some(ended) = self.tasks.join_next() => {
                        self.ended(ended);
                        break;
                    }
                    () = shared.wake.notified() => break,
                    () = &mut look => break,
                    _ = ticks.tick(), if !self.tasks.is_empty() => self.tick().await,
                }
            }
        }
        self.drain().await
    }

    /// Fills the free places; says when to look again, in milliseconds since the epoch.
    async fn claim_due(&mut self, shutdown: &CancellationToken) -> u64 {
        loop {
            let latest = now_ms() + LOOK_MS_MAX;
            let free = self.free();
            if (free.jobs == 0 && free.live == 0) || shutdown.is_cancelled() {
                return latest;
            }
            match self.claim_some(free).await {
                Ok(Claimed::Some) => {}
                Ok(Claimed::None { next_at_ms }) => {
                    return next_at_ms.map_or(latest, |next_at_ms| next_at_ms.min(latest));
                }
                Err(error) => {
                    tracing::error!(error = %error.chain(), "the queue cannot be read");
                    return latest;
                }
            }
        }
    }

    /// Places that nobody has; live jobs have their own.
    fn free(&self) -> Free {
        let running = self.shared.running();
        let live = running.values().filter(|running| running.is_live).count();
        let jobs = running.len() - live;
        Free {
            jobs: (self.config.jobs_max as usize).saturating_sub(jobs),
            live: (self.config.live_jobs_max as usize).saturating_sub(live),
        }
    }

    async fn claim_some(&mut self, free: Free) -> Result<Claimed, Error> {
        let store = Arc::clone(&self.shared.node.store);
        let mut found = store.candidates(now_ms()).await?;
        // After a sleep of the machine the claims of what runs here have run out. Their
        // heartbeats come yet; a second run beside the first must not.
        let runs_here = |candidate: &Candidate| self.shared.running().contains_key(&candidate.id);
        found.due.retain(|candidate| !runs_here(candidate));
        let picked = self.pick(&found, free).await?;
        let mut any = false;
        for id in picked {
            let owner = OwnerToken::from_bytes(random());
            let claimed = store
                .claim(&id, owner, now_ms(), self.config.claim_ms)
                .await?;
            if let Some((claim, queued)) = claimed {
                self.start(claim, queued);
                any = true;
            }
        }
        Ok(if any {
            Claimed::Some
        } else {
            Claimed::None {
                next_at_ms: found.next_at_ms,
            }
        })
    }

    async fn pick(&mut self, found: &Candidates, free: Free) -> Result<Vec<JobId>, Error> {
        let store = &*self.shared.node.store;
        let of = |list: &'_ [Candidate], is_live: bool| -> Vec<Candidate> {
            let chosen = list.iter().filter(|it| it.is_live == is_live);
            chosen.cloned().collect()
        };
        let candidates = of(&found.due, false);
        let mut connection_maxima = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            connection_maxima.push(self.caps.of(store, candidate).await?);
        }
        let due: Vec<Entry<'_>> = candidates
            .iter()
            .zip(connection_maxima)
            .map(|(candidate, connection_jobs_max)| Entry {
                connection_jobs_max,
                ..entry(candidate)
            })
            .collect();
        let running = of(&found.running, false);
        let running: Vec<Entry<'_>> = running.iter().map(entry).collect();
        let picked = self
            .shares
            .pick(&due, &running, self.config.caps(), free.jobs);
        let mut ids: Vec<JobId> = picked
            .into_iter()
            .map(|at| candidates[at].id.clone())
            .collect();
        // A live job goes on for days: counted with the others, it would keep them out.
        let candidates = of(&found.due, true);
        let due: Vec<Entry<'_>> = candidates.iter().map(live_entry).collect();
        let running = of(&found.running, true);
        let running: Vec<Entry<'_>> = running.iter().map(live_entry).collect();
        let caps = self.config.live_caps();
        let picked = self.shares.pick(&due, &running, caps, free.live);
        let waiting = (0..due.len()).filter(|at| !picked.contains(at));
        let waiting: Vec<&TenantId> = waiting.map(|at| due[at].tenant).collect();
        let is_full = picked.len() == free.live;
        let turn_ms = self.config.live_turn_ms;
        self.shared.rotate(&waiting, is_full, turn_ms);
        ids.extend(picked.into_iter().map(|at| candidates[at].id.clone()));
        Ok(ids)
    }

    fn start(&mut self, claim: Claim, queued: QueuedJob) {
        let charged = Charged {
            tenant: queued.row.tenant.clone(),
            class: queued.class,
            since: Instant::now(),
            charged_ms: START_MS,
        };
        self.charged.insert(claim.job.clone(), charged);
        let run = JobRun::new(Arc::clone(&self.shared), claim, queued);
        self.tasks.spawn(run.run());
    }

    fn ended(&mut self, ended: Result<JobId, tokio::task::JoinError>) {
        self.charge();
        match ended {
            Ok(job) => {
                self.charged.remove(&job);
            }
            // Its claim runs out, and then it is tried again, a few times.
            Err(error) => {
                tracing::error!(%error, "a job's task died");
                let running = self.shared.running();
                self.charged.retain(|job, _| running.contains_key(job));
            }
        }
    }

    /// Passes on what other processes asked, and charges the time that went by.
    async fn tick(&mut self) {
        self.charge();
        match self.shared.node.store.cancel_requests().await {
            Ok(jobs) => jobs
                .iter()
                .for_each(|job| self.shared.ask(job, Ask::Cancel)),
            Err(error) => tracing::warn!(%error, "cancel requests cannot be read"),
        }
    }

    fn charge(&mut self) {
        for charged in self.charged.values_mut() {
            let elapsed = charged.since.elapsed().as_millis();
            let elapsed_ms = u64::try_from(elapsed).unwrap_or(u64::MAX);
            let used_ms = elapsed_ms.saturating_sub(charged.charged_ms);
            if used_ms > 0 {
                self.shares.charge(charged.class, &charged.tenant, used_ms);
                charged.charged_ms += used_ms;
            }
        }
    }

    async fn drain(mut self) -> Drained {
        let jobs: Vec<JobId> = self.shared.running().keys().cloned().collect();
        for job in &jobs {
            self.shared.ask(job, Ask::Drain);
        }
        let grace = Duration::from_millis(self.config.drain_ms);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = timeout(grace, all).await.is_ok();
        let cut_off = if in_time { 0 } else { self.tasks.len() };
        tracing::info!(jobs = jobs.len(), cut_off, "the worker has stopped");
        Drained { cut_off }
    }
}

/// Places that nobody has.
#[derive(Clone, Copy)]
struct Free {
    jobs: usize,
    live: usize,
}

/// What a look at the queue came to.
enum Claimed {
    /// Something was claimed; there may be more.
    Some,
    /// Nothing can be claimed before this time, unless someone adds to it.
    None { next_at_ms: Option<u64> },
}

fn entry(candidate: &Candidate) -> Entry<'_> {
    Entry {
        tenant: &candidate.tenant,
        class: candidate.class,
        connection: &candidate.connection,
        connector: &candidate.connector,
        tenant_jobs_max: candidate.tenant_jobs_max,
        connection_jobs_max: None,
    }
}

/// The caps of documents are on jobs that end.
fn live_entry(candidate: &Candidate) -> Entry<'_> {
    Entry {
        tenant_jobs_max: None,
        ..entry(candidate)
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<JobId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a job that runs here; one that does not is not there to ask.
    fn ask(&self, job: &JobId, ask: Ask) {
        if let Some(running) = self.running().get(job) {
            let asked = running.asks.try_send(ask);
            if asked.is_err() {
                tracing::debug!(%job, ?ask, "asked already, or over");
            }
        }
    }

    /// Others wait for a place: so many of the live jobs that had theirs for a turn give
    /// it back, and wait in turn. Where there are places, it is their tenants' own cap
    /// that keeps them waiting.
    fn rotate(&self, waiting: &[&TenantId], is_full: bool, turn_ms: u64) {
        if waiting.is_empty() {
            return;
        }
        let now = now_ms();
        let has_turned = |it: &Running| {
            let is_in_the_way = is_full || waiting.contains(&&it.tenant);
            it.is_live && is_in_the_way && now.saturating_sub(it.started_at_ms) > turn_ms
        };
        let mut turned: Vec<(u64, JobId)> = self
            .running()
            .iter()
            .filter(|(_, it)| has_turned(it))
            .map(|(job, it)| (it.started_at_ms, job.clone()))
            .collect();
        turned.sort_unstable();
        for (_, job) in turned.into_iter().take(waiting.len()) {
            self.ask(&job, Ask::Turn);
        }
    }

    fn changed(&self, tenant: &TenantId, job: &JobId, state: JobState) {
        let change = JobChange {
            tenant: tenant.clone(),
            job: job.clone(),
            state,
        };
        drop(self.changes.send(change)); // nobody may be listening
    }
}

impl Handle {
    /// Something was added to the queue: look at once.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// A job's end was asked for (and committed): tell it at once, if it runs here.
    pub fn cancel(&self, job: &JobId) {
        self.shared.ask(job, Ask::Cancel);
    }

    /// A tenant's job that runs here, as of now.
    pub fn snapshot(&self, tenant: &TenantId, job: &JobId) -> Option<Snapshot> {
        let running = self.shared.running();
        let running = running.get(job).filter(|found| found.tenant == *tenant)?;
        Some(Snapshot {
            started_at_ms: running.started_at_ms,
            figures: running.progress.figures(),
            streams: running.progress.by_stream(),
        })
    }

    /// How far live reads of this process are behind, in milliseconds.
    pub fn lags(&self) -> Vec<(Of, u64)> {
        self.shared.lags.now_ms()
    }

    /// Forgets the lag of a read that is over though it did not run here when it ended.
    pub(crate) fn forget_lag(&self, of: &Of) {
        self.shared.lags.forget(of);
    }

    /// Jobs that run here.
    pub fn running(&self) -> usize {
        self.shared.running().len()
    }

    /// Every change of a job from now on. A listener that lags misses some and is
    /// told so; the store has them all.
    pub fn changes(&self) -> broadcast::Receiver<JobChange> {
        self.shared.changes.subscribe()
    }
}
