//! What a connection's connector is asked while a client waits: whether it works, and
//! which streams it has.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents;
use crate::etag::{Answer, Tagged};
use crate::extract::Id;
use crate::problem::{Code, Problem, chain};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::Digest;
use std::time::Duration;
use tidegate_domain::Fault;
use tidegate_domain::id::{ConnectionId, Sha256, StreamName};
use tidegate_domain::job::Class;
use tidegate_domain::spec::ConnectionSpec;
use tidegate_domain::sync::Mode;
use tidegate_engine::source::Source;
use tidegate_store::control::{DocumentKind, Expected, Reference, Write};
use tidegate_store::events::NewEvent;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// How long a client waits for a connector.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a connection works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// Whether it does.
    works: bool,
    /// The kind of failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The streams of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Catalog {
    /// Grows with every change.
    revision: u64,
    /// When it was last looked at.
    updated_at_ms: u64,
    /// What was found.
    catalog: Found,
}

/// What discovery found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Found {
    /// The sha256 of the streams: another id is another schema.
    id: Sha256,
    /// The connector that was asked.
    connector: Sha256,
    /// By name.
    streams: Vec<FoundStream>,
}

/// A stream that can be read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FoundStream {
    /// Its name.
    name: StreamName,
    /// JSON pointers to the fields of its key.
    primary_key: Vec<String>,
    /// JSON pointer to its cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor_field: Option<String>,
    /// How it can be read.
    modes: Vec<Mode>,
    /// Whether its feed carries deletions.
    has_deletes: bool,
    /// JSON Schema of a record.
    #[schema(value_type = Object)]
    schema: Box<RawValue>,
}

impl Tagged for Catalog {
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Check a connection
///
/// Asks the provider, with the connection's own credentials and limits.
#[utoipa::path(post, path = "/v1/connections/{connection}/check", tag = "connections", params(("connection" = ConnectionId, Path)), responses((status = 200, description = "Whether it works.", body = Verdict)))]
pub(crate) async fn check_connection(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
) -> Result<axum::Json<Verdict>, Problem> {
    let source = source(&api, &caller, &id).await?;
    let _place = api.guests().take(&caller.tenant)?;
    let stop = api.draining().child_token();
    let checked = in_time(&stop, source.check(&stop)).await?;
    let verdict = match checked {
        Ok(_) => Verdict {
            works: true,
            fault: None,
            reason: None,
        },
        Err(error) => Verdict {
            works: false,
            fault: Some(error.fault()),
            reason: Some(chain(&error)),
        },
    };
    api.commit(
        &caller,
        Change::new("connection.check", format!("connection {id}"))
            .detail(json!({ "works": verdict.works })),
    )
    .await?;
    Ok(axum::Json(verdict))
}

/// Discover a connection's streams
///
/// What is found is kept as the connection's catalog.
#[utoipa::path(post, path = "/v1/connections/{connection}/discover", tag = "connections", params(("connection" = ConnectionId, Path)), responses((status = 200, description = "The catalog.", body = Catalog)))]
pub(crate) async fn discover_connection(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
) -> Result<Answer<Catalog>, Problem> {
    let source = source(&api, &caller, &id).await?;
    let _place = api.guests().take(&caller.tenant)?;
    let stop = api.draining().child_token();
    let (streams, _) = in_time(&stop, source.discover(&stop))
        .await?
        .map_err(|error| Problem::from(tidegate_engine::Error::from(error)))?;
    let mut found: Vec<FoundStream> = Vec::with_capacity(streams.len());
    for stream in streams {
        let broken = |_| {
            Problem::new(
                Code::ComponentRefused,
                "the connector names a stream that cannot be named so",
            )
        };
        found.push(FoundStream {
            name: StreamName::parse(stream.name).map_err(broken)?,
            primary_key: stream.primary_key,
            cursor_field: stream.cursor_field,
            modes: stream.modes,
            has_deletes: stream.has_deletes,
            schema: super::raw(stream.schema),
        });
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    keep(&api, &caller, &id, source.connector.digest(), found).await?;
    catalog(&api, &caller, &id).await.map(Answer::ok)
}

/// Read a connection's catalog
#[utoipa::path(get, path = "/v1/connections/{connection}/catalog", tag = "connections", params(("connection" = ConnectionId, Path)), responses((status = 200, description = "What discovery found last.", body = Catalog)))]
pub(crate) async fn read_catalog(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
) -> Result<Answer<Catalog>, Problem> {
    catalog(&api, &caller, &id).await.map(Answer::ok)
}

async fn source(api: &Api, caller: &Caller, id: &ConnectionId) -> Result<Source, Problem> {
    documents::read::<ConnectionSpec>(api, &caller.tenant, id.as_str()).await?;
    Ok(api.node().source(&caller.tenant, id, Class::Live).await?)
}

/// Waits for a connector; one that takes too long is told to stop.
async fn in_time<T>(stop: &CancellationToken, call: impl Future<Output = T>) -> Result<T, Problem> {
    let answered = tokio::time::timeout(PATIENCE, call).await;
    answered.map_err(|_| {
        stop.cancel();
        Problem::new(
            Code::Timeout,
            format!("the connector did not answer in {} s", PATIENCE.as_secs()),
        )
    })
}

async fn keep(
    api: &Api,
    caller: &Caller,
    id: &ConnectionId,
    connector: &Sha256,
    streams: Vec<FoundStream>,
) -> Result<(), Problem> {
    let broken = |error: serde_json::Error| Problem::internal("the catalog", &error);
    let text = serde_json::to_vec(&streams).map_err(broken)?;
    let found = Found {
        id: Sha256::from_bytes(sha2::Sha256::digest(&text).into()),
        connector: connector.clone(),
        streams,
    };
    let before = api
        .store()
        .document(&caller.tenant, DocumentKind::Catalog, id.as_str())
        .await?;
    let before: Option<Found> = before.and_then(|row| serde_json::from_str(&row.body).ok());
    let mut change = Change::new("connection.discover", format!("connection {id}"))
        .detail(json!({ "catalog": found.id, "streams": found.streams.len() }))
        .write(Write::PutDocument {
            kind: DocumentKind::Catalog,
            id: id.to_string(),
            expected: Expected::Any,
            body: serde_json::to_string(&found).map_err(broken)?,
            references: vec![Reference::Document(
                DocumentKind::Connection,
                id.to_string(),
            )],
        });
    if let Some(before) = before.filter(|before| before.id != found.id) {
        change = change.event(NewEvent {
            kind: "schema.changed".to_owned(),
            subject: format!("connection {id}"),
            body: json!({ "before": before.id, "after": found.id }).to_string(),
        });
    }
    api.commit(caller, change).await?;
    Ok(())
}

async fn catalog(api: &Api, caller: &Caller, id: &ConnectionId) -> Result<Catalog, Problem> {
    let row = api
        .store()
        .document(&caller.tenant, DocumentKind::Catalog, id.as_str())
        .await?;
    let row = row.ok_or_else(|| {
        Problem::not_found("catalog of connection", id).with_fix("Discover it first.")
    })?;
    Ok(Catalog {
        catalog: serde_json::from_str(&row.body)
            .map_err(|error| Problem::internal("the catalog", &error))?,
        revision: row.revision,
        updated_at_ms: row.updated_at_ms,
    })
}
