//! What a connection's connector is asked while a client waits: whether it works, and
//! which streams it has.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents;
use crate::etag::Answer;
use crate::extract::Id;
use crate::problem::{Code, Problem, chain};
use crate::routes::catalogs::{self, KeptCatalog};
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tidegate_domain::Fault;
use tidegate_domain::id::ConnectionId;
use tidegate_domain::job::Class;
use tidegate_domain::spec::ConnectionSpec;
use tidegate_engine::discovery;
use tidegate_engine::source::Source;
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
/// What is found is kept as the connection's catalog; those before stay readable as its
/// schemas.
#[utoipa::path(post, path = "/v1/connections/{connection}/discover", tag = "connections", params(("connection" = ConnectionId, Path)), responses((status = 200, description = "The catalog.", body = KeptCatalog)))]
pub(crate) async fn discover_connection(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<ConnectionId>,
) -> Result<Answer<KeptCatalog>, Problem> {
    let source = source(&api, &caller, &id).await?;
    let _place = api.guests().take(&caller.tenant)?;
    let stop = api.draining().child_token();
    let asked = discovery::discover(&source, api.store(), &stop, None);
    let (found, _) = in_time(&stop, asked).await??;
    let change = Change::new("connection.discover", format!("connection {id}"))
        .detail(json!({ "catalog": found.id, "streams": found.streams.len() }));
    api.commit(&caller, change).await?;
    catalogs::newest(&api, &caller, &id).await.map(Answer::ok)
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
