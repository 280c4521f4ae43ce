//! What discovery found in a connection, now and before.

use crate::api::Api;
use crate::caller::Caller;
use crate::documents;
use crate::etag::{Answer, Tagged};
use crate::extract::{Id, Ids, Query};
use crate::page::{Page, Paging};
use crate::problem::Problem;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tidegate_domain::catalog::{Catalog, StreamChanges};
use tidegate_domain::id::{ConnectionId, Sha256};
use tidegate_domain::spec::ConnectionSpec;
use tidegate_store::schemas::{CatalogKey, CatalogRow};
use utoipa::{IntoParams, ToSchema};

/// What discovery found, as it is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptCatalog {
    /// Grows with every change.
    number: u64,
    /// When it was first found so.
    found_at_ms: u64,
    /// When it was last found so.
    confirmed_at_ms: u64,
    /// What was found.
    catalog: Catalog,
}

/// A schema of a connection's history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schema {
    /// Grows with every change.
    number: u64,
    /// The sha256 of its streams.
    id: Sha256,
    /// The connector that was asked.
    connector: Sha256,
    /// When it was first found so.
    found_at_ms: u64,
    /// When it was last found so.
    confirmed_at_ms: u64,
    /// What changed from the one before, if that is still kept.
    changes: Vec<StreamChanges>,
}

/// What changed between two schemas.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchemaChanges {
    /// The earlier one.
    since: u64,
    /// The later one.
    number: u64,
    /// By stream; empty where no column would show it.
    changes: Vec<StreamChanges>,
}

/// From where to compare.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Since {
    /// The number of the earlier schema; without it the one before.
    since: Option<u64>,
}

/// A number in a path.
pub(crate) struct Number(u64);

impl TryFrom<String> for Number {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Number, Self::Error> {
        text.parse().map(Number)
    }
}

impl Tagged for KeptCatalog {
    fn revision(&self) -> u64 {
        self.number
    }
}

impl From<CatalogRow> for KeptCatalog {
    fn from(row: CatalogRow) -> KeptCatalog {
        KeptCatalog {
            number: row.number,
            found_at_ms: row.found_at_ms,
            confirmed_at_ms: row.confirmed_at_ms,
            catalog: row.catalog,
        }
    }
}

/// Read a connection's catalog
#[utoipa::path(get, path = "/v1/connections/{connection}/catalog", tag = "connections", params(("connection" = ConnectionId, Path)), responses((status = 200, description = "What discovery found last.", body = KeptCatalog)))]
pub(crate) async fn read_catalog(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
) -> Result<Answer<KeptCatalog>, Problem> {
    newest(&api, &caller, &id).await.map(Answer::ok)
}

/// List a connection's schemas
///
/// What discovery found, once for each time that it was another: the newest 30 are kept.
#[utoipa::path(get, path = "/v1/connections/{connection}/schemas", tag = "connections", params(("connection" = ConnectionId, Path), Paging), responses((status = 200, description = "Newest first.", body = Page<Schema>)))]
pub(crate) async fn list_schemas(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Schema>>, Problem> {
    let (before, limit) = (paging.after::<u64>()?, paging.limit()?);
    let key = key(&api, &caller, &id).await?;
    // The one behind the page's last is needed twice: it tells that there is more, and
    // what changed after it.
    let found = api.store().catalogs(&key, before, limit + 1).await?;
    let earlier = found.iter().skip(1).map(|row| Some(&row.catalog));
    let changes: Vec<Vec<StreamChanges>> = found
        .iter()
        .zip(earlier.chain([None]))
        .map(|(row, earlier)| match earlier {
            Some(earlier) => row.catalog.changes_since(earlier),
            None => Vec::new(),
        })
        .collect();
    let found = found.into_iter().zip(changes).collect();
    let cursor = |(row, _): &(CatalogRow, Vec<StreamChanges>)| row.number.to_string();
    Ok(axum::Json(Page::of(
        found,
        limit,
        cursor,
        |(row, changes)| Schema {
            number: row.number,
            id: row.catalog.id,
            connector: row.catalog.connector,
            found_at_ms: row.found_at_ms,
            confirmed_at_ms: row.confirmed_at_ms,
            changes,
        },
    )))
}

/// Read a schema of a connection
#[utoipa::path(get, path = "/v1/connections/{connection}/schemas/{number}", tag = "connections", params(("connection" = ConnectionId, Path), ("number" = u64, Path)), responses((status = 200, description = "What discovery found then.", body = KeptCatalog)))]
pub(crate) async fn read_schema(
    State(api): State<Api>,
    caller: Caller,
    Ids(id, Number(number)): Ids<ConnectionId, Number>,
) -> Result<Answer<KeptCatalog>, Problem> {
    let key = key(&api, &caller, &id).await?;
    let row = existing(&api, &key, number).await?;
    Ok(Answer::ok(row.into()))
}

/// Compare two schemas of a connection
#[utoipa::path(get, path = "/v1/connections/{connection}/schemas/{number}/changes", tag = "connections", params(("connection" = ConnectionId, Path), ("number" = u64, Path), Since), responses((status = 200, description = "What changed.", body = SchemaChanges)))]
pub(crate) async fn compare_schemas(
    State(api): State<Api>,
    caller: Caller,
    Ids(id, Number(number)): Ids<ConnectionId, Number>,
    Query(asked): Query<Since>,
) -> Result<axum::Json<SchemaChanges>, Problem> {
    let key = key(&api, &caller, &id).await?;
    let later = existing(&api, &key, number).await?;
    let since = asked.since.unwrap_or(number.saturating_sub(1));
    let earlier = existing(&api, &key, since).await?;
    Ok(axum::Json(SchemaChanges {
        since,
        number,
        changes: later.catalog.changes_since(&earlier.catalog),
    }))
}

/// What discovery found last.
pub(super) async fn newest(
    api: &Api,
    caller: &Caller,
    id: &ConnectionId,
) -> Result<KeptCatalog, Problem> {
    let key = CatalogKey {
        tenant: caller.tenant.clone(),
        connection: id.clone(),
    };
    let row = api.store().catalog(&key, None).await?;
    let missing = || Problem::not_found("catalog of connection", id).with_fix("Discover it first.");
    row.map(KeptCatalog::from).ok_or_else(missing)
}

async fn key(api: &Api, caller: &Caller, id: &ConnectionId) -> Result<CatalogKey, Problem> {
    documents::read::<ConnectionSpec>(api, &caller.tenant, id.as_str()).await?;
    Ok(CatalogKey {
        tenant: caller.tenant.clone(),
        connection: id.clone(),
    })
}

async fn existing(api: &Api, key: &CatalogKey, number: u64) -> Result<CatalogRow, Problem> {
    // Beyond what the database counts to there is none.
    let found = match i64::try_from(number) {
        Ok(_) => api.store().catalog(key, Some(number)).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_found("schema", &number))
}
