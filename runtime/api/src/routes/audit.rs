//! The audit log: who did what, and whether the chain is whole.

use crate::api::Api;
use crate::caller::Caller;
use crate::extract::Query;
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_domain::id::{Sha256, TenantId};
use tidegate_store::control::{AuditRow, AuditVerdict};
use utoipa::ToSchema;

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Counted over all tenants, without gaps.
    seq: u64,
    /// When.
    at_ms: u64,
    /// Whose things changed.
    tenant: TenantId,
    /// `system`, or `key:` and the key's id.
    actor: String,
    /// The caller's network address.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// What was done, as `noun.verb`.
    action: String,
    /// To what.
    subject: String,
    /// More.
    #[schema(value_type = Object)]
    detail: Box<RawValue>,
    /// Of the entry before it and of this one.
    sha256: Sha256,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> AuditEntry {
        AuditEntry {
            seq: row.seq,
            at_ms: row.at_ms,
            tenant: row.tenant,
            actor: row.actor,
            origin: row.origin,
            action: row.action,
            subject: row.subject,
            detail: super::raw(row.detail),
            sha256: row.sha256,
        }
    }
}

/// What following the chain found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Chain {
    /// Every entry follows from the one before.
    Intact {
        /// Entries that were checked.
        entries: u64,
        /// The hash of the last: noted elsewhere, it also proves that none was cut off
        /// the end.
        head: Sha256,
    },
    /// The chain breaks.
    Broken {
        /// The first entry that is missing, or not what was written.
        seq: u64,
    },
}

/// Read the audit log
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(Paging), responses((status = 200, description = "The tenant's entries, oldest first.", body = Page<AuditEntry>)))]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<AuditEntry>>, Problem> {
    entries(&api, Some(&caller.tenant), &paging).await
}

/// Read the audit log of all tenants
#[utoipa::path(get, path = "/v1/platform/audit", tag = "audit", params(Paging), responses((status = 200, description = "All entries, oldest first.", body = Page<AuditEntry>)))]
pub(crate) async fn list_platform_audit(
    State(api): State<Api>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<AuditEntry>>, Problem> {
    entries(&api, None, &paging).await
}

/// Follow the audit log's chain
#[utoipa::path(get, path = "/v1/platform/audit/chain", tag = "audit", responses((status = 200, description = "What was found.", body = Chain)))]
pub(crate) async fn verify_platform_audit(
    State(api): State<Api>,
) -> Result<axum::Json<Chain>, Problem> {
    Ok(axum::Json(match api.store().verify_audit().await? {
        AuditVerdict::Intact { entries, head } => Chain::Intact { entries, head },
        AuditVerdict::Broken { seq } => Chain::Broken { seq },
    }))
}

async fn entries(
    api: &Api,
    tenant: Option<&TenantId>,
    paging: &Paging,
) -> Result<axum::Json<Page<AuditEntry>>, Problem> {
    let (after, limit) = (paging.after()?.unwrap_or(0), paging.limit()?);
    let found = api.store().audit(tenant, after, limit + 1).await?;
    Ok(axum::Json(Page::of(
        found,
        limit,
        |row| row.seq.to_string(),
        AuditEntry::from,
    )))
}
