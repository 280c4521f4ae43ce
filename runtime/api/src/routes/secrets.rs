//! Secrets: written, never read.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::extract::{Id, Json, Query};
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use tidegate_domain::id::TenantId;
use tidegate_domain::spec::SecretName;
use tidegate_engine::secret;
use tidegate_store::control::{self, SecretRow, Write};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Rows that are read at a time where all are needed.
const ALL_PAGE: u32 = 500;
/// Bytes of a secret: room for a private key in PEM.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// A secret, without its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Secret {
    /// Its name; documents name it as `${secret:NAME}`.
    name: String,
    /// When it was last written.
    updated_at_ms: u64,
}

impl From<SecretRow> for Secret {
    fn from(row: SecretRow) -> Secret {
        Secret {
            name: row.name,
            updated_at_ms: row.updated_at_ms,
        }
    }
}

/// A text that no answer, log or error ever holds, and that is wiped after use.
#[derive(Deserialize, ToSchema)]
#[serde(from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 65_536)]
pub(super) struct Hidden(Zeroizing<String>);

impl From<String> for Hidden {
    fn from(text: String) -> Hidden {
        Hidden(Zeroizing::new(text))
    }
}

impl Hidden {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A secret's value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretValue {
    /// The value.
    #[schema(write_only)]
    value: Hidden,
}

/// List secrets
///
/// Their names; nobody reads their values.
#[utoipa::path(get, path = "/v1/secrets", tag = "secrets", params(Paging), responses((status = 200, description = "By name.", body = Page<Secret>)))]
pub(crate) async fn list_secrets(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Secret>>, Problem> {
    let found = api
        .store()
        .secrets(&caller.tenant, &paging.names()?)
        .await?;
    Ok(axum::Json(Page::of(
        found,
        paging.limit()?,
        |row| row.name.clone(),
        Secret::from,
    )))
}

/// Write a secret
#[utoipa::path(put, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = SecretName, Path)), request_body = SecretValue, responses((status = 204, description = "Written.")))]
pub(crate) async fn put_secret(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<SecretName>,
    Json(new): Json<SecretValue>,
) -> Result<StatusCode, Problem> {
    let write = write_of(&api, &caller.tenant, &name, new.value.as_bytes(), "/value").await?;
    let change = Change::new("secret.put", format!("secret {name}"))
        .detail(json!({ "bytes": new.value.as_bytes().len() }));
    api.commit(&caller, change.write(write)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a secret
///
/// Refused while a document names it.
#[utoipa::path(delete, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = SecretName, Path)), responses((status = 204, description = "Removed, or there was none.")))]
pub(crate) async fn delete_secret(
    State(api): State<Api>,
    caller: Caller,
    Id(name): Id<SecretName>,
) -> Result<StatusCode, Problem> {
    let change =
        Change::new("secret.delete", format!("secret {name}")).write(Write::DeleteSecret {
            name: name.to_string(),
        });
    api.commit(&caller, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The fingerprint of every secret, by name.
pub(super) async fn fingerprints(
    api: &Api,
    tenant: &TenantId,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut all = BTreeMap::new();
    let mut page = control::Page {
        after: None,
        limit: ALL_PAGE,
    };
    loop {
        let rows = api.store().secrets(tenant, &page).await?;
        let is_last = rows.len() < ALL_PAGE as usize;
        page.after = rows.last().map(|row| row.name.clone());
        all.extend(rows.into_iter().map(|row| (row.name, row.fingerprint)));
        if is_last {
            return Ok(all);
        }
    }
}

/// The write that keeps a value, sealed.
pub(super) async fn write_of(
    api: &Api,
    tenant: &TenantId,
    name: &SecretName,
    value: &[u8],
    pointer: &str,
) -> Result<Write, Problem> {
    if value.is_empty() || value.len() > SECRET_BYTES_MAX {
        return Err(Problem::invalid_at(
            pointer,
            format!("use 1 to {SECRET_BYTES_MAX} bytes"),
        ));
    }
    Ok(Write::PutSecret {
        name: name.to_string(),
        sealed: api.seal(tenant, &secret::purpose(name), value).await?,
        fingerprint: secret::fingerprint(&api.node().keyring, tenant, name, value),
    })
}
