//! What a job did: its attempts and its log.

use super::existing;
use crate::api::Api;
use crate::caller::Caller;
use crate::extract::{Id, Query};
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_domain::Fault;
use tidegate_domain::id::JobId;
use tidegate_store::queue::{AttemptRow, LogLine};
use utoipa::ToSchema;

/// One try of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attempt {
    /// Counted from 1.
    number: u32,
    /// When it began.
    started_at_ms: u64,
    /// When it ended.
    ended_at_ms: u64,
    /// The kind of failure, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    /// The error, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What it did, by stream: rows, bytes, requests, and what it used.
    #[schema(value_type = Object)]
    report: Box<RawValue>,
}

impl From<AttemptRow> for Attempt {
    fn from(row: AttemptRow) -> Attempt {
        Attempt {
            number: row.number,
            started_at_ms: row.attempt.started_at_ms,
            ended_at_ms: row.attempt.ended_at_ms,
            fault: row.attempt.fault,
            error: row.attempt.error,
            report: crate::routes::raw(row.attempt.report),
        }
    }
}

/// A line of a job's log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    /// Counted from 1.
    number: u64,
    /// When.
    at_ms: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    level: String,
    /// The stream that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    /// The text.
    message: String,
}

impl From<(u64, LogLine)> for Line {
    fn from((number, line): (u64, LogLine)) -> Line {
        Line {
            number,
            at_ms: line.at_ms,
            level: line.level,
            stream: line.stream,
            message: line.message,
        }
    }
}

/// List a job's attempts
///
/// The newest hundred, with their errors.
#[utoipa::path(get, path = "/v1/jobs/{job}/attempts", tag = "jobs", params(("job" = JobId, Path)), responses((status = 200, description = "Oldest first.", body = Page<Attempt>)))]
pub(crate) async fn list_attempts(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<axum::Json<Page<Attempt>>, Problem> {
    existing(&api, &caller.tenant, &id).await?;
    let found = api.store().attempts(&caller.tenant, &id).await?;
    Ok(axum::Json(Page {
        items: found.into_iter().map(Attempt::from).collect(),
        next: None,
    }))
}

/// Read a job's log
#[utoipa::path(get, path = "/v1/jobs/{job}/log", tag = "jobs", params(("job" = JobId, Path), Paging), responses((status = 200, description = "Oldest first.", body = Page<Line>)))]
pub(crate) async fn read_log(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<JobId>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Line>>, Problem> {
    existing(&api, &caller.tenant, &id).await?;
    let (after, limit) = (paging.after()?.unwrap_or(0), paging.limit()?);
    let found = api
        .store()
        .log(&caller.tenant, &id, after, limit + 1)
        .await?;
    Ok(axum::Json(Page::of(
        found,
        limit,
        |(number, _)| number.to_string(),
        Line::from,
    )))
}
