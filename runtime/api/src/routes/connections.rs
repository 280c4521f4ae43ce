//! Connections: configured and authorised uses of connectors.

use crate::api::Api;
use crate::caller::Caller;
use crate::documents::{self, Document, check};
use crate::etag::{self, Answer, Precondition};
use crate::extract::{Id, Json, Query};
use crate::page::{Page, Paging};
use crate::problem::{Problem, Wrong};
use axum::extract::State;
use http::StatusCode;
use tidegate_domain::id::ConnectionId;
use tidegate_domain::spec::ConnectionSpec;
use tidegate_store::control::{Expected, Write};

type Connection = Document<ConnectionSpec>;

/// List connections
#[utoipa::path(get, path = "/v1/connections", tag = "connections", params(Paging), responses((status = 200, description = "By id.", body = Page<Document<ConnectionSpec>>)))]
pub(crate) async fn list_connections(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Connection>>, Problem> {
    documents::list(&api, &caller.tenant, &paging)
        .await
        .map(axum::Json)
}

/// Read a connection
#[utoipa::path(get, path = "/v1/connections/{connection}", tag = "connections", params(("connection" = ConnectionId, Path)), responses((status = 200, description = "The connection.", body = Document<ConnectionSpec>)))]
pub(crate) async fn read_connection(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
) -> Result<Answer<Connection>, Problem> {
    documents::read(&api, &caller.tenant, id.as_str())
        .await
        .map(Answer::ok)
}

/// Make or change a connection
///
/// Its connector is pinned to the digest that the name means now; it stays pinned until
/// the document names another, or the connection is upgraded.
#[utoipa::path(put, path = "/v1/connections/{connection}", tag = "connections", params(("connection" = ConnectionId, Path), etag::Headers), request_body = ConnectionSpec,
    responses((status = 200, description = "Changed.", body = Document<ConnectionSpec>), (status = 201, description = "Made.", body = Document<ConnectionSpec>)))]
pub(crate) async fn put_connection(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
    Precondition(asked): Precondition,
    Json(spec): Json<ConnectionSpec>,
) -> Result<Answer<Connection>, Problem> {
    let before = documents::find(&api, &caller.tenant, id.as_str()).await?;
    write(&api, &caller, &id, asked, spec, before.as_ref(), true).await
}

/// Upgrade a connection
///
/// Pins it to what its connector's name means now. To go back, name the former digest
/// as `sha256:...`.
#[utoipa::path(post, path = "/v1/connections/{connection}/upgrade", tag = "connections", params(("connection" = ConnectionId, Path), etag::Headers), responses((status = 200, description = "Pinned anew, or as before.", body = Document<ConnectionSpec>)))]
pub(crate) async fn upgrade_connection(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
    Precondition(asked): Precondition,
) -> Result<Answer<Connection>, Problem> {
    let before: Connection = documents::read(&api, &caller.tenant, id.as_str()).await?;
    write(
        &api,
        &caller,
        &id,
        asked,
        before.spec.clone(),
        Some(&before),
        false,
    )
    .await
}

async fn write(
    api: &Api,
    caller: &Caller,
    id: &ConnectionId,
    asked: Expected,
    mut spec: ConnectionSpec,
    before: Option<&Connection>,
    keep_pin: bool,
) -> Result<Answer<Connection>, Problem> {
    let connectors = check::Connectors::read(api, &caller.tenant).await?;
    let before_pin = before.filter(|_| keep_pin);
    let mut errors: Vec<Wrong> = spec.validate().into_iter().map(Wrong::from).collect();
    let writes = writes(
        id,
        &mut spec,
        before_pin,
        documents::expected_of(asked, before),
        &connectors,
    );
    match writes {
        Ok(writes) if errors.is_empty() => {
            documents::put(api, caller, id.as_str(), before, writes).await
        }
        Ok(_) => Err(Problem::invalid(errors)),
        Err(more) => {
            errors.extend(more);
            Err(Problem::invalid(errors))
        }
    }
}

/// The writes that store a connection, its connector pinned.
pub(super) fn writes(
    id: &ConnectionId,
    spec: &mut ConnectionSpec,
    before: Option<&Connection>,
    asked: Expected,
    connectors: &check::Connectors,
) -> Result<Vec<Write>, Vec<Wrong>> {
    let unpinned = check::pin(spec, before.map(|before| &before.spec), connectors);
    let mentions = check::mentions_of_connection(id, spec);
    match (unpinned, mentions) {
        (None, Ok(mentions)) => {
            let expected = documents::expected_of(asked, before);
            Ok(vec![documents::write_of(
                id.as_str(),
                spec,
                expected,
                mentions,
            )])
        }
        (unpinned, mentions) => Err(unpinned
            .into_iter()
            .chain(mentions.err().unwrap_or_default())
            .collect()),
    }
}

/// The writes that remove a connection; its catalogs go with it.
pub(super) fn removal(id: &ConnectionId, before: Option<&Connection>) -> Vec<Write> {
    vec![documents::removal_of(id.as_str(), before)]
}

/// Remove a connection
///
/// Refused while a sync uses it.
#[utoipa::path(delete, path = "/v1/connections/{connection}", tag = "connections", params(("connection" = ConnectionId, Path), etag::Headers), responses((status = 204, description = "Removed.")))]
pub(crate) async fn delete_connection(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
    Precondition(asked): Precondition,
) -> Result<StatusCode, Problem> {
    let before: Connection = documents::read(&api, &caller.tenant, id.as_str()).await?;
    let writes = removal(&id, Some(&before));
    documents::delete(&api, &caller, id.as_str(), asked, &before, writes).await
}
