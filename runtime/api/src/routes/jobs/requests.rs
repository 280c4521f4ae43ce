//! What a job asked of its provider: every request that the host sent for it.

use super::existing;
use crate::api::Api;
use crate::caller::Caller;
use crate::extract::{Id, Query};
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use serde::Serialize;
use tidegate_domain::Fault;
use tidegate_domain::id::{ConnectionId, JobId, Sha256, StreamName};
use tidegate_store::flow::RequestRecord;
use utoipa::ToSchema;

/// A request to the provider. It shows no header, no query and no body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentRequest {
    /// Grows with every request of the service.
    number: u64,
    /// The connection that it was sent for.
    connection: ConnectionId,
    /// The attempt of the job, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// The stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<StreamName>,
    /// The partition, by the connector's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<String>,
    /// The digest of the connector.
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<Sha256>,
    /// `GET`, `POST` and so on.
    method: String,
    /// The endpoint, by the connector's name of it.
    endpoint: String,
    /// The path, with `{id}` for what names a record or a person.
    path: String,
    /// The status of the answer; none where none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why there was no whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    /// Bytes of the request's body.
    bytes_sent: u64,
    /// Bytes of the answer's body, as they came.
    bytes_received: u64,
    /// When it was sent.
    sent_at_ms: u64,
    /// Milliseconds that it waited for its limits and its token before.
    waited_ms: u64,
    /// Milliseconds from sending to the last byte.
    took_ms: u64,
}

impl From<(u64, RequestRecord)> for SentRequest {
    fn from((number, record): (u64, RequestRecord)) -> SentRequest {
        let (attempt, stream, partition) = match record.origin {
            Some(origin) => (Some(origin.attempt), origin.stream, origin.partition),
            None => (None, None, None),
        };
        SentRequest {
            number,
            connection: record.connection,
            attempt,
            stream,
            partition,
            connector: record.connector,
            method: record.method,
            endpoint: record.endpoint,
            path: record.path,
            status: record.status,
            fault: record.fault,
            bytes_sent: record.bytes_sent,
            bytes_received: record.bytes_received,
            sent_at_ms: record.sent_at_ms,
            waited_ms: record.waited_ms,
            took_ms: record.took_ms,
        }
    }
}

/// List a job's requests
///
/// Every request that was sent to the provider for it, for 30 days or as the operator
/// keeps them. They are written down within a second.
#[utoipa::path(get, path = "/v1/jobs/{job}/requests", tag = "jobs", params(("job" = JobId, Path), Paging), responses((status = 200, description = "Oldest first.", body = Page<SentRequest>)))]
pub(crate) async fn list_requests(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<JobId>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<SentRequest>>, Problem> {
    existing(&api, &caller.tenant, &id).await?;
    let (after, limit) = (paging.after()?.unwrap_or(0), paging.limit()?);
    let found = api
        .store()
        .requests_of_job(&caller.tenant, &id, after, limit + 1)
        .await?;
    Ok(axum::Json(Page::of(
        found,
        limit,
        |(number, _)| number.to_string(),
        SentRequest::from,
    )))
}
