//! One claimed job, from its claim to its settlement: launched, attempted, listened
//! to. It holds the claim, and nothing outlives it.

use super::{ASKS, Ask, Running, Shared, heartbeat, settle};
use crate::attempt::{StreamReport, attempt};
use crate::documents;
use crate::error::Error;
use crate::joblog::JobLog;
use crate::lag;
use crate::launch::{Frame, Launched};
use crate::progress::Progress;
use crate::stream::StreamSpec;
use crate::sync::attempt_ended;
use crate::trace;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tidegate_broker::Session;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::id::{JobId, StreamKey, StreamName};
use tidegate_domain::job::{Action, Event, Job, JobRequest, JobState, RetryBudget, StreamOutcome};
use tidegate_domain::schedule::Hours;
use tidegate_domain::spec::SyncSpec;
use tidegate_domain::sync::Mode;
use tidegate_sandbox::Level;
use tidegate_store::clock::now_ms;
use tidegate_store::control::TenantState;
use tidegate_store::queue::{Claim, QueuedJob};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// How often a stream is tried without progress, and the waits between: five tries
/// without progress are some minutes, and a provider's bad hour is waited out as long
/// as anything gets through.
const BUDGET: RetryBudget = RetryBudget {
    fruitless_max: 5,
    lost_max: 3,
    backoff: Backoff {
        first_ms: 1_000,
        ceiling_ms: 600_000,
    },
};
/// How often log lines are written down.
const NOTES: Duration = Duration::from_secs(2);
/// How often a live job looks at its document.
const WATCH: Duration = Duration::from_secs(5);
/// A live job begins a new attempt after this long.
const LIVE_ATTEMPT_MS: u64 = 3_600_000;
/// How often a job without progress is looked at for its first. Should its worker be lost
/// before that is written down, the loss counts against the job; a job that is over
/// sooner costs no write.
const FIRST_PROGRESS: Duration = Duration::from_millis(200);

/// A claimed job.
pub(super) struct JobRun {
    pub(super) shared: Arc<Shared>,
    pub(super) claim: Claim,
    pub(super) queued: QueuedJob,
    pub(super) job: Job,
    pub(super) started_at_ms: u64,
    pub(super) progress: Arc<Progress>,
    pub(super) log: Arc<JobLog>,
    pub(super) session: Option<Session>,
    stop: CancellationToken,
    inbox: mpsc::Receiver<Ask>,
    asks: mpsc::Sender<Ask>,
    notes: Interval,
    looks: Interval,
    /// Of a live job: when its document is looked at again, and what it is read under.
    watches: Interval,
    revision: Option<u64>,
    lag: Option<lag::Of>,
    closes_at_ms: Option<u64>,
    spec: Option<SyncSpec>,
    is_lost: bool,
    _listed: Listed,
}

/// Whether work is waited for once it was told to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// It holds nothing and is dropped.
    None,
    /// It checkpoints, which takes a moment.
    UntilSaved,
}

type Reports = BTreeMap<StreamName, StreamReport>;

impl JobRun {
    /// From here on it can be asked to stop, also before it first runs.
    pub(super) fn new(shared: Arc<Shared>, claim: Claim, queued: QueuedJob) -> JobRun {
        let (asks, inbox) = mpsc::channel(ASKS);
        let (started_at_ms, progress) = (now_ms(), Arc::<Progress>::default());
        let running = Running {
            tenant: queued.row.tenant.clone(),
            asks: asks.clone(),
            progress: Arc::clone(&progress),
            started_at_ms,
            epoch: claim.epoch,
            is_live: live_stream(&queued.request).is_some(),
        };
        let listed = Listed::new(&shared, &claim, running);
        let every = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let lag = live_stream(&queued.request).map(|stream| lag::Of {
            tenant: queued.row.tenant.clone(),
            sync: queued.row.sync.clone(),
            stream: stream.clone(),
        });
        JobRun {
            shared,
            claim,
            job: queued.row.job.clone(),
            queued,
            watches: every(WATCH),
            revision: None,
            lag,
            started_at_ms,
            progress,
            log: Arc::default(),
            session: None,
            stop: CancellationToken::new(),
            inbox,
            asks,
            notes: every(NOTES),
            looks: every(FIRST_PROGRESS),
            closes_at_ms: None,
            spec: None,
            is_lost: false,
            _listed: listed,
        }
    }

    /// Runs one attempt and settles it.
    pub(super) async fn run(mut self) -> JobId {
        let id = self.claim.job.clone();
        let span = tracing::info_span!(
            "job",
            job.id = %id,
            tenant.id = %self.queued.row.tenant,
            sync.id = %self.queued.row.sync,
            job.class = self.queued.class.as_str(),
            job.state = tracing::field::Empty,
        );
        trace::resume(&span, self.job.trace.as_deref());
        let mut tasks = JoinSet::new();
        tasks.spawn(heartbeat::beat(
            Arc::clone(&self.shared.node.store),
            self.claim.clone(),
            self.shared.claim_ms,
            self.asks.clone(),
        ));
        let attempt = Box::pin(self.take());
        attempt.instrument(span.clone()).await;
        span.record("job.state", self.job.state.as_str());
        if let Some(of) = &self.lag
            && (self.job.state.is_final() || self.is_lost)
        {
            self.shared.lags.forget(of);
        }
        id
    }

    async fn take(&mut self) {
        let (row, store) = (&self.queued.row, &*self.shared.node.store);
        let read = documents::sync_at_revision(store, &row.tenant, &row.sync).await;
        if let Ok((spec, revision)) = &read
            && spec.paused
        {
            return self.rest(*revision).await;
        }
        self.revision = read.as_ref().ok().map(|(_, revision)| *revision);
        if self.is_unwanted(read.as_ref().ok().map(|(spec, _)| spec)) {
            return self.give_back(Event::CancelRequested).await;
        }
        let spec = read.map(|(spec, _)| spec);
        if let Ok(spec) = &spec
            && let Some(until_ms) = self.closed_until(spec)
        {
            return self.give_back(Event::PausedUntil(until_ms)).await;
        }
        let was_held = self.job.state == JobState::Running;
        if was_held && self.queued.cancel_requested {
            self.step(Event::CancelRequested);
        }
        let claimed = Event::Claimed {
            now_ms: now_ms(),
            progressed: was_held && self.job.has_progressed(),
        };
        let mut reports = Reports::new();
        if self.step(claimed) == Action::Run {
            if self.save().await.is_err() {
                return;
            }
            let row = &self.queued.row;
            self.shared.changed(&row.tenant, &row.id, self.job.state);
            reports = match self.work(spec).await {
                Ok(reports) => reports,
                Err(error) => self.all_open(&error.outcome()),
            };
            for (name, report) in &reports {
                for event in report.events(name) {
                    self.step(event);
                }
                self.tell(name, &report.outcome);
            }
            self.step(attempt_ended());
        }
        settle::settle(self, &reports).await;
    }

    /// Whether it is a live job of a stream that is not read live any more.
    fn is_unwanted(&self, spec: Option<&SyncSpec>) -> bool {
        let (Some(stream), Some(spec)) = (live_stream(&self.queued.request), spec) else {
            return false;
        };
        let mut streams = spec.streams.iter();
        !streams.any(|found| found.name == *stream && found.mode == Mode::Live)
    }

    /// Its sync is switched off: nothing of it is tried, and nothing looks at it until
    /// somebody changes the sync.
    async fn rest(&mut self, revision: u64) {
        if self.queued.cancel_requested {
            return self.give_back(Event::CancelRequested).await;
        }
        if self.job.state == JobState::Running {
            // Its worker was lost. As a job that waits it is claimed again, and rests.
            return self.give_back(Event::DrainRequested).await;
        }
        let rested = self.shared.node.store.rest(&self.claim, revision).await;
        match rested {
            Ok(()) => tracing::info!("rests until its sync is changed"),
            // The claim runs out, and the next worker tries.
            Err(error) => tracing::warn!(%error, "a job could not be laid to rest"),
        }
    }

    /// Settles without having tried anything.
    async fn give_back(&mut self, why: Event) {
        if self.step(why) == Action::Stop {
            self.step(attempt_ended());
        }
        settle::settle(self, &Reports::new()).await;
    }

    pub(super) fn step(&mut self, event: Event) -> Action {
        self.job.step(event, BUDGET)
    }

    /// When the job may run, if not now; and notes until when it may.
    fn closed_until(&mut self, spec: &SyncSpec) -> Option<u64> {
        match spec.schedule.as_ref()?.hours(now_ms()) {
            Hours::Closed { until_ms } => Some(until_ms),
            Hours::Open { until_ms } => {
                self.closes_at_ms = until_ms;
                None
            }
        }
    }

    /// Launches and attempts; without outcomes where it was told to stop before.
    async fn work(&mut self, spec: Result<SyncSpec, Error>) -> Result<Reports, Error> {
        let spec = spec?;
        self.spec = Some(spec.clone());
        let node = Arc::clone(&self.shared.node);
        let queued = self.queued.clone();
        let frame = Frame {
            attempt: self.job.attempts,
            stop: self.stop.clone(),
            progress: Arc::clone(&self.progress),
            log: Arc::clone(&self.log),
            lag: self.lag.clone().map(|of| {
                let heard_ms = self.queued.row.updated_at_ms;
                self.shared.lags.of(of, now_ms().saturating_sub(heard_ms))
            }),
        };
        let launch = Box::pin(node.launch(&queued, &spec, frame));
        let Some(launched) = self.tend(launch, Patience::None).await else {
            return Ok(Reports::new());
        };
        let Launched { context, mut specs } = launched?;
        self.session = Some(context.source.session.clone());
        self.fix_generations(&mut specs).await?;
        let job = self.job.clone();
        let attempt = Box::pin(attempt(&context, &job, &specs));
        let reports = self.tend(attempt, Patience::UntilSaved).await;
        Ok(reports.unwrap_or_default())
    }

    /// Waits for the work while it listens to what the job is asked.
    async fn tend<T>(&mut self, work: impl Future<Output = T>, patience: Patience) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(ask) = self.inbox.recv() => self.heed(ask),
                () = until(self.closes_at_ms), if !self.stop.is_cancelled() => self.close(),
                done = &mut work => return Some(done),
                _ = self.notes.tick() => self.write_log().await,
                _ = self.looks.tick(), if self.is_without_progress() => self.note_progress().await,
                _ = self.watches.tick(), if self.lag.is_some() => self.watch().await,
            }
            if patience == Patience::None && self.stop.is_cancelled() {
                return None;
            }
        }
    }

    /// A live job goes on for days, so it begins anew where its document has changed, and
    /// now and then for what it cannot see: its connection, its secrets, its catalog.
    async fn watch(&mut self) {
        let (row, store) = (&self.queued.row, &*self.shared.node.store);
        let read = documents::sync_at_revision(store, &row.tenant, &row.sync).await;
        let is_changed = read.is_ok_and(|(_, revision)| Some(revision) != self.revision);
        let is_active = match store.tenant(&row.tenant).await {
            Ok(tenant) => tenant.is_some_and(|tenant| tenant.state == TenantState::Active),
            Err(_) => true, // it is asked again
        };
        let is_old = now_ms().saturating_sub(self.started_at_ms) > LIVE_ATTEMPT_MS;
        if (is_changed || is_old || !is_active) && !self.stop.is_cancelled() {
            self.ask_to_stop(Event::DrainRequested);
        }
    }

    fn heed(&mut self, ask: Ask) {
        match ask {
            Ask::Cancel => self.ask_to_stop(Event::CancelRequested),
            Ask::Drain => self.ask_to_stop(Event::DrainRequested),
            Ask::Turn if self.stop.is_cancelled() => {}
            Ask::Turn => self.ask_to_stop(Event::PausedUntil(now_ms())),
            Ask::Lost => {
                tracing::warn!("the claim was lost; another goes on");
                self.is_lost = true;
                self.stop.cancel();
            }
        }
    }

    /// The hours in which it may run are over.
    fn close(&mut self) {
        let opens_at_ms = match self.spec.as_ref().and_then(|spec| spec.schedule.as_ref()) {
            Some(schedule) => match schedule.hours(now_ms()) {
                Hours::Closed { until_ms } => until_ms,
                Hours::Open { until_ms } => {
                    self.closes_at_ms = until_ms;
                    return;
                }
            },
            None => return self.closes_at_ms = None,
        };
        self.ask_to_stop(Event::PausedUntil(opens_at_ms));
    }

    fn ask_to_stop(&mut self, event: Event) {
        if self.step(event) == Action::Stop {
            tracing::info!(why = ?self.job.stop, "stopping");
            self.stop.cancel();
        }
    }

    fn is_without_progress(&self) -> bool {
        self.job.state == JobState::Running && !self.job.has_progressed()
    }

    /// Writes down the first progress: should this worker be lost, the next one knows
    /// that the job gets on.
    async fn note_progress(&mut self) {
        let by_stream = self.progress.by_stream();
        for (name, _) in by_stream.into_iter().filter(|(_, known)| known.objects > 0) {
            self.step(Event::Stream {
                name,
                outcome: StreamOutcome::Running,
                progressed: true,
            });
        }
        if self.job.has_progressed() {
            // Where it cannot be written, this loss would count as one without progress.
            drop(self.save().await);
        }
    }

    pub(super) async fn write_log(&self) {
        let lines = self.log.take();
        if lines.is_empty() {
            return;
        }
        let store = &self.shared.node.store;
        if let Err(error) = store.append_log(&self.claim, lines).await {
            tracing::warn!(%error, "lines of a job's log were lost");
        }
    }

    async fn save(&mut self) -> Result<(), tidegate_store::Error> {
        let store = &self.shared.node.store;
        let saved = store.save_job(&self.claim, &self.job, now_ms()).await;
        if let Err(error) = &saved {
            tracing::warn!(%error, "a job could not be saved");
            self.is_lost |= matches!(error, tidegate_store::Error::ClaimLost { .. });
        }
        saved
    }

    /// A request for new generations is given their numbers before the first is
    /// opened, so that an attempt that follows goes on in the same.
    async fn fix_generations(&mut self, specs: &mut [StreamSpec]) -> Result<(), Error> {
        let request = self.queued.request.clone();
        let mut is_changed = false;
        for spec in specs.iter_mut() {
            let goes_on = matches!(request, JobRequest::Sync | JobRequest::Live { .. });
            if goes_on || !self.job.streams.contains_key(&spec.name) {
                continue;
            }
            if !self.job.generations.contains_key(&spec.name) {
                let generation = self.next_generation(spec).await?;
                let name = spec.name.clone();
                self.job.generations.insert(name, generation);
                is_changed = true;
            }
            spec.generation_min = self.job.generations[&spec.name];
        }
        if is_changed {
            self.save().await?;
        }
        Ok(())
    }

    async fn next_generation(&self, spec: &StreamSpec) -> Result<u64, Error> {
        let key = StreamKey {
            tenant: self.queued.row.tenant.clone(),
            sync: self.queued.row.sync.clone(),
            stream: spec.log.clone(),
        };
        let staged = self.shared.node.store.load(&key).await?.staged;
        // A span that another job left half read is gone on with.
        let goes_on = spec.is_bounded && staged.generation > 0 && !staged.run_is_over();
        Ok(staged.generation + u64::from(!goes_on))
    }

    fn all_open(&self, outcome: &StreamOutcome) -> Reports {
        let open = self.job.streams.iter();
        open.filter(|(_, known)| **known == StreamOutcome::Running)
            .map(|(name, _)| (name.clone(), StreamReport::of(outcome.clone())))
            .collect()
    }

    /// Leaves a word in the job's log.
    fn tell(&self, stream: &StreamName, outcome: &StreamOutcome) {
        let (level, message) = match outcome {
            StreamOutcome::Failed { fault, reason } => (Level::Error, format!("{fault}: {reason}")),
            StreamOutcome::Parked { until_ms } => {
                (Level::Info, format!("waits until {until_ms} ms"))
            }
            StreamOutcome::Succeeded => (Level::Info, "read to its end".to_owned()),
            StreamOutcome::Stopped => (Level::Info, "stopped; what was saved is kept".to_owned()),
            StreamOutcome::Running | StreamOutcome::Retrying { .. } => return,
        };
        self.log.add(level, Some(stream), message);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }
}

/// The stream that a live job follows.
pub(crate) fn live_stream(request: &JobRequest) -> Option<&StreamName> {
    match request {
        JobRequest::Live { stream } => Some(stream),
        _ => None,
    }
}

/// Comes at that time; never without one.
async fn until(at_ms: Option<u64>) {
    match at_ms {
        Some(at_ms) => sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()))).await,
        None => std::future::pending().await,
    }
}

/// While it lives, the job is among those that others see running.
struct Listed {
    shared: Arc<Shared>,
    job: JobId,
    epoch: u64,
}

impl Listed {
    fn new(shared: &Arc<Shared>, claim: &Claim, running: Running) -> Listed {
        shared.running().insert(claim.job.clone(), running);
        Listed {
            shared: Arc::clone(shared),
            job: claim.job.clone(),
            epoch: claim.epoch,
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        // A later claim of the same job has taken the place.
        if running
            .get(&self.job)
            .is_some_and(|found| found.epoch == self.epoch)
        {
            running.remove(&self.job);
        }
    }
}
