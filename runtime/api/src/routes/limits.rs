//! Budgets: how full the limits are that a tenant's connections meet.

use crate::api::Api;
use crate::caller::Caller;
use crate::documents;
use crate::extract::Query;
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use serde::Serialize;
use tidegate_domain::id::ConnectionId;
use tidegate_domain::manifest::{LimitRule, LimitScope};
use tidegate_domain::spec::ConnectionSpec;
use tidegate_engine::LimitView;
use utoipa::ToSchema;

/// What a connection may still ask of its provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Budgets {
    /// The connection.
    connection: ConnectionId,
    /// The provider's id of the account, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// The limits that its requests meet.
    limits: Vec<Budget>,
    /// Why its limits are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

/// One limit as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Budget {
    /// What it is counted for; connections with the same key share it.
    key: String,
    /// `connection`, `remote_account` or `application`: whom it is shared by.
    scope: &'static str,
    /// The buckets of the connector that draw on it.
    buckets: Vec<String>,
    /// `paced`, `rolling`, `fixed`, `day`, `month` or `concurrent`.
    rule: &'static str,
    /// The time zone whose midnight ends a day or a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// The window in milliseconds, where the rule has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_ms: Option<u64>,
    /// Units as the connector declares them, or as the operator set them.
    declared: u64,
    /// Units that may be used: without what is left to other applications, and fewer
    /// for a time after the provider refused. Of `paced`, the burst.
    capacity: u64,
    /// Units that are used now.
    used: u64,
    /// Units that are left now.
    remaining: u64,
    /// Until when nothing is sent, by the provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_until_ms: Option<u64>,
}

impl From<LimitView> for Budget {
    fn from(view: LimitView) -> Budget {
        use tidegate_domain::manifest::CalendarPeriod::{Day, Month};
        let (rule, zone) = match view.rule {
            LimitRule::Paced(_) => ("paced", None),
            LimitRule::Rolling => ("rolling", None),
            LimitRule::Fixed => ("fixed", None),
            LimitRule::Calendar { period: Day, zone } => ("day", Some(zone)),
            LimitRule::Calendar {
                period: Month,
                zone,
            } => ("month", Some(zone)),
            LimitRule::Concurrent => ("concurrent", None),
        };
        let windowed = matches!(rule, "paced" | "rolling" | "fixed");
        Budget {
            key: view.key,
            scope: match view.scope {
                LimitScope::Connection => "connection",
                LimitScope::RemoteAccount => "remote_account",
                LimitScope::Application => "application",
            },
            buckets: view.buckets,
            rule,
            zone: zone.map(|zone| zone.unwrap_or_else(|| "UTC".to_owned())),
            per_ms: windowed.then_some(view.per_ms),
            declared: view.declared,
            capacity: view.capacity,
            used: view.used,
            remaining: view.remaining,
            closed_until_ms: view.closed_until_ms,
        }
    }
}

/// List budgets
///
/// Of every connection the limits that its requests meet, as they are now on this node.
#[utoipa::path(get, path = "/v1/limits", tag = "connections", params(Paging), responses((status = 200, description = "By connection.", body = Page<Budgets>)))]
pub(crate) async fn list_limits(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Budgets>>, Problem> {
    let found = documents::list::<ConnectionSpec>(&api, &caller.tenant, &paging).await?;
    let mut items = Vec::new();
    for document in found.items {
        let id: ConnectionId = document.id.parse().map_err(|_| {
            Problem::new(crate::problem::Code::Internal, "a stored id cannot be read")
        })?;
        let account = document.spec.account.clone();
        let limits = api.node().limits(&caller.tenant, &id, document.spec).await;
        let (limits, unknown) = match limits {
            Ok(limits) => (limits.into_iter().map(Budget::from).collect(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        items.push(Budgets {
            connection: id,
            account,
            limits,
            unknown,
        });
    }
    Ok(axum::Json(Page {
        items,
        next: found.next,
    }))
}
