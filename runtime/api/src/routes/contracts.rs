//! What the streams of a sync land under, and the call that accepts a changed source.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents;
use crate::extract::{Id, Query};
use crate::problem::{Code, Problem};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate_domain::id::{StreamName, SyncId};
use tidegate_domain::schema::{Column, SchemaChange};
use tidegate_domain::spec::{SchemaPolicy, SyncSpec};
use tidegate_engine::contracts::{self, StreamContract};
use tidegate_store::schemas::{CatalogKey, CatalogRow};
use utoipa::{IntoParams, ToSchema};

/// What a sync lands under.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncSchema {
    /// What happens when the source's schema changes.
    policy: SchemaPolicy,
    /// The number of the connection's newest schema, which this is compared with; none
    /// before the first discovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    /// In the order of the document.
    streams: Vec<StreamSchema>,
}

/// What a stream lands under.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamSchema {
    /// Its name in the connection's catalog.
    stream: StreamName,
    /// The id of its columns, as slots name it; none before its first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    /// Its columns, in the order of its files.
    columns: Vec<Column>,
    /// What changed at the source since, and was not accepted.
    open: Vec<SchemaChange>,
    /// Fields that records held and discovery does not know.
    unknown: Vec<String>,
}

/// What is accepted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Accepted {
    /// The number of the schema that was looked at: if another is the newest by now,
    /// nothing is accepted.
    number: Option<u64>,
}

impl From<StreamContract> for StreamSchema {
    fn from(found: StreamContract) -> StreamSchema {
        let schema = found.schema();
        let (columns, unknown) = found.contract.map_or_else(Default::default, |contract| {
            (contract.columns.as_slice().to_vec(), contract.unknown)
        });
        StreamSchema {
            stream: found.stream,
            schema,
            columns,
            open: found.open,
            unknown: unknown.into_iter().collect(),
        }
    }
}

/// Read what a sync lands under
///
/// The columns of each stream, and what changed at the source since they were accepted.
#[utoipa::path(get, path = "/v1/syncs/{sync}/schema", tag = "streams", params(("sync" = SyncId, Path)), responses((status = 200, description = "By stream.", body = SyncSchema)))]
pub(crate) async fn read_sync_schema(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SyncId>,
) -> Result<axum::Json<SyncSchema>, Problem> {
    let (spec, newest) = sync(&api, &caller, &id).await?;
    shown(&api, &caller, &id, &spec, newest.as_ref())
        .await
        .map(axum::Json)
}

/// Accept a changed source
///
/// The streams of the sync land under the connection's newest schema from their next job
/// on, also where `schema_policy` is `freeze` or `warn`. Discover the connection first to
/// accept what is there now.
#[utoipa::path(post, path = "/v1/syncs/{sync}/schema/accept", tag = "streams", params(("sync" = SyncId, Path), Accepted), responses((status = 200, description = "What the sync lands under now.", body = SyncSchema)))]
pub(crate) async fn accept_schema(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<SyncId>,
    Query(accepted): Query<Accepted>,
) -> Result<axum::Json<SyncSchema>, Problem> {
    let (spec, newest) = sync(&api, &caller, &id).await?;
    let newest = newest.ok_or_else(|| {
        Problem::not_found("catalog of connection", &spec.connection).with_fix("Discover it first.")
    })?;
    if accepted
        .number
        .is_some_and(|number| number != newest.number)
    {
        let reason = format!("the newest schema is {} by now", newest.number);
        return Err(Problem::new(Code::Changed, reason).with_fix("Look at it, and accept it."));
    }
    let catalog = &newest.catalog;
    contracts::accept(api.store(), &caller.tenant, &id, &spec, catalog).await?;
    let change = Change::new("schema.accept", format!("sync {id}"))
        .detail(json!({ "catalog": catalog.id, "number": newest.number }));
    api.commit(&caller, change).await?;
    shown(&api, &caller, &id, &spec, Some(&newest))
        .await
        .map(axum::Json)
}

async fn sync(
    api: &Api,
    caller: &Caller,
    id: &SyncId,
) -> Result<(SyncSpec, Option<CatalogRow>), Problem> {
    let document = documents::read::<SyncSpec>(api, &caller.tenant, id.as_str()).await?;
    let key = CatalogKey {
        tenant: caller.tenant.clone(),
        connection: document.spec.connection.clone(),
    };
    let newest = api.store().catalog(&key, None).await?;
    Ok((document.spec, newest))
}

async fn shown(
    api: &Api,
    caller: &Caller,
    id: &SyncId,
    spec: &SyncSpec,
    newest: Option<&CatalogRow>,
) -> Result<SyncSchema, Problem> {
    let catalog = newest.map(|row| &row.catalog);
    let streams = contracts::of_sync(api.store(), &caller.tenant, id, spec, catalog).await?;
    Ok(SyncSchema {
        policy: spec.schema_policy,
        newest: newest.map(|row| row.number),
        streams: streams.into_iter().map(StreamSchema::from).collect(),
    })
}
