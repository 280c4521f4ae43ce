//! Connector versions: uploaded, looked at, approved, disabled. A version is its
//! digest: what a connection is pinned to never changes under it.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::extract::{Id, Ids, Query, Wasm};
use crate::page::{Page, Paging};
use crate::problem::{Code, Problem};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tidegate_domain::access::Permission;
use tidegate_domain::id::{Sha256, TenantId};
use tidegate_store::control::{ConnectorRow, ConnectorState, Write};
use utoipa::{IntoParams, ToSchema};

/// A connector version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connector {
    /// The sha256 of the component.
    digest: Sha256,
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// Whether every tenant sees it.
    shared: bool,
    /// Whether it may be used.
    state: Approval,
    /// Bytes of the component.
    wasm_bytes: u64,
    /// When it was added.
    created_at_ms: u64,
    /// What it declares about itself: endpoints, auth, limits, configuration.
    #[schema(value_type = Object)]
    manifest: Box<RawValue>,
}

/// Whether a connector version may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Approval {
    /// Nobody has looked at what it asks for.
    Pending,
    /// It may.
    Approved,
    /// It may not any more; connections that are pinned to it stop.
    Disabled,
}

impl From<ConnectorState> for Approval {
    fn from(state: ConnectorState) -> Approval {
        match state {
            ConnectorState::Pending => Approval::Pending,
            ConnectorState::Approved => Approval::Approved,
            ConnectorState::Disabled => Approval::Disabled,
        }
    }
}

impl From<ConnectorRow> for Connector {
    fn from(row: ConnectorRow) -> Connector {
        Connector {
            digest: row.digest,
            name: row.name,
            version: row.version,
            shared: row.shared,
            state: row.state.into(),
            wasm_bytes: row.wasm_bytes,
            created_at_ms: row.created_at_ms,
            manifest: super::raw(row.manifest),
        }
    }
}

/// How a component is added.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Upload {
    /// For every tenant, and approved at once; only the platform's administrators may.
    #[serde(default)]
    #[param(required = false)]
    shared: bool,
}

/// Which of two of one digest.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// The one that every tenant sees, rather than the tenant's own.
    #[serde(default)]
    #[param(required = false)]
    shared: bool,
}

/// List connectors
#[utoipa::path(get, path = "/v1/connectors", tag = "connectors", params(Paging), responses((status = 200, description = "The tenant's own and the shared ones, by digest.", body = Page<Connector>)))]
pub(crate) async fn list_connectors(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Connector>>, Problem> {
    let found = api
        .store()
        .connectors(&caller.tenant, &paging.names()?)
        .await?;
    Ok(axum::Json(Page::of(
        found,
        paging.limit()?,
        |row| row.digest.to_string(),
        Connector::from,
    )))
}

/// Read a connector
#[utoipa::path(get, path = "/v1/connectors/{digest}", tag = "connectors", params(("digest" = Sha256, Path)), responses((status = 200, description = "The connector, with its manifest.", body = Connector)))]
pub(crate) async fn read_connector(
    State(api): State<Api>,
    caller: Caller,
    Id(digest): Id<Sha256>,
) -> Result<axum::Json<Connector>, Problem> {
    existing(&api, &caller.tenant, &digest)
        .await
        .map(|row| axum::Json(row.into()))
}

/// Upload a connector
///
/// The component is checked, compiled and asked for its manifest. It waits for
/// approval, unless it is uploaded for all.
#[utoipa::path(post, path = "/v1/connectors", tag = "connectors", params(Upload),
    request_body(content = Vec<u8>, content_type = "application/wasm"), responses((status = 201, description = "Added, or there already.", body = Connector)))]
pub(crate) async fn upload_connector(
    State(api): State<Api>,
    caller: Caller,
    Query(upload): Query<Upload>,
    Wasm(wasm): Wasm,
) -> Result<(StatusCode, axum::Json<Connector>), Problem> {
    if upload.shared && !caller.role.allows(Permission::ApproveConnectors) {
        return Err(Problem::new(
            Code::Forbidden,
            format!("role {} may not upload for all", caller.role),
        ));
    }
    let admitted = api.node().sandbox.admit(wasm.clone()).await;
    let admitted = admitted.map_err(|error| Problem::from(tidegate_engine::Error::from(error)))?;
    let (digest, manifest) = (admitted.digest().clone(), admitted.manifest());
    let text = serde_json::to_string(&**manifest)
        .map_err(|error| Problem::internal("the manifest", &error))?;
    let change = Change::new("connector.upload", format!("connector {digest}"))
        .detail(json!({ "name": manifest.id, "version": manifest.version, "shared": upload.shared, "wasm_bytes": wasm.len() }))
        .write(Write::PutConnector {
            shared: upload.shared,
            digest: digest.clone(),
            name: manifest.id.clone(),
            version: manifest.version.clone(),
            manifest: text,
            state: match upload.shared {
                true => ConnectorState::Approved,
                false => ConnectorState::Pending,
            },
            wasm: wasm.as_ref().into(),
        });
    api.commit(&caller, change).await?;
    let row = existing(&api, &caller.tenant, &digest).await?;
    Ok((StatusCode::CREATED, axum::Json(row.into())))
}

/// Approve a connector
///
/// One of the platform's own tenant, or a shared one.
#[utoipa::path(post, path = "/v1/connectors/{digest}/approve", tag = "connectors", params(("digest" = Sha256, Path), Which), responses((status = 200, description = "Approved.", body = Connector)))]
pub(crate) async fn approve_connector(
    State(api): State<Api>,
    caller: Caller,
    Id(digest): Id<Sha256>,
    Query(which): Query<Which>,
) -> Result<axum::Json<Connector>, Problem> {
    let tenant = caller.tenant.clone();
    set_state(
        &api,
        &caller,
        &tenant,
        digest,
        which.shared,
        ConnectorState::Approved,
    )
    .await
}

/// Disable a connector
///
/// Connections that are pinned to it stop.
#[utoipa::path(post, path = "/v1/connectors/{digest}/disable", tag = "connectors", params(("digest" = Sha256, Path), Which), responses((status = 200, description = "Disabled.", body = Connector)))]
pub(crate) async fn disable_connector(
    State(api): State<Api>,
    caller: Caller,
    Id(digest): Id<Sha256>,
    Query(which): Query<Which>,
) -> Result<axum::Json<Connector>, Problem> {
    let tenant = caller.tenant.clone();
    set_state(
        &api,
        &caller,
        &tenant,
        digest,
        which.shared,
        ConnectorState::Disabled,
    )
    .await
}

/// List a tenant's connectors
#[utoipa::path(get, path = "/v1/tenants/{tenant}/connectors", tag = "tenants", params(("tenant" = TenantId, Path), Paging), responses((status = 200, description = "By digest.", body = Page<Connector>)))]
pub(crate) async fn list_tenant_connectors(
    State(api): State<Api>,
    Id(tenant): Id<TenantId>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Connector>>, Problem> {
    let found = api.store().connectors(&tenant, &paging.names()?).await?;
    Ok(axum::Json(Page::of(
        found,
        paging.limit()?,
        |row| row.digest.to_string(),
        Connector::from,
    )))
}

/// Approve a tenant's connector
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connectors/{digest}/approve", tag = "tenants", params(("tenant" = TenantId, Path), ("digest" = Sha256, Path)), responses((status = 200, description = "Approved.", body = Connector)))]
pub(crate) async fn approve_tenant_connector(
    State(api): State<Api>,
    caller: Caller,
    Ids(tenant, digest): Ids<TenantId, Sha256>,
) -> Result<axum::Json<Connector>, Problem> {
    set_state(
        &api,
        &caller,
        &tenant,
        digest,
        false,
        ConnectorState::Approved,
    )
    .await
}

/// Disable a tenant's connector
#[utoipa::path(post, path = "/v1/tenants/{tenant}/connectors/{digest}/disable", tag = "tenants", params(("tenant" = TenantId, Path), ("digest" = Sha256, Path)), responses((status = 200, description = "Disabled.", body = Connector)))]
pub(crate) async fn disable_tenant_connector(
    State(api): State<Api>,
    caller: Caller,
    Ids(tenant, digest): Ids<TenantId, Sha256>,
) -> Result<axum::Json<Connector>, Problem> {
    set_state(
        &api,
        &caller,
        &tenant,
        digest,
        false,
        ConnectorState::Disabled,
    )
    .await
}

async fn set_state(
    api: &Api,
    caller: &Caller,
    tenant: &TenantId,
    digest: Sha256,
    shared: bool,
    state: ConnectorState,
) -> Result<axum::Json<Connector>, Problem> {
    let action = match state {
        ConnectorState::Disabled => "connector.disable",
        _ => "connector.approve",
    };
    let change = Change::new(action, format!("connector {digest}"))
        .detail(json!({ "shared": shared }))
        .write(Write::SetConnectorState {
            shared,
            digest: digest.clone(),
            state,
        });
    api.commit_of(caller, tenant, change).await?;
    existing(api, tenant, &digest)
        .await
        .map(|row| axum::Json(row.into()))
}

async fn existing(api: &Api, tenant: &TenantId, digest: &Sha256) -> Result<ConnectorRow, Problem> {
    let found = api.store().connector(tenant, digest).await?;
    found.ok_or_else(|| Problem::not_found("connector", digest))
}
