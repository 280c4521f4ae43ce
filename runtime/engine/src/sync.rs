//! Running one sync as a job: its streams side by side, attempts with back-off,
//! parking, stopping. Every decision is `tidegate_domain::job`'s.

use crate::call;
use crate::error::Error;
use crate::stream::{self, StreamRun, StreamSpec, SyncContext};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::id::{JobId, StreamName};
use tidegate_domain::job::{Action, Event, Job, JobState, RetryBudget, StreamOutcome};
use tidegate_landing::writer::Landed;
use tidegate_sandbox::StreamInfo;
use tidegate_store::clock::now_ms;
use tidegate_store::jobs::JobRow;
use tokio::task::JoinSet;

/// Fruitless attempts before a stream fails, lost workers before a job does, and the
/// waits between attempts.
const RETRIES: RetryBudget = RetryBudget {
    fruitless_max: 5,
    lost_max: 5,
    backoff: Backoff {
        first_ms: 500,
        ceiling_ms: 60_000,
    },
};

/// What a job came to.
#[derive(Debug)]
pub struct JobReport {
    /// Its id.
    pub id: JobId,
    /// Its final state.
    pub state: JobState,
    /// Attempts made.
    pub attempts: u32,
    /// By stream.
    pub streams: BTreeMap<StreamName, StreamReport>,
}

/// What one stream of a job came to.
#[derive(Debug, Default)]
pub struct StreamReport {
    /// Its last outcome; none where it was never run.
    pub outcome: Option<StreamOutcome>,
    /// What it landed, over all attempts.
    pub landed: Landed,
    /// The generation that it landed in.
    pub generation: u64,
}

/// Runs a job over `specs` to its end.
///
/// # Errors
/// Where the catalog cannot be had or the job cannot be recorded; failures of
/// streams are in the report.
pub async fn run(
    context: &SyncContext,
    id: JobId,
    specs: &[StreamSpec],
) -> Result<JobReport, Error> {
    let mut run = Run {
        context,
        row: JobRow {
            id,
            tenant: context.tenant.clone(),
            sync: context.sync.clone(),
            job: Job::new(specs.iter().map(|spec| spec.name.clone())),
            created_at_ms: now_ms(),
            updated_at_ms: now_ms(),
        },
        streams: BTreeMap::new(),
    };
    let mut action = run.step(claimed()).await?;
    loop {
        action = match action {
            Action::Run => run.attempt(specs).await?,
            Action::WaitUntil(until_ms) => {
                let wait_ms = until_ms.saturating_sub(now_ms());
                run.wait(wait_ms).await?
            }
            // Nothing asks this process to give the job to another.
            Action::None | Action::Requeue | Action::Stop | Action::Finish => break,
        };
    }
    Ok(JobReport {
        id: run.row.id,
        state: run.row.job.state,
        attempts: run.row.job.attempts,
        streams: run.streams,
    })
}

/// A value drawn evenly, for the jitter of a wait.
fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u64::from_le_bytes(bytes)
}

fn claimed() -> Event {
    Event::Claimed {
        now_ms: now_ms(),
        progressed: false,
    }
}

struct Run<'a> {
    context: &'a SyncContext,
    row: JobRow,
    streams: BTreeMap<StreamName, StreamReport>,
}

impl Run<'_> {
    async fn step(&mut self, event: Event) -> Result<Action, Error> {
        let action = self.row.job.step(event, RETRIES);
        self.row.updated_at_ms = now_ms();
        self.context.store.put_job(&self.row).await?;
        Ok(action)
    }

    /// Waits without holding an instance, and wakes early to be cancelled.
    async fn wait(&mut self, wait_ms: u64) -> Result<Action, Error> {
        tracing::info!(job = %self.row.id, wait_ms, state = ?self.row.job.state, "waiting");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => self.step(claimed()).await,
            () = self.context.stop.cancelled() => self.step(Event::CancelRequested).await,
        }
    }

    async fn attempt(&mut self, specs: &[StreamSpec]) -> Result<Action, Error> {
        self.context
            .progress
            .partitions_parked
            .store(0, Ordering::Relaxed);
        match self.catalog().await {
            Err(error) => self.fail_all(&error),
            Ok(catalog) => {
                let mut running = JoinSet::new();
                for spec in specs {
                    if !self.is_open(&spec.name) {
                        continue;
                    }
                    match find(&catalog, spec) {
                        Err(error) => self.note(&spec.name, outcome_of(&error), false),
                        Ok(info) => {
                            let (context, spec) = (self.context.clone(), spec.clone());
                            running.spawn(async move {
                                let name = spec.name.clone();
                                (name, stream::run(context, spec, info).await)
                            });
                        }
                    }
                }
                while let Some(joined) = running.join_next().await {
                    let (name, run) =
                        joined.expect("running does not panic, and nothing aborts it");
                    self.add(name, run);
                }
            }
        }
        self.step(Event::AttemptEnded {
            now_ms: now_ms(),
            random: random(),
        })
        .await
    }

    fn is_open(&self, name: &StreamName) -> bool {
        self.row.job.streams.get(name) == Some(&StreamOutcome::Running)
    }

    async fn catalog(&self) -> Result<Vec<StreamInfo>, Error> {
        let config = self.context.config.clone();
        let found = self
            .context
            .connector
            .discover(call::context(self.context), config)
            .await;
        let (catalog, usage) = found.map_err(|source| Error::Connector {
            operation: "discover",
            stream: self
                .row
                .job
                .streams
                .keys()
                .next()
                .cloned()
                .expect("a job has streams"),
            source: Box::new(source),
        })?;
        self.context.progress.add_call(&usage);
        Ok(catalog)
    }

    fn fail_all(&mut self, error: &Error) {
        let open: Vec<_> = self
            .row
            .job
            .streams
            .keys()
            .filter(|name| self.is_open(name))
            .cloned()
            .collect();
        for name in open {
            let outcome = match error {
                _ if self.context.stop.is_cancelled() => StreamOutcome::Stopped,
                Error::Connector { source, .. } if source.until_ms().is_some() => {
                    StreamOutcome::Parked {
                        until_ms: stream::bounded_wait(source.until_ms().unwrap_or_default()),
                    }
                }
                _ => outcome_of(error),
            };
            self.note(&name, outcome, false);
        }
    }

    fn note(&mut self, name: &StreamName, outcome: StreamOutcome, progressed: bool) {
        self.streams.entry(name.clone()).or_default().outcome = Some(outcome.clone());
        let noted = Event::Stream {
            name: name.clone(),
            outcome,
            progressed,
        };
        self.row.job.step(noted, RETRIES);
    }

    fn add(&mut self, name: StreamName, run: StreamRun) {
        let progress = &self.context.progress;
        progress
            .rows_committed
            .fetch_add(run.landed.rows, Ordering::Relaxed);
        progress
            .objects_committed
            .fetch_add(run.landed.objects, Ordering::Relaxed);
        progress
            .object_bytes
            .fetch_add(run.landed.bytes, Ordering::Relaxed);
        let report = self.streams.entry(name.clone()).or_default();
        report.generation = run.generation;
        report.landed.rows += run.landed.rows;
        report.landed.rejected += run.landed.rejected;
        report.landed.objects += run.landed.objects;
        report.landed.bytes += run.landed.bytes;
        report.landed.slots += run.landed.slots;
        self.note(&name, run.outcome, run.landed.slots > 0);
    }
}

fn outcome_of(error: &Error) -> StreamOutcome {
    StreamOutcome::Failed {
        fault: error.fault(),
        reason: error.chain(),
    }
}

fn find(catalog: &[StreamInfo], spec: &StreamSpec) -> Result<StreamInfo, Error> {
    let names = || {
        catalog
            .iter()
            .map(|info| info.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let info = catalog
        .iter()
        .find(|info| info.name == spec.name.as_str())
        .ok_or_else(|| Error::NoSuchStream {
            stream: spec.name.clone(),
            known: names(),
        })?;
    if !info.modes.contains(&spec.mode) {
        return Err(Error::Mode {
            stream: spec.name.clone(),
            offered: format!("{:?}", info.modes),
        });
    }
    Ok(info.clone())
}
