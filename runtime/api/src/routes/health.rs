//! Whether the process lives, and whether it should get work.

use crate::api::Api;
use crate::problem::{Code, Problem};
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;
use tidegate_store::control::Page;
use utoipa::ToSchema;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// It is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

const OK: axum::Json<Health> = axum::Json(Health { status: "ok" });

/// Is the process alive
///
/// Says nothing of what it depends on: restarting it would not mend that.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "It is.", body = Health)))]
pub(crate) async fn healthz() -> axum::Json<Health> {
    OK
}

/// Is the node ready for work
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, description = "It is.", body = Health)))]
pub(crate) async fn readyz(State(api): State<Api>) -> Result<axum::Json<Health>, Problem> {
    if api.draining().is_cancelled() {
        return Err(Problem::new(Code::Unavailable, "the node is going away"));
    }
    let first = Page {
        after: None,
        limit: 1,
    };
    match tokio::time::timeout(PATIENCE, api.store().tenants(&first)).await {
        Ok(Ok(_)) => Ok(OK),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            Err(Problem::new(
                Code::Unavailable,
                "the database does not work",
            ))
        }
        Err(_) => Err(Problem::new(
            Code::Unavailable,
            "the database does not answer",
        )),
    }
}
