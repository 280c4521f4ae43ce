//! What the API is made of, for programs and editors.

use crate::api::Api;
use crate::extract::Id;
use crate::problem::Problem;
use axum::extract::State;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use tidegate_domain::spec;

const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

/// The OpenAPI document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "schemas", responses((status = 200, description = "This document.", body = Object)))]
pub(crate) async fn openapi(
    State(api): State<Api>,
) -> ([(HeaderName, &'static str); 1], bytes::Bytes) {
    (JSON, api.openapi().clone())
}

/// The JSON Schema of a document
///
/// `connection.json`, `sync.json` and `subscription.json` as the API takes them;
/// `document.json` as it stands in a file, for editors.
#[utoipa::path(get, path = "/v1/schema/{file}", tag = "schemas", params(("file" = String, Path, description = "`connection.json`, `sync.json`, `subscription.json` or `document.json`.")), responses((status = 200, description = "JSON Schema, 2020-12.", body = Object)))]
pub(crate) async fn document_schema(
    Id(file): Id<String>,
) -> Result<axum::Json<serde_json::Value>, Problem> {
    Ok(axum::Json(match file.as_str() {
        "connection.json" => spec::connection_schema(),
        "sync.json" => spec::sync_schema(),
        "subscription.json" => spec::subscription_schema(),
        "document.json" => spec::document_schema(),
        _ => return Err(Problem::not_found("schema", &file)),
    }))
}
