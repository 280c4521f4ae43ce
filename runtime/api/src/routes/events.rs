//! What happened in a tenant, in order.

use crate::api::Api;
use crate::caller::Caller;
use crate::extract::Query;
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_store::events::EventRow;
use utoipa::ToSchema;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    /// Grows over all tenants; never used twice.
    seq: u64,
    /// When.
    at_ms: u64,
    /// What, as `noun.verb`: `job.finished`.
    kind: String,
    /// To what.
    subject: String,
    /// More.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Event {
        Event {
            seq: row.seq,
            at_ms: row.at_ms,
            kind: row.event.kind,
            subject: row.event.subject,
            body: super::raw(row.event.body),
        }
    }
}

/// List events
///
/// In order, so that a reader that keeps `next` misses none for as long as they are
/// kept.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(Paging), responses((status = 200, description = "Oldest first.", body = Page<Event>)))]
pub(crate) async fn list_events(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Event>>, Problem> {
    let (after, limit) = (paging.after()?.unwrap_or(0), paging.limit()?);
    let found = api.store().events(&caller.tenant, after, limit + 1).await?;
    Ok(axum::Json(Page::of(
        found,
        limit,
        |row| row.seq.to_string(),
        Event::from,
    )))
}
