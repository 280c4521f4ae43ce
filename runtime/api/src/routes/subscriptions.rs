//! Subscriptions: who hears of which events, and what became of each delivery.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents::{self, Document, check};
use crate::etag::{self, Answer, Precondition};
use crate::extract::{Id, Json, Query};
use crate::page::{Page, Paging};
use crate::problem::{Problem, Wrong};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_domain::id::SubscriptionId;
use tidegate_domain::spec::SubscriptionSpec;
use tidegate_store::control::{Expected, Write};
use tidegate_store::events::{self, DeliveryRow};
use utoipa::ToSchema;

/// Numbers of events end here, as those of the database do.
const NUMBER_MAX: u64 = i64::MAX.unsigned_abs();

type Subscription = Document<SubscriptionSpec>;

/// An event on its way to a subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// The event's number.
    event: u64,
    /// The event's kind.
    kind: String,
    /// How far it is.
    state: DeliveryState,
    /// Times that it was tried.
    tried: u32,
    /// When it is tried next, while it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at_ms: Option<u64>,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// It will be tried.
    Pending,
    /// The subscriber has it.
    Delivered,
    /// It was tried for 24 hours, or the subscriber wants no more.
    GivenUp,
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Delivery {
        let state = match row.state {
            events::DeliveryState::Pending => DeliveryState::Pending,
            events::DeliveryState::Delivered => DeliveryState::Delivered,
            events::DeliveryState::GivenUp => DeliveryState::GivenUp,
        };
        let is_pending = state == DeliveryState::Pending;
        Delivery {
            event: row.event,
            kind: row.kind,
            state,
            tried: row.tried,
            next_at_ms: is_pending.then_some(row.next_at_ms),
            error: row.error,
        }
    }
}

/// What to send once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// The first event, by number.
    since: u64,
}

/// List subscriptions
#[utoipa::path(get, path = "/v1/subscriptions", tag = "events", params(Paging), responses((status = 200, description = "By id.", body = Page<Document<SubscriptionSpec>>)))]
pub(crate) async fn list_subscriptions(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Subscription>>, Problem> {
    documents::list(&api, &caller.tenant, &paging)
        .await
        .map(axum::Json)
}

/// Read a subscription
#[utoipa::path(get, path = "/v1/subscriptions/{subscription}", tag = "events", params(("subscription" = SubscriptionId, Path)), responses((status = 200, description = "The subscription.", body = Document<SubscriptionSpec>)))]
pub(crate) async fn read_subscription(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
) -> Result<Answer<Subscription>, Problem> {
    documents::read(&api, &caller.tenant, id.as_str())
        .await
        .map(Answer::ok)
}

/// Make or change a subscription
///
/// It hears of what happens from then on. Messages are signed after the Standard
/// Webhooks specification and may come more than once, under the same `webhook-id`.
#[utoipa::path(put, path = "/v1/subscriptions/{subscription}", tag = "events", params(("subscription" = SubscriptionId, Path), etag::Headers), request_body = SubscriptionSpec,
    responses((status = 200, description = "Changed.", body = Document<SubscriptionSpec>), (status = 201, description = "Made.", body = Document<SubscriptionSpec>)))]
pub(crate) async fn put_subscription(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Precondition(asked): Precondition,
    Json(mut spec): Json<SubscriptionSpec>,
) -> Result<Answer<Subscription>, Problem> {
    let before: Option<Subscription> = documents::find(&api, &caller.tenant, id.as_str()).await?;
    let mut errors: Vec<Wrong> = spec.validate().into_iter().map(Wrong::from).collect();
    match write(&id, &mut spec, before.as_ref(), asked) {
        Ok(write) if errors.is_empty() => {
            documents::put(&api, &caller, id.as_str(), before.as_ref(), vec![write]).await
        }
        Ok(_) => Err(Problem::invalid(errors)),
        Err(more) => {
            errors.extend(more);
            Err(Problem::invalid(errors))
        }
    }
}

/// The write that stores a subscription.
pub(super) fn write(
    id: &SubscriptionId,
    spec: &mut SubscriptionSpec,
    before: Option<&Subscription>,
    asked: Expected,
) -> Result<Write, Vec<Wrong>> {
    let mentions = check::mentions_of_subscription(id, spec)?;
    let expected = documents::expected_of(asked, before);
    Ok(documents::write_of(id.as_str(), spec, expected, mentions))
}

/// Remove a subscription
///
/// What was on its way to it is not sent any more.
#[utoipa::path(delete, path = "/v1/subscriptions/{subscription}", tag = "events", params(("subscription" = SubscriptionId, Path), etag::Headers), responses((status = 204, description = "Removed.")))]
pub(crate) async fn delete_subscription(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Precondition(asked): Precondition,
) -> Result<StatusCode, Problem> {
    let before: Subscription = documents::read(&api, &caller.tenant, id.as_str()).await?;
    let writes = vec![documents::removal_of(id.as_str(), Some(&before))];
    documents::delete(&api, &caller, id.as_str(), asked, &before, writes).await
}

/// List deliveries
///
/// What became of each event that the subscription was to hear of, for as long as
/// events are kept.
#[utoipa::path(get, path = "/v1/subscriptions/{subscription}/deliveries", tag = "events", params(("subscription" = SubscriptionId, Path), Paging), responses((status = 200, description = "By event, oldest first.", body = Page<Delivery>)))]
pub(crate) async fn list_deliveries(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Delivery>>, Problem> {
    documents::read::<SubscriptionSpec>(&api, &caller.tenant, id.as_str()).await?;
    let (after, limit) = (paging.after::<u64>()?.unwrap_or(0), paging.limit()?);
    let store = api.store();
    let found = store
        .deliveries(
            &caller.tenant,
            id.as_str(),
            after.min(NUMBER_MAX),
            limit + 1,
        )
        .await?;
    Ok(axum::Json(Page::of(
        found,
        limit,
        |row| row.event.to_string(),
        Delivery::from,
    )))
}

/// Replay events
///
/// Sends every event from a number on once more that the subscription was to hear of,
/// whether it was delivered or given up, under its old `webhook-id`.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/replay", tag = "events", params(("subscription" = SubscriptionId, Path)), request_body = Replay, responses((status = 204, description = "They will be sent.")))]
pub(crate) async fn replay_events(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Json(Replay { since }): Json<Replay>,
) -> Result<StatusCode, Problem> {
    documents::read::<SubscriptionSpec>(&api, &caller.tenant, id.as_str()).await?;
    let change = Change::new("subscription.replay", format!("subscription {id}"))
        .detail(json!({ "since": since }))
        .write(Write::ReplayEvents {
            subscription: id.to_string(),
            since: since.min(NUMBER_MAX),
        });
    api.commit(&caller, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
