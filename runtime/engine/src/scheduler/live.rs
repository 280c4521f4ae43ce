//! Sees to it that each stream of mode live has its job: after its document was written,
//! and whenever one is missing. A live job has no end, so nobody else would ask again.

use crate::documents;
use crate::enqueue::{self, log_of_live};
use crate::error::Error;
use crate::node::Node;
use crate::worker::{Handle, live_stream};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use tidegate_domain::id::{StreamKey, SyncId, TenantId};
use tidegate_domain::job::{JobRequest, JobState, Trigger};
use tidegate_domain::sync::Mode;
use tidegate_store::clock::now_ms;
use tidegate_store::control::{Actor, Commit, Write};
use tidegate_store::queue::{JobFilter, QueuedJob};
use tokio::time::Instant;

/// Syncs that are seen to at a time.
const SYNCS_MAX: u32 = 100;
/// Unfinished jobs of one sync that are looked through.
const JOBS_MAX: u32 = 1_000;
/// Who says nothing for so long may be over, in milliseconds.
const SILENT_MS: u64 = 10_000;
/// A sync whose jobs cannot be made is left alone so long: its documents are wrong.
const RETRY: Duration = Duration::from_secs(60);

/// What could not be made lately.
#[derive(Default)]
pub(super) struct Keeper {
    refused: HashMap<(TenantId, SyncId), Instant>,
}

impl Keeper {
    /// Makes the jobs that are missing.
    pub(super) async fn look(&mut self, node: &Node, worker: &Handle) -> Result<(), Error> {
        forget_ended(node, worker).await?;
        self.refused.retain(|_, at| at.elapsed() < RETRY);
        let missing = node.store.without_live_jobs(SYNCS_MAX).await?;
        for (tenant, sync) in missing {
            if self.refused.contains_key(&(tenant.clone(), sync.clone())) {
                continue;
            }
            match make(node, &tenant, &sync).await {
                Ok(()) => worker.wake(),
                Err(error) => {
                    tracing::warn!(
                        tenant.id = %tenant, sync.id = %sync, error = %error.chain(),
                        "live jobs could not be made"
                    );
                    self.refused.insert((tenant, sync), Instant::now());
                }
            }
        }
        Ok(())
    }
}

/// A waiting job is called off without a worker that would see it end: its lag would grow
/// for ever.
async fn forget_ended(node: &Node, worker: &Handle) -> Result<(), Error> {
    let silent = |lag_ms: &u64| *lag_ms > SILENT_MS;
    for (of, _) in worker.lags().into_iter().filter(|(_, lag)| silent(lag)) {
        let filter = JobFilter {
            sync: Some(of.sync.clone()),
            states: JobState::ALL
                .into_iter()
                .filter(|state| !state.is_final())
                .collect(),
            ..JobFilter::default()
        };
        let jobs = node
            .store
            .queued_jobs(&of.tenant, &filter, JOBS_MAX)
            .await?;
        let follows = |job: &QueuedJob| live_stream(&job.request) == Some(&of.stream);
        if !jobs.iter().any(follows) {
            worker.forget_lag(&of);
        }
    }
    Ok(())
}

/// The live jobs of a sync, those that are there standing for themselves, and where a
/// stream is followed for the first time a run of the sync: what was before is its
/// matter, and it is fixed only once the live read has begun to count.
async fn make(node: &Node, tenant: &TenantId, sync: &SyncId) -> Result<(), Error> {
    let store = &*node.store;
    let spec = documents::sync(store, tenant, sync).await?;
    let mut writes = Vec::new();
    let mut is_new = false;
    for stream in spec.streams.iter().filter(|it| it.mode == Mode::Live) {
        let key = StreamKey {
            tenant: tenant.clone(),
            sync: sync.clone(),
            stream: log_of_live(&stream.name)?,
        };
        is_new |= store.load(&key).await?.staged.generation == 0;
        let request = JobRequest::Live {
            stream: stream.name.clone(),
        };
        let job = enqueue::job_for(store, tenant, sync, Trigger::Schedule, request).await?;
        writes.push(Write::PutJob(Box::new(job)));
    }
    if is_new {
        let request = JobRequest::Sync;
        let mut job = enqueue::job_for(store, tenant, sync, Trigger::Schedule, request).await?;
        // One that runs already may have fixed its end before the live read begins.
        job.attach = false;
        writes.push(Write::PutJob(Box::new(job)));
    }
    let commit = Commit {
        tenant: tenant.clone(),
        actor: Actor::System,
        origin: None,
        action: "job.trigger".to_owned(),
        subject: format!("sync {sync}"),
        detail: json!({ "why": "streams of mode live" }).to_string(),
        at_ms: now_ms(),
        writes,
        idempotency: None,
        events: Vec::new(),
    };
    store.commit(commit).await?;
    Ok(())
}
