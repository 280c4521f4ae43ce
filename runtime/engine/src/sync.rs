//! Running one sync to its end in this process, as the command line does: attempts,
//! and the waits between them. Every decision is `tidegate_domain::job`'s.

use crate::attempt::{StreamReport, attempt};
use crate::error::Error;
use crate::stream::{StreamSpec, SyncContext};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_domain::backoff::Backoff;
use tidegate_domain::id::{JobId, StreamName};
use tidegate_domain::job::{Action, Event, Job, JobState, RetryBudget};
use tidegate_store::clock::now_ms;
use tidegate_store::flow::RequestOrigin;
use tidegate_store::jobs::JobRow;

/// How often a stream is tried without progress, and the waits between.
const BUDGET: RetryBudget = RetryBudget {
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
    /// By stream, over all attempts.
    pub streams: BTreeMap<StreamName, StreamReport>,
}

/// Runs a job over `specs` to its end.
///
/// # Errors
/// Where the job cannot be recorded; failures of streams are in the report.
pub async fn run(
    context: &SyncContext,
    id: JobId,
    specs: &[StreamSpec],
) -> Result<JobReport, Error> {
    let mut run = Run {
        context,
        row: JobRow {
            id,
            tenant: context.source.tenant.clone(),
            sync: context.sync.clone(),
            job: Job::new(specs.iter().map(|spec| spec.name.clone())),
            created_at_ms: now_ms(),
            updated_at_ms: now_ms(),
        },
        streams: BTreeMap::new(),
    };
    let mut action = run.claim().await?;
    loop {
        action = match action {
            Action::Run => run.attempt(specs).await?,
            Action::WaitUntil(until_ms) => run.wait(until_ms).await?,
            Action::Requeue => run.claim().await?,
            Action::None | Action::Stop | Action::Finish => break,
        };
    }
    Ok(JobReport {
        id: run.row.id,
        state: run.row.job.state,
        attempts: run.row.job.attempts,
        streams: run.streams,
    })
}

/// The end of an attempt, as of now.
pub(crate) fn attempt_ended() -> Event {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    Event::AttemptEnded {
        now_ms: now_ms(),
        random: u64::from_le_bytes(bytes),
    }
}

struct Run<'a> {
    context: &'a SyncContext,
    row: JobRow,
    streams: BTreeMap<StreamName, StreamReport>,
}

impl Run<'_> {
    async fn step(&mut self, event: Event) -> Result<Action, Error> {
        let action = self.row.job.step(event, BUDGET);
        self.row.updated_at_ms = now_ms();
        self.context.store.put_job(&self.row).await?;
        Ok(action)
    }

    async fn claim(&mut self) -> Result<Action, Error> {
        let claimed = Event::Claimed {
            now_ms: now_ms(),
            progressed: false, // nobody else holds it, so nobody was lost
        };
        self.step(claimed).await
    }

    /// Waits without holding an instance, and wakes early to be cancelled.
    async fn wait(&mut self, until_ms: u64) -> Result<Action, Error> {
        let wait_ms = until_ms.saturating_sub(now_ms());
        tracing::info!(job = %self.row.id, wait_ms, state = ?self.row.job.state, "waiting");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => self.claim().await,
            () = self.context.stop.cancelled() => self.step(Event::CancelRequested).await,
        }
    }

    async fn attempt(&mut self, specs: &[StreamSpec]) -> Result<Action, Error> {
        let context = SyncContext {
            origin: Some(RequestOrigin {
                job: self.row.id.clone(),
                attempt: self.row.job.attempts,
                stream: None,
                partition: None,
            }),
            ..self.context.clone()
        };
        let tried = attempt(&context, &self.row.job, specs).await;
        for (name, report) in tried {
            for event in report.events(&name) {
                self.row.job.step(event, BUDGET);
            }
            self.streams.entry(name).or_default().add(report);
        }
        self.step(attempt_ended()).await
    }
}
