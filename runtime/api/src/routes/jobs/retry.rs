//! Trying again what failed: one job, or all that failed for one reason.

use super::{Job, ask, existing, job_for};
use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::extract::{Id, Json};
use crate::problem::{Code, Problem};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use tidegate_domain::id::{JobId, SyncId};
use tidegate_domain::job::{JobState, Reason, Trigger};
use tidegate_store::control::Write;
use tidegate_store::queue::{Enqueued, JobFilter, QueuedJob};
use utoipa::ToSchema;

/// Failed jobs that one call looks at.
const LOOKED_AT_MAX: u32 = 1_000;
/// Jobs of a sync among which a newer one of the same track is looked for.
const NEWER_MAX: u32 = 50;

/// What to try again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryAll {
    /// Jobs that failed for this reason.
    reason: Reason,
    /// Only of this sync.
    #[serde(default)]
    sync: Option<SyncId>,
}

/// Jobs that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retried {
    /// New ones, or ones that were there already.
    jobs: Vec<JobId>,
}

/// Try a job again
///
/// A new job with the same request; it goes on from what was committed.
#[utoipa::path(post, path = "/v1/jobs/{job}/retry", tag = "jobs", params(("job" = JobId, Path)),
    responses((status = 200, description = "A job that is not over does it already.", body = Job), (status = 201, description = "A job was made.", body = Job)))]
pub(crate) async fn retry_job(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<(StatusCode, axum::Json<Job>), Problem> {
    let failed = existing(&api, &caller.tenant, &id).await?;
    if !failed.row.job.state.is_final() {
        return Err(Problem::new(
            Code::Conflict,
            format!("job {id} is not over"),
        ));
    }
    let trigger = Trigger::Retry { job: id.clone() };
    let again = job_for(
        &api,
        &caller.tenant,
        &failed.row.sync,
        failed.request,
        trigger,
    )
    .await?;
    ask(
        &api,
        &caller,
        Change::new("job.retry", format!("job {id}")),
        again,
    )
    .await
}

/// Try again all that failed for one reason
///
/// The last job of each sync and request, where nothing newer was tried since.
#[utoipa::path(post, path = "/v1/jobs/retry", tag = "jobs", request_body = RetryAll, responses((status = 200, description = "What was asked for.", body = Retried)))]
pub(crate) async fn retry_jobs(
    State(api): State<Api>,
    caller: Caller,
    Json(all): Json<RetryAll>,
) -> Result<axum::Json<Retried>, Problem> {
    let subject = format!("jobs that failed for {}", all.reason.as_str());
    let filter = JobFilter {
        sync: all.sync,
        states: vec![JobState::Failed, JobState::Degraded],
        reason: Some(all.reason),
        before: None,
    };
    let failed = api
        .store()
        .queued_jobs(&caller.tenant, &filter, LOOKED_AT_MAX)
        .await?;
    let mut change =
        Change::new("job.retry_all", subject).detail(json!({ "looked_at": failed.len() }));
    let mut seen = BTreeSet::new();
    for job in failed {
        let kind = (job.row.sync.clone(), job.track.clone());
        if !seen.insert(kind) || !is_newest(&api, &caller, &job).await? {
            continue;
        }
        let trigger = Trigger::Retry { job: job.row.id };
        match job_for(&api, &caller.tenant, &job.row.sync, job.request, trigger).await {
            Ok(again) => change = change.write(Write::PutJob(Box::new(again))),
            // Its sync was paused or removed since: there is nothing to try.
            Err(problem)
                if matches!(
                    problem.code(),
                    Code::NotFound | Code::Conflict | Code::Invalid
                ) => {}
            Err(problem) => return Err(problem),
        }
    }
    let done = api.commit(&caller, change).await?;
    api.worker().wake();
    Ok(axum::Json(Retried {
        jobs: done.jobs.iter().map(Enqueued::id).cloned().collect(),
    }))
}

/// Whether nothing of the same sync and track was asked for later.
async fn is_newest(api: &Api, caller: &Caller, job: &QueuedJob) -> Result<bool, Problem> {
    let filter = JobFilter {
        sync: Some(job.row.sync.clone()),
        ..JobFilter::default()
    };
    let newest = api
        .store()
        .queued_jobs(&caller.tenant, &filter, NEWER_MAX)
        .await?;
    let of_track = newest.into_iter().find(|other| other.track == job.track);
    Ok(of_track.is_none_or(|other| other.row.id == job.row.id))
}
