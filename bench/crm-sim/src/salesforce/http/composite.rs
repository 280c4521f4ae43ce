//! Requests within a request.

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, dispatch};
use super::reply::{Content, Reply};
use super::route::{Route, Target};
use crate::salesforce::problem::Problem;
use crate::tokens::form;

/// Subrequests of a request at most.
const REQUESTS_MAX: usize = 25;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    halt_on_error: bool,
    batch_requests: Vec<BatchRequest>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchRequest {
    method: String,
    url: String,
    rich_input: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<Subrequest>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subrequest {
    method: String,
    url: String,
    reference_id: String,
    body: Option<Value>,
}

/// `POST composite/batch`: each request for itself.
pub(super) fn batch(call: &Call) -> Result<Reply, Problem> {
    let batch: Batch = call.json()?;
    refuse_too_many(batch.batch_requests.len())?;
    let mut results = Vec::new();
    let mut failed = false;
    for request in &batch.batch_requests {
        if failed && batch.halt_on_error {
            results.push(json!({
                "statusCode": 412,
                "result": [{
                    "errorCode": "BATCH_PROCESSING_HALTED",
                    "message": "Batch processing was halted by an error in a prior request",
                }],
            }));
            continue;
        }
        let body = request.rich_input.as_ref();
        let (status, result) = ask(call, &request.method, &request.url, body);
        failed |= status >= 400;
        results.push(json!({"statusCode": status, "result": result}));
    }
    Ok(Reply::value(
        200,
        &json!({"hasErrors": failed, "results": results}),
    ))
}

/// `POST composite`: later requests may use what earlier ones answered. What was done
/// before a failure is not undone here, as it is where `allOrNone` is not set.
pub(super) fn composite(call: &Call) -> Result<Reply, Problem> {
    let composite: Composite = call.json()?;
    refuse_too_many(composite.composite_request.len())?;
    if composite.all_or_none {
        return Err(Problem::new(
            400,
            "FUNCTIONALITY_NOT_ENABLED",
            "allOrNone is not simulated for composite requests",
        ));
    }
    let mut known: Vec<(String, Value)> = Vec::new();
    let mut results = Vec::new();
    for request in &composite.composite_request {
        let url = filled(&request.url, &known);
        let body = request.body.as_ref().map(|body| {
            let text = filled(&body.to_string(), &known);
            serde_json::from_str(&text).unwrap_or(Value::Null)
        });
        let (status, result) = ask(call, &request.method, &url, body.as_ref());
        results.push(json!({
            "body": result,
            "httpHeaders": {},
            "httpStatusCode": status,
            "referenceId": request.reference_id,
        }));
        known.push((request.reference_id.clone(), result));
    }
    Ok(Reply::value(200, &json!({"compositeResponse": results})))
}

fn refuse_too_many(count: usize) -> Result<(), Problem> {
    if count <= REQUESTS_MAX {
        return Ok(());
    }
    Err(Problem::new(
        400,
        "LIMIT_EXCEEDED",
        format!("The request can contain at most {REQUESTS_MAX} subrequests"),
    ))
}

/// Puts the values of `@{reference.member}` in.
fn filled(text: &str, known: &[(String, Value)]) -> String {
    let mut filled = text.to_owned();
    for (reference, answer) in known {
        let Value::Object(members) = answer else {
            continue;
        };
        for (member, value) in members {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            filled = filled.replace(&format!("@{{{reference}.{member}}}"), &value);
        }
    }
    filled
}

/// Status and body of one subrequest, which counts for nothing by itself.
fn ask(call: &Call, method: &str, url: &str, body: Option<&Value>) -> (u16, Value) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = match path.strip_prefix('/') {
        Some(_) => path.to_owned(),
        None => format!("/services/data/{path}"),
    };
    let route = Route::parse(&path);
    let nested = matches!(route.target, Target::Composite | Target::Batch);
    let answered = match Method::from_bytes(method.as_bytes()) {
        Ok(method) if !nested => dispatch(&Call {
            org: std::sync::Arc::clone(&call.org),
            user: std::sync::Arc::clone(&call.user),
            route,
            method,
            query: form(query.as_bytes()),
            headers: hyper::HeaderMap::new(),
            body: body.map_or_else(Bytes::new, |body| body.to_string().into_bytes().into()),
            keep: u64::MAX,
            whole: true,
        }),
        _ => Err(Problem::wrong_method(method)),
    };
    match answered {
        Err(problem) => (problem.status(), problem.body()),
        Ok(reply) => {
            let body = match reply.content {
                Content::Whole(body) => serde_json::from_slice(&body).unwrap_or(Value::Null),
                Content::Pieces(_) => Value::Null,
            };
            (reply.status, body)
        }
    }
}
