//! Syncs: what is moved out, when, and where to.

use crate::api::Api;
use crate::caller::Caller;
use crate::documents::{self, Document, check};
use crate::etag::{self, Answer, Precondition};
use crate::extract::{Id, Json, Query};
use crate::page::{Page, Paging};
use crate::problem::{Code, Problem, Wrong};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tidegate_domain::id::{JobId, SyncId, TenantId};
use tidegate_domain::job::JobState;
use tidegate_domain::spec::{DocumentKey, SyncSpec};
use tidegate_engine::enqueue;
use tidegate_store::clock::now_ms;
use tidegate_store::control::{Expected, Write};
use tidegate_store::queue::JobFilter;
use utoipa::ToSchema;

type Sync = Document<SyncSpec>;

/// When a sync runs by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NextRun {
    /// When it is due; without it no clock makes it run.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at_ms: Option<u64>,
    /// When its schedule last fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    fired_at_ms: Option<u64>,
    /// The job that it last made or joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
}

/// List syncs
#[utoipa::path(get, path = "/v1/syncs", tag = "syncs", params(Paging), responses((status = 200, description = "By id.", body = Page<Document<SyncSpec>>)))]
pub(crate) async fn list_syncs(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Sync>>, Problem> {
    documents::list(&api, &caller.tenant, &paging)
        .await
        .map(axum::Json)
}

/// Read a sync
#[utoipa::path(get, path = "/v1/syncs/{sync}", tag = "syncs", params(("sync" = SyncId, Path)), responses((status = 200, description = "The sync.", body = Document<SyncSpec>)))]
pub(crate) async fn read_sync(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SyncId>,
) -> Result<Answer<Sync>, Problem> {
    documents::read(&api, &caller.tenant, id.as_str())
        .await
        .map(Answer::ok)
}

/// Read when a sync runs next
#[utoipa::path(get, path = "/v1/syncs/{sync}/schedule", tag = "syncs", params(("sync" = SyncId, Path)), responses((status = 200, description = "When.", body = NextRun)))]
pub(crate) async fn read_schedule(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SyncId>,
) -> Result<axum::Json<NextRun>, Problem> {
    documents::read::<SyncSpec>(&api, &caller.tenant, id.as_str()).await?;
    let row = api.store().schedule(&caller.tenant, &id).await?;
    Ok(axum::Json(NextRun {
        next_at_ms: row.as_ref().map(|row| row.next_at_ms),
        fired_at_ms: row.as_ref().and_then(|row| row.fired_at_ms),
        job: row.and_then(|row| row.job),
    }))
}

/// Make or change a sync
#[utoipa::path(put, path = "/v1/syncs/{sync}", tag = "syncs", params(("sync" = SyncId, Path), etag::Headers), request_body = SyncSpec,
    responses((status = 200, description = "Changed.", body = Document<SyncSpec>), (status = 201, description = "Made.", body = Document<SyncSpec>)))]
pub(crate) async fn put_sync(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SyncId>,
    Precondition(asked): Precondition,
    Json(mut spec): Json<SyncSpec>,
) -> Result<Answer<Sync>, Problem> {
    let mut stored = documents::stored(&api, &caller.tenant).await?;
    stored.set.syncs.insert(id.clone(), spec.clone());
    let key = DocumentKey::Sync(id.clone());
    let problems = stored
        .set
        .validate()
        .into_iter()
        .filter(|(found, _)| *found == key);
    let mut errors: Vec<Wrong> = problems.map(|(_, problem)| problem.into()).collect();
    let before = stored.syncs.get(&id);
    match writes(&api, &caller.tenant, &id, &mut spec, before, asked) {
        Ok(writes) if errors.is_empty() => {
            documents::put(&api, &caller, id.as_str(), before, writes).await
        }
        Ok(_) => Err(Problem::invalid(errors)),
        Err(more) => {
            errors.extend(more);
            Err(Problem::invalid(errors))
        }
    }
}

/// The writes that store a sync and its schedule.
pub(super) fn writes(
    api: &Api,
    tenant: &TenantId,
    id: &SyncId,
    spec: &mut SyncSpec,
    before: Option<&Sync>,
    asked: Expected,
) -> Result<Vec<Write>, Vec<Wrong>> {
    if let Some(problem) = api.node().check_target(&spec.target) {
        return Err(vec![problem.into()]);
    }
    let mentions = check::mentions_of_sync(id, spec)?;
    let expected = documents::expected_of(asked, before);
    let mut writes = vec![documents::write_of(id.as_str(), spec, expected, mentions)];
    writes.extend(schedule_write(
        tenant,
        id,
        spec,
        before.map(|before| &before.spec),
    ));
    Ok(writes)
}

/// The writes that remove a sync and its schedule.
pub(super) fn removal(id: &SyncId, before: Option<&Sync>) -> Vec<Write> {
    let unscheduled = Write::SetSchedule {
        sync: id.clone(),
        next_at_ms: None,
    };
    vec![unscheduled, documents::removal_of(id.as_str(), before)]
}

/// Remove a sync
///
/// Refused while a job of it is not over. What it landed stays.
#[utoipa::path(delete, path = "/v1/syncs/{sync}", tag = "syncs", params(("sync" = SyncId, Path), etag::Headers), responses((status = 204, description = "Removed.")))]
pub(crate) async fn delete_sync(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SyncId>,
    Precondition(asked): Precondition,
) -> Result<StatusCode, Problem> {
    let before: Sync = documents::read(&api, &caller.tenant, id.as_str()).await?;
    refuse_unfinished(&api, &caller.tenant, &id).await?;
    let writes = removal(&id, Some(&before));
    documents::delete(&api, &caller, id.as_str(), asked, &before, writes).await
}

/// A sync goes only when none of its jobs would run on without it.
pub(super) async fn refuse_unfinished(
    api: &Api,
    tenant: &TenantId,
    sync: &SyncId,
) -> Result<(), Problem> {
    let filter = JobFilter {
        sync: Some(sync.clone()),
        states: JobState::ALL
            .into_iter()
            .filter(|state| !state.is_final())
            .collect(),
        ..JobFilter::default()
    };
    match api.store().queued_jobs(tenant, &filter, 1).await?.first() {
        None => Ok(()),
        Some(job) => {
            let detail = format!("job {} of sync {sync} is not over", job.row.id);
            Err(Problem::new(Code::InUse, detail)
                .with_fix("Cancel the job and wait for its end first."))
        }
    }
}

/// The write that a new or changed schedule needs. One that stays keeps its beat.
fn schedule_write(
    tenant: &TenantId,
    id: &SyncId,
    spec: &SyncSpec,
    before: Option<&SyncSpec>,
) -> Option<Write> {
    let stays = before
        .is_some_and(|before| before.schedule == spec.schedule && before.paused == spec.paused);
    if stays {
        return None;
    }
    let schedule = spec.schedule.as_ref().filter(|_| !spec.paused);
    Some(Write::SetSchedule {
        sync: id.clone(),
        next_at_ms: enqueue::first_at_ms(schedule, tenant, id, now_ms()),
    })
}
