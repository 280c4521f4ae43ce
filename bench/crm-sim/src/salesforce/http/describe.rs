//! The list of objects, and what each of them looks like.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use crate::generate::mix;
use crate::salesforce::object::Object;
use crate::salesforce::problem::Problem;
use crate::salesforce::schema::describe::{describe, http_date, parse_http_date, properties};

/// `GET .../sobjects`.
pub(super) fn global(call: &Call) -> Reply {
    let all: Vec<Value> = Object::ALL
        .into_iter()
        .map(|object| properties(object, call.version()))
        .collect();
    Reply::value(
        200,
        &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": all}),
    )
}

/// `GET .../sobjects/{object}`.
pub(super) fn basic(call: &Call, name: &str) -> Result<Reply, Problem> {
    let collection = call.collection(name)?;
    Ok(Reply::value(
        200,
        &json!({
            "objectDescribe": properties(collection.object, call.version()),
            "recentItems": [],
        }),
    ))
}

/// `GET .../sobjects/{object}/describe`.
pub(super) fn full(call: &Call, name: &str) -> Result<Reply, Problem> {
    let schema = call.collection(name)?.schema();
    let changed_ms = schema.changed_ms;
    let since_ms = call.header("if-modified-since").and_then(parse_http_date);
    if since_ms.is_some_and(|since_ms| changed_ms <= since_ms) {
        return Ok(Reply::empty(304));
    }
    let described = describe(&schema, call.version(), call.org.instance_url());
    // Changes with every change of the fields.
    let tag = mix(changed_ms.unsigned_abs() ^ u64::from(schema.object.prefix()[2]));
    Ok(Reply::value(200, &described)
        .with("etag", format!("\"{:08x}\"", tag >> 32))
        .with("last-modified", http_date(changed_ms)))
}
