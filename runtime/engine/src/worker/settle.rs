//! The end of an attempt, in one transaction: where the job is, what the attempt came
//! to, who hears of it, and which jobs follow.

use super::attempt_report::AttemptReport;
use super::job_run::JobRun;
use crate::attempt::StreamReport;
use crate::documents;
use crate::enqueue;
use crate::error::Error;
use crate::finished;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_domain::Fault;
use tidegate_domain::id::{StreamName, SyncId};
use tidegate_domain::job::{Event, JobRequest, JobState, StreamOutcome, Trigger};
use tidegate_store::clock::now_ms;
use tidegate_store::control::{DocumentKind, Reference};
use tidegate_store::events::NewEvent;
use tidegate_store::queue::{Enqueue, NewAttempt, Settled, Settlement};

/// Tries to write a settlement, and the wait before the second; it doubles. Past them
/// the claim runs out and the attempt counts as lost.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Settles the job as its state machine left it.
pub(super) async fn settle(run: &mut JobRun, reports: &BTreeMap<StreamName, StreamReport>) {
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES {
        if run.is_lost() {
            return;
        }
        // The lines first, since a settled job takes no more; both share a commit.
        let (_, settled) = tokio::join!(biased; run.write_log(), once(run, reports));
        match settled {
            Ok(Settlement::Done { follow_ups }) => {
                let row = &run.queued.row;
                tracing::info!(state = run.job.state.as_str(), "settled");
                run.shared.changed(&row.tenant, &row.id, run.job.state);
                if !follow_ups.is_empty() {
                    run.shared.wake.notify_one();
                }
                return;
            }
            Ok(Settlement::CancelRequested) => {
                run.step(Event::CancelRequested);
            }
            Err(Error::Store(tidegate_store::Error::ClaimLost { .. })) => {
                tracing::warn!("the claim was lost before the attempt was settled");
                return;
            }
            Err(error) => {
                tracing::error!(error = %error.chain(), "an attempt could not be settled");
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
    }
}

async fn once(
    run: &JobRun,
    reports: &BTreeMap<StreamName, StreamReport>,
) -> Result<Settlement, Error> {
    let usage = run.session.as_ref().map(|session| session.usage());
    let report = AttemptReport::new(&run.progress, usage, reports);
    let failed = reports.values().find_map(|report| match &report.outcome {
        StreamOutcome::Failed { fault, reason } => Some((*fault, reason.clone())),
        _ => None,
    });
    let (fault, error) = failed.unzip();
    let settled = Settled {
        job: run.job.clone(),
        attempt: NewAttempt {
            started_at_ms: run.started_at_ms,
            ended_at_ms: now_ms(),
            fault,
            error,
            report: json!(report).to_string(),
        },
        events: events(run, &report),
        follow_ups: follow_ups(run).await?,
        at_ms: now_ms(),
    };
    Ok(run.shared.node.store.settle(&run.claim, settled).await?)
}

fn events(run: &JobRun, report: &AttemptReport) -> Vec<NewEvent> {
    let (row, job) = (&run.queued.row, &run.job);
    let mut events = Vec::new();
    let refused = |outcome: &StreamOutcome| {
        matches!(
            outcome,
            StreamOutcome::Failed {
                fault: Fault::Auth,
                ..
            }
        )
    };
    if report
        .streams
        .values()
        .any(|stream| refused(&stream.outcome))
    {
        events.push(NewEvent {
            kind: "connection.needs_reauth".to_owned(),
            subject: format!("connection {}", run.queued.connection),
            body: json!({ "connection": run.queued.connection, "sync": row.sync, "job": row.id })
                .to_string(),
        });
    }
    if job.state.is_final() {
        events.push(finished::event(&run.queued, job));
    }
    events
}

/// Jobs of the syncs that run after this one. One that cannot be made is left out: its
/// documents are wrong, and this job is not to fail for it.
async fn follow_ups(run: &JobRun) -> Result<Vec<Enqueue>, Error> {
    let has_succeeded = matches!(run.job.state, JobState::Succeeded | JobState::Degraded);
    if !has_succeeded
        || matches!(
            run.queued.request,
            JobRequest::Backfill { .. } | JobRequest::Live { .. }
        )
    {
        return Ok(Vec::new());
    }
    let (store, row) = (&*run.shared.node.store, &run.queued.row);
    let this = Reference::Document(DocumentKind::Sync, row.sync.to_string());
    let mut follow_ups = Vec::new();
    for (kind, id) in store.referrers(&row.tenant, &this).await? {
        let DocumentKind::Sync = kind else { continue };
        let Ok(sync) = SyncId::parse(id) else {
            continue;
        };
        let made = async {
            let spec = documents::sync(store, &row.tenant, &sync).await?;
            let after = spec
                .schedule
                .as_ref()
                .and_then(|found| found.after.as_ref());
            if after != Some(&row.sync) || spec.paused {
                return Ok(None);
            }
            let trigger = Trigger::After {
                job: row.id.clone(),
            };
            let made = enqueue::job_for(store, &row.tenant, &sync, trigger, JobRequest::Sync);
            Ok::<_, Error>(Some(made.await?))
        };
        match made.await {
            Ok(made) => follow_ups.extend(made),
            Err(Error::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%sync, error = %error.chain(), "a job that follows could not be made");
            }
        }
    }
    Ok(follow_ups)
}
