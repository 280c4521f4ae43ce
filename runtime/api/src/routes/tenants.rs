//! Tenants, for the platform only: the one place where a path names a tenant.

use super::keys::{self, Key, MadeKey, NewKey};
use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::etag::{self, Precondition, Tagged};
use crate::extract::{Id, Ids, Json, Query, wrong};
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_domain::id::TenantId;
use tidegate_store::control::{TenantRow, TenantState, Write};
use utoipa::ToSchema;

const TITLE_CHARS_MAX: usize = 200;
const JOBS_MAX: u32 = 10_000;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tenant {
    /// Its id; part of every object key.
    id: TenantId,
    /// Grows with every change.
    revision: u64,
    /// When it was made.
    created_at_ms: u64,
    /// What was asked for.
    spec: TenantSpec,
}

/// What a tenant is to be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantSpec {
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    title: String,
    /// Whether none of its jobs begins and none of its schedules fires.
    #[serde(default)]
    suspended: bool,
    /// Jobs that may run at once; without it as many as the workers allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000)]
    jobs_max: Option<u32>,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Tenant {
        Tenant {
            id: row.id,
            revision: row.revision,
            created_at_ms: row.created_at_ms,
            spec: TenantSpec {
                title: row.title,
                suspended: row.state == TenantState::Suspended,
                jobs_max: row.jobs_max,
            },
        }
    }
}

impl Tagged for Tenant {
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// List tenants
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(Paging), responses((status = 200, description = "By id.", body = Page<Tenant>)))]
pub(crate) async fn list_tenants(
    State(api): State<Api>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Tenant>>, Problem> {
    let found = api.store().tenants(&paging.names()?).await?;
    Ok(axum::Json(Page::of(
        found,
        paging.limit()?,
        |row| row.id.to_string(),
        Tenant::from,
    )))
}

/// Read a tenant
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = TenantId, Path)), responses((status = 200, description = "The tenant.", body = Tenant)))]
pub(crate) async fn read_tenant(
    State(api): State<Api>,
    Id(id): Id<TenantId>,
) -> Result<etag::Answer<Tenant>, Problem> {
    Ok(etag::Answer::ok(existing(&api, &id).await?.into()))
}

/// Make or change a tenant
#[utoipa::path(put, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = TenantId, Path), etag::Headers), request_body = TenantSpec,
    responses((status = 200, description = "Changed.", body = Tenant), (status = 201, description = "Made.", body = Tenant)))]
pub(crate) async fn put_tenant(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<TenantId>,
    Precondition(expected): Precondition,
    Json(spec): Json<TenantSpec>,
) -> Result<etag::Answer<Tenant>, Problem> {
    check(&spec)?;
    let before = api.store().tenant(&id).await?;
    let change = Change::new("tenant.put", format!("tenant {id}"))
        .detail(json!(spec))
        .write(Write::PutTenant {
            expected,
            title: spec.title.clone(),
            state: match spec.suspended {
                true => TenantState::Suspended,
                false => TenantState::Active,
            },
            jobs_max: spec.jobs_max,
        });
    api.commit_of(&caller, &id, change).await?;
    let after = existing(&api, &id).await?;
    Ok(etag::Answer::put(after.into(), before.is_none()))
}

/// Delete a tenant
///
/// It must be suspended, and its jobs must be over. Its data key is destroyed, and with it
/// its tokens and secrets can no longer be read; its documents, jobs, events and records of
/// requests go. What landed in its targets is its own and stays, and so does the audit log.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = TenantId, Path), etag::Headers), responses((status = 204, description = "Deleted.")))]
pub(crate) async fn delete_tenant(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<TenantId>,
    Precondition(expected): Precondition,
) -> Result<StatusCode, Problem> {
    existing(&api, &id).await?;
    let change = Change::new("tenant.delete", format!("tenant {id}"))
        .write(Write::DeleteTenant { expected });
    api.commit_of(&caller, &id, change).await?;
    // What this process remembers of it goes, too.
    api.node().forget_tenant(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check(spec: &TenantSpec) -> Result<(), Problem> {
    let mut errors = Vec::new();
    if spec.title.chars().count() > TITLE_CHARS_MAX {
        errors.push(wrong(
            "/title",
            format!("use {TITLE_CHARS_MAX} characters at the most"),
        ));
    }
    if spec
        .jobs_max
        .is_some_and(|max| !(1..=JOBS_MAX).contains(&max))
    {
        errors.push(wrong("/jobs_max", format!("use 1 to {JOBS_MAX}")));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Problem::invalid(errors)),
    }
}

/// List a tenant's keys
#[utoipa::path(get, path = "/v1/tenants/{tenant}/keys", tag = "tenants", params(("tenant" = TenantId, Path), Paging), responses((status = 200, description = "By id.", body = Page<Key>)))]
pub(crate) async fn list_tenant_keys(
    State(api): State<Api>,
    Id(id): Id<TenantId>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Key>>, Problem> {
    existing(&api, &id).await?;
    keys::list_of(&api, &id, &paging).await.map(axum::Json)
}

/// Make a key for a tenant
#[utoipa::path(post, path = "/v1/tenants/{tenant}/keys", tag = "tenants", params(("tenant" = TenantId, Path)), request_body = NewKey, responses((status = 201, description = "Made.", body = MadeKey)))]
pub(crate) async fn create_tenant_key(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<TenantId>,
    Json(new): Json<NewKey>,
) -> Result<(StatusCode, axum::Json<MadeKey>), Problem> {
    existing(&api, &id).await?;
    keys::create_in(&api, &caller, &id, new).await
}

/// Revoke a tenant's key
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/keys/{key}", tag = "tenants", params(("tenant" = TenantId, Path), ("key" = String, Path, description = "Its id.")), responses((status = 204, description = "Revoked.")))]
pub(crate) async fn revoke_tenant_key(
    State(api): State<Api>,
    caller: Caller,
    Ids(id, key): Ids<TenantId, String>,
) -> Result<StatusCode, Problem> {
    existing(&api, &id).await?;
    keys::revoke_in(&api, &caller, &id, key).await
}

async fn existing(api: &Api, id: &TenantId) -> Result<TenantRow, Problem> {
    let found = api.store().tenant(id).await?;
    found.ok_or_else(|| Problem::not_found("tenant", id))
}
