//! API keys of the caller's tenant.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::extract::{Id, Json, Query, wrong};
use crate::key;
use crate::page::{Page, Paging};
use crate::problem::{Code, Problem};
use axum::extract::State;
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_domain::access::Role;
use tidegate_domain::id::{Sha256, TenantId};
use tidegate_store::clock::now_ms;
use tidegate_store::control::{KeyRow, Write};
use utoipa::ToSchema;

const TITLE_CHARS_MAX: usize = 200;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The key's tenant.
    tenant: TenantId,
    /// The key's id.
    key: String,
    /// The key's role.
    role: Role,
}

/// An API key, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    /// Its id.
    id: String,
    /// What it may do.
    role: Role,
    /// For people.
    title: String,
    /// When it was made.
    created_at_ms: u64,
    /// When it ends; without it never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    /// When it was ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at_ms: Option<u64>,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at_ms: Option<u64>,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Key {
        Key {
            id: row.id,
            role: row.role,
            title: row.title,
            created_at_ms: row.created_at_ms,
            expires_at_ms: row.expires_at_ms,
            revoked_at_ms: row.revoked_at_ms,
            used_at_ms: row.used_at_ms,
        }
    }
}

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What it may do; nothing that the caller may not.
    role: Role,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 200)]
    title: String,
    /// When it ends; without it never.
    #[schema(minimum = 0)]
    expires_at_ms: Option<u64>,
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeKey {
    /// Its id.
    id: String,
    /// Its whole text. It is shown this once.
    key: String,
    /// What it may do.
    role: Role,
}

/// Who asks
///
/// The tenant, the id and the role of the key that the request carries.
#[utoipa::path(get, path = "/v1/me", tag = "keys", responses((status = 200, description = "The caller.", body = Me)))]
pub(crate) async fn whoami(caller: Caller) -> axum::Json<Me> {
    axum::Json(Me {
        tenant: caller.tenant,
        key: caller.key,
        role: caller.role,
    })
}

/// List keys
#[utoipa::path(get, path = "/v1/keys", tag = "keys", params(Paging), responses((status = 200, description = "The tenant's keys, by id.", body = Page<Key>)))]
pub(crate) async fn list_keys(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Key>>, Problem> {
    list_of(&api, &caller.tenant, &paging).await.map(axum::Json)
}

/// Make a key
///
/// Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = NewKey, responses((status = 201, description = "Made.", body = MadeKey)))]
pub(crate) async fn create_key(
    State(api): State<Api>,
    caller: Caller,
    Json(new): Json<NewKey>,
) -> Result<(StatusCode, axum::Json<MadeKey>), Problem> {
    let tenant = caller.tenant.clone();
    create_in(&api, &caller, &tenant, new).await
}

/// Revoke a key
///
/// It opens nothing from now on. A key may revoke itself.
#[utoipa::path(delete, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path, description = "Its id.")), responses((status = 204, description = "Revoked.")))]
pub(crate) async fn revoke_key(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.tenant.clone();
    revoke_in(&api, &caller, &tenant, id).await
}

pub(super) async fn list_of(
    api: &Api,
    tenant: &TenantId,
    paging: &Paging,
) -> Result<Page<Key>, Problem> {
    let found = api.store().keys(tenant, &paging.names()?).await?;
    Ok(Page::of(
        found,
        paging.limit()?,
        |row| row.id.clone(),
        Key::from,
    ))
}

pub(super) async fn create_in(
    api: &Api,
    caller: &Caller,
    tenant: &TenantId,
    new: NewKey,
) -> Result<(StatusCode, axum::Json<MadeKey>), Problem> {
    check(caller, &new)?;
    let minted = key::mint().map_err(|error| Problem::internal("drawing a key", &error))?;
    let change = Change::new("key.create", format!("key {}", minted.id))
        .detail(json!({ "role": new.role, "title": new.title }))
        .answer(json!({ "id": minted.id, "key": minted.text.expose_secret() }))
        .write(Write::PutKey {
            id: minted.id.clone(),
            sha256: Sha256::from_bytes(minted.sha256),
            role: new.role,
            title: new.title,
            expires_at_ms: new.expires_at_ms,
        });
    let done = api.commit_of(caller, tenant, change).await?;
    let text = |name: &str| done.answer[name].as_str().unwrap_or_default().to_owned();
    let made = MadeKey {
        id: text("id"),
        key: text("key"),
        role: new.role,
    };
    Ok((StatusCode::CREATED, axum::Json(made)))
}

fn check(caller: &Caller, new: &NewKey) -> Result<(), Problem> {
    if !caller.role.may_grant(new.role) {
        let detail = format!(
            "role {} may not make a key of role {}",
            caller.role, new.role
        );
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let mut errors = Vec::new();
    if new.title.chars().count() > TITLE_CHARS_MAX {
        errors.push(wrong(
            "/title",
            format!("use {TITLE_CHARS_MAX} characters at the most"),
        ));
    }
    if new.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms()) {
        errors.push(wrong("/expires_at_ms", "is in the past"));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Problem::invalid(errors)),
    }
}

pub(super) async fn revoke_in(
    api: &Api,
    caller: &Caller,
    tenant: &TenantId,
    id: String,
) -> Result<StatusCode, Problem> {
    let change = Change::new("key.revoke", format!("key {id}")).write(Write::RevokeKey { id });
    api.commit_of(caller, tenant, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
