//! Jobs: asked for, followed, cancelled, tried again.

pub(super) mod follow;
pub(super) mod history;
pub(super) mod requests;
pub(super) mod retry;
mod shape;

use shape::Job;

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents;
use crate::extract::{Id, OptionalJson, Query};
use crate::page::{Page, Paging};
use crate::problem::{Code, Problem};
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use shape::Position;
use tidegate_domain::id::{JobId, StreamName, SyncId, TenantId};
use tidegate_domain::job::{JobRequest, JobState, Reason, Trigger};
use tidegate_domain::spec::{SyncSpec, WindowSpec};
use tidegate_engine::{enqueue, finished};
use tidegate_store::control::Write;
use tidegate_store::queue::{Enqueue, Enqueued, JobFilter, QueuedJob};
use utoipa::{IntoParams, ToSchema};

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Of this sync.
    sync: Option<SyncId>,
    /// In this state.
    state: Option<JobState>,
    /// That failed for this reason.
    reason: Option<Reason>,
    /// `next` of the page before.
    #[param(max_length = 256)]
    after: Option<String>,
    /// Items at the most; 50 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// List jobs
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", params(Filter), responses((status = 200, description = "Newest first.", body = Page<Job>)))]
pub(crate) async fn list_jobs(
    State(api): State<Api>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<Page<Job>>, Problem> {
    let paging = Paging::new(filter.after, filter.limit);
    let limit = paging.limit()?;
    let wanted = JobFilter {
        sync: filter.sync,
        states: filter.state.into_iter().collect(),
        reason: filter.reason,
        before: paging.after::<Position>()?.map(|position| position.0),
    };
    let found = api
        .store()
        .queued_jobs(&caller.tenant, &wanted, limit + 1)
        .await?;
    let cursor = |job: &QueuedJob| Position::of(job).to_string();
    Ok(axum::Json(Page::of(found, limit, cursor, Job::from)))
}

/// What is to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Wanted {
    /// Read what is new.
    Sync {},
    /// Read everything anew, in a new generation.
    Resync {
        /// Of these streams; empty means all of the sync.
        #[serde(default)]
        streams: Vec<StreamName>,
    },
    /// Read a span of the history again, with cursors of its own.
    Backfill {
        /// Of this stream.
        stream: StreamName,
        /// This span.
        window: WindowSpec,
    },
    /// Read what changes as it changes. The service asks for this by itself for each
    /// stream of mode live; asked for again, the answer is the job that is there.
    Live {
        /// Of this stream.
        stream: StreamName,
    },
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted::Sync {}
    }
}

impl From<Wanted> for JobRequest {
    fn from(wanted: Wanted) -> JobRequest {
        match wanted {
            Wanted::Sync {} => JobRequest::Sync,
            Wanted::Resync { streams } => JobRequest::Resync { streams },
            Wanted::Backfill { stream, window } => JobRequest::Backfill { stream, window },
            Wanted::Live { stream } => JobRequest::Live { stream },
        }
    }
}

/// Run a sync
///
/// Where a job of the sync is not over, the sync's `when_running` decides: the answer is
/// that job, or a new one that waits for its end. It is never a conflict.
#[utoipa::path(post, path = "/v1/syncs/{sync}/jobs", tag = "jobs", params(("sync" = SyncId, Path)), request_body(content = Option<Wanted>),
    responses((status = 200, description = "A job that is not over does it already.", body = Job), (status = 201, description = "A job was made.", body = Job)))]
pub(crate) async fn trigger_job(
    State(api): State<Api>,
    caller: Caller,
    Id(sync): Id<SyncId>,
    OptionalJson(wanted): OptionalJson<Wanted>,
) -> Result<(StatusCode, axum::Json<Job>), Problem> {
    let enqueue = job_for(&api, &caller.tenant, &sync, wanted.into(), Trigger::Api).await?;
    let change = Change::new("job.trigger", format!("sync {sync}"))
        .detail(json!({ "request": enqueue.job.request }));
    ask(&api, &caller, change, enqueue).await
}

/// Asks for a job and answers with the one to follow.
async fn ask(
    api: &Api,
    caller: &Caller,
    change: Change,
    enqueue: Enqueue,
) -> Result<(StatusCode, axum::Json<Job>), Problem> {
    let done = api
        .commit(caller, change.write(Write::PutJob(Box::new(enqueue))))
        .await?;
    let missing = || Problem::new(Code::Internal, "the store did not say which job it is");
    let (status, id) = match done.jobs.first().ok_or_else(missing)? {
        Enqueued::New(id) => (StatusCode::CREATED, id),
        Enqueued::Attached(id) => (StatusCode::OK, id),
    };
    api.worker().wake();
    Ok((status, axum::Json(shown(api, &caller.tenant, id).await?)))
}

/// The job that a request about a sync comes to.
async fn job_for(
    api: &Api,
    tenant: &TenantId,
    sync: &SyncId,
    request: JobRequest,
    trigger: Trigger,
) -> Result<Enqueue, Problem> {
    let spec = documents::read::<SyncSpec>(api, tenant, sync.as_str())
        .await?
        .spec;
    if spec.paused {
        return Err(
            Problem::new(Code::Conflict, format!("sync {sync} is paused"))
                .with_fix("Set `paused` to false first."),
        );
    }
    Ok(enqueue::job_for(api.store(), tenant, sync, trigger, request).await?)
}

/// Cancel a job
///
/// One that waits is over at once; the guests of one that runs are told to stop, and
/// what they saved is committed. One that is over stays as it is.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", tag = "jobs", params(("job" = JobId, Path)), responses((status = 200, description = "Its end was asked for.", body = Job)))]
pub(crate) async fn cancel_job(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<axum::Json<Job>, Problem> {
    let found = existing(&api, &caller.tenant, &id).await?;
    let change = Change::new("job.cancel", format!("job {id}")).write(Write::CancelJob {
        id: id.clone(),
        events: vec![finished::by_cancel(&found)],
    });
    api.commit(&caller, change).await?;
    api.worker().cancel(&id);
    api.worker().wake();
    shown(&api, &caller.tenant, &id).await.map(axum::Json)
}

/// A job as clients see it, with what it is doing where it runs here.
async fn shown(api: &Api, tenant: &TenantId, id: &JobId) -> Result<Job, Problem> {
    let job = Job::from(existing(api, tenant, id).await?);
    Ok(job.with_progress(api.worker().snapshot(tenant, id)))
}

async fn existing(api: &Api, tenant: &TenantId, id: &JobId) -> Result<QueuedJob, Problem> {
    let found = api.store().queued_job(tenant, id).await?;
    found.ok_or_else(|| Problem::not_found("job", id))
}
