//! Following a job: one answer that waits for its end, or a stream of every change.

use super::{Job, shown};
use crate::api::Api;
use crate::caller::Caller;
use crate::extract::{Id, Query};
use crate::problem::Problem;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use tidegate_domain::id::{JobId, TenantId};
use tidegate_engine::worker::JobChange;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

/// Seconds that an answer waits at the most: below the patience of common proxies.
const WAIT_S_MAX: u32 = 55;
/// How often a followed job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a silent stream says that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wait {
    /// Seconds to wait for the job's end; 0 without it.
    #[serde(default)]
    #[param(required = false, maximum = 55)]
    wait_s: u32,
}

/// Read a job
///
/// With `wait_s` the answer comes when the job is over, or after so many seconds.
#[utoipa::path(get, path = "/v1/jobs/{job}", tag = "jobs", params(("job" = JobId, Path), Wait), responses((status = 200, description = "The job.", body = Job)))]
pub(crate) async fn read_job(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<JobId>,
    Query(wait): Query<Wait>,
) -> Result<axum::Json<Job>, Problem> {
    if wait.wait_s > WAIT_S_MAX {
        return Err(Problem::invalid_at(
            "wait_s",
            format!("use {WAIT_S_MAX} at the most"),
        ));
    }
    let mut changes = api.worker().changes();
    let mut job = shown(&api, &caller.tenant, &id).await?;
    let until = Instant::now() + Duration::from_secs(u64::from(wait.wait_s));
    if wait.wait_s > 0 && !job.is_final {
        let _place = api.followers().take(&caller.tenant)?;
        while !job.is_final && Instant::now() < until && rest(&api, &id, &mut changes, until).await
        {
            job = shown(&api, &caller.tenant, &id).await?;
        }
    }
    Ok(axum::Json(job))
}

/// A server-sent event, by its fields.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, and written by the stream itself")]
struct JobEvent {
    /// `job`.
    event: String,
    /// The job as it is then: a Job, as JSON.
    data: String,
}

/// Follow a job
///
/// Server-sent events: `job` with the job as it is now and after every change. The
/// stream ends after the job has.
#[utoipa::path(get, path = "/v1/jobs/{job}/events", tag = "jobs", params(("job" = JobId, Path)), responses((status = 200, description = "Events until the job is over.", content_type = "text/event-stream", body = JobEvent)))]
pub(crate) async fn follow_job(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let changes = api.worker().changes();
    let first = shown(&api, &caller.tenant, &id).await?;
    let following = Following {
        place: api.followers().take(&caller.tenant)?,
        api,
        changes,
        tenant: caller.tenant,
        id,
        next: Some(first),
        shown: None,
    };
    let events = stream::unfold(following, |following| async { following.step().await });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE)))
}

struct Following {
    #[expect(dead_code, reason = "held for as long as the stream is")]
    place: OwnedSemaphorePermit,
    api: Api,
    changes: Receiver<JobChange>,
    tenant: TenantId,
    id: JobId,
    /// What is to be shown next, where it is known already.
    next: Option<Job>,
    shown: Option<Job>,
}

impl Following {
    /// The next event; none after the job's end, or where the node goes away.
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Following)> {
        loop {
            if self.shown.as_ref().is_some_and(|shown| shown.is_final) {
                return None;
            }
            let now = match self.next.take() {
                Some(first) => first,
                None => {
                    let until = Instant::now() + LOOK_EVERY;
                    if !rest(&self.api, &self.id, &mut self.changes, until).await {
                        return None;
                    }
                    shown(&self.api, &self.tenant, &self.id).await.ok()?
                }
            };
            if self.shown.as_ref() != Some(&now) {
                let event = Event::default().event("job").json_data(&now).ok()?;
                self.shown = Some(now);
                return Some((Ok(event), self));
            }
        }
    }
}

/// Waits for the next look: for a change of the job here, or a while, since another
/// node may change it too. False where the node goes away.
async fn rest(api: &Api, id: &JobId, changes: &mut Receiver<JobChange>, until: Instant) -> bool {
    let look_at = until.min(Instant::now() + LOOK_EVERY);
    let changed = async {
        loop {
            match changes.recv().await {
                Ok(change) if change.job != *id => {}
                // A listener that lags missed some: look.
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        () = changed => true,
        () = tokio::time::sleep_until(look_at) => true,
        () = api.draining().cancelled() => false,
    }
}
