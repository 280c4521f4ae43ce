//! Makes jobs when schedules are due, and sweeps what is too old. A schedule that was
//! missed fires once.

mod live;

use crate::documents;
use crate::enqueue;
use crate::error::Error;
use crate::node::Node;
use crate::worker::Handle;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::job::{Class, JobRequest, Trigger};
use tidegate_store::clock::now_ms;
use tidegate_store::schedules::ScheduleRow;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Schedules that are read at a time.
const DUE_MAX: u32 = 100;
/// The longest time between two looks: a new schedule may be due before any other.
const LOOK_MS_MAX: u64 = 1_000;
/// After this long a schedule that could not be fired is looked at again.
const RETRY_MS: u64 = 60_000;
/// Between two looks for streams of mode live that nobody follows.
const LIVE_EVERY: Duration = Duration::from_secs(2);
/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// A grant that was not renewed for so long is: providers let idle ones lapse after
/// thirty days and more.
const IDLE_GRANT_MS: u64 = 14 * 24 * 3_600_000;
/// Idle grants that are renewed after one sweep.
const IDLE_GRANTS_MAX: usize = 100;

/// Fires schedules; one per database is enough, more do no harm.
pub struct Scheduler {
    node: Arc<Node>,
    worker: Handle,
    live: live::Keeper,
}

impl Scheduler {
    /// A scheduler that wakes `worker` when it made a job.
    pub fn new(node: Arc<Node>, worker: Handle) -> Scheduler {
        Scheduler {
            node,
            worker,
            live: live::Keeper::default(),
        }
    }

    /// Runs until `shutdown`. Whatever it was doing is a transaction that happened or
    /// did not.
    pub async fn run(self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.run_forever()).await;
    }

    async fn run_forever(mut self) {
        let (mut sweep_at, mut live_at) = (Instant::now(), Instant::now());
        loop {
            let look_at_ms = match self.fire_due().await {
                Ok(look_at_ms) => look_at_ms,
                Err(error) => {
                    tracing::error!(error = %error.chain(), "schedules cannot be read");
                    now_ms() + LOOK_MS_MAX
                }
            };
            if Instant::now() >= live_at {
                live_at = Instant::now() + LIVE_EVERY;
                if let Err(error) = self.live.look(&self.node, &self.worker).await {
                    tracing::error!(error = %error.chain(), "streams of mode live cannot be read");
                }
            }
            if Instant::now() >= sweep_at {
                sweep_at = Instant::now() + SWEEP_EVERY;
                self.sweep().await;
                self.keep_grants().await;
            }
            sleep(Duration::from_millis(look_at_ms.saturating_sub(now_ms()))).await;
        }
    }

    /// Fires what is due; says when to look again, in milliseconds since the epoch.
    async fn fire_due(&self) -> Result<u64, Error> {
        loop {
            let now = now_ms();
            let found = self.node.store.due_schedules(now, DUE_MAX).await?;
            for due in &found.due {
                self.fire(due, now).await?;
            }
            if found.due.len() < DUE_MAX as usize {
                let latest = now + LOOK_MS_MAX;
                return Ok(found.next_at_ms.map_or(latest, |next| next.min(latest)));
            }
        }
    }

    /// Moves a schedule on, with a job or, where its sync cannot run, without.
    async fn fire(&self, due: &ScheduleRow, now: u64) -> Result<(), Error> {
        let (job, next_at_ms) = match self.job(due, now).await {
            Ok(made) => made,
            Err(Error::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(
                    tenant.id = %due.tenant, sync.id = %due.sync, error = %error.chain(),
                    "a schedule could not make its job"
                );
                (None, Some(now + RETRY_MS))
            }
        };
        let store = &self.node.store;
        match store.fire(due, job, next_at_ms, now).await {
            Ok(Some(fired)) if fired.job.is_some() => self.worker.wake(),
            Ok(_) => {}
            // The tenant has too many jobs already: this run is missed, not the next.
            Err(error @ tidegate_store::Error::Quota { .. }) => {
                tracing::warn!(tenant.id = %due.tenant, sync.id = %due.sync, %error, "a run is left out");
                store.fire(due, None, next_at_ms, now).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn job(
        &self,
        due: &ScheduleRow,
        now: u64,
    ) -> Result<(Option<tidegate_store::queue::Enqueue>, Option<u64>), Error> {
        let (store, tenant, sync) = (&*self.node.store, &due.tenant, &due.sync);
        let spec = documents::sync(store, tenant, sync).await?;
        let Some(schedule) = &spec.schedule else {
            return Ok((None, None));
        };
        let says = schedule.due(Some(due.next_at_ms), now, enqueue::spread(tenant, sync));
        if !says.fires || spec.paused {
            return Ok((None, says.next_at_ms));
        }
        let request = JobRequest::Sync;
        let job = enqueue::job_for(store, tenant, sync, Trigger::Schedule, request).await?;
        Ok((Some(job), says.next_at_ms))
    }

    /// Renews what would lapse, and puts tenants' keys under the newest node key.
    async fn keep_grants(&self) {
        let store = &*self.node.store;
        let before_ms = now_ms().saturating_sub(IDLE_GRANT_MS);
        let idle = match store.idle_grants(before_ms, IDLE_GRANTS_MAX).await {
            Ok(idle) => idle,
            Err(error) => {
                tracing::error!(%error, "idle grants cannot be read");
                Vec::new()
            }
        };
        for grant in idle {
            let source = self
                .node
                .source(&grant.tenant, &grant.connection, Class::History);
            let renewed = async {
                let session = source.await?.session;
                Ok::<_, Error>(session.keep_alive(&grant.method, IDLE_GRANT_MS).await?)
            };
            if let Err(error) = Box::pin(renewed).await {
                tracing::warn!(
                    tenant.id = %grant.tenant, connection.id = %grant.connection, error = %error.chain(),
                    "an idle grant could not be renewed"
                );
            }
        }
        match self.node.keyring.rewrap_all(store).await {
            Ok(0) => {}
            Ok(rewrapped) => tracing::info!(rewrapped, "data keys are under the newest key now"),
            Err(error) => tracing::error!(%error, "data keys cannot be put under the newest key"),
        }
    }

    async fn sweep(&self) {
        let mut rows = 0;
        let keep = self.node.config.retention.retention();
        loop {
            match self.node.store.sweep(now_ms(), keep).await {
                Ok(swept) => {
                    rows += swept.rows;
                    if !swept.more {
                        break;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "old rows could not be removed");
                    return;
                }
            }
        }
        if rows > 0 {
            tracing::info!(rows, "rows past their time were removed");
        }
    }
}
