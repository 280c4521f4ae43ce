//! Writes of one record.

use hyper::Method;
use serde_json::{Value, json};

use super::call::Call;
use super::query::{record_url, record_urls};
use super::reply::Reply;
use crate::salesforce::object::Object;
use crate::salesforce::problem::Problem;
use crate::salesforce::wire_id::parse_wire_id;
use crate::salesforce::write::{self, Done, Fields, Prepared};

/// The last version whose upserts of a known record answer with nothing.
const SILENT_UPSERTS: u32 = 45;

pub(super) fn done_json(done: &Done) -> Value {
    json!({"id": done.id, "success": true, "errors": []})
}

/// The object that a path names, as a write needs it.
fn object(call: &Call, name: &str) -> Result<Object, Problem> {
    call.collection(name).map(|collection| collection.object)
}

/// `POST .../sobjects/{object}`.
pub(super) fn create(call: &Call, name: &str) -> Result<Reply, Problem> {
    let object = object(call, name)?;
    let fields: Fields = call.json()?;
    let org = &call.org;
    let _alone = org.writing();
    let done = write::perform(org, write::insert(org, object, &fields)?)?;
    let number = parse_wire_id(&done.id).map_or(0, |(_, number)| number);
    Ok(Reply::value(201, &done_json(&done))
        .with("location", record_url(object, number, call.version())))
}

/// `PATCH` and `DELETE` of `.../sobjects/{object}/{id}`.
pub(super) fn change(call: &Call, name: &str, id: &str) -> Result<Reply, Problem> {
    let object = object(call, name)?;
    let org = &call.org;
    let _alone = org.writing();
    let prepared = match call.method {
        Method::PATCH => write::update(org, object, id, &call.json::<Fields>()?),
        Method::DELETE => write::delete(org, object, id, false),
        _ => return Err(Problem::wrong_method(call.method.as_str())),
    };
    // A path that names nothing is not the fault of what was written.
    let prepared = prepared.map_err(|problem| match problem.code() {
        "MALFORMED_ID" | "INVALID_CROSS_REFERENCE_KEY" if problem.is_about_the_record() => {
            Problem::not_found()
        }
        _ => problem,
    })?;
    write::perform(org, prepared)?;
    Ok(Reply::empty(204))
}

/// `PATCH` and `DELETE` of `.../sobjects/{object}/{field}/{value}`, the field an external
/// id.
pub(super) fn by_external_id(
    call: &Call,
    name: &str,
    field: &str,
    value: &str,
) -> Result<Reply, Problem> {
    let object = object(call, name)?;
    let org = &call.org;
    let _alone = org.writing();
    let found = write::matching(org, object, field, value)?;
    if found.len() > 1 {
        return Ok(record_urls(call, object, &found));
    }
    if call.method == Method::DELETE {
        let number = *found.first().ok_or_else(Problem::not_found)?;
        let hard = false;
        let prepared = Prepared::Delete {
            object,
            number,
            hard,
        };
        write::perform(org, prepared)?;
        return Ok(Reply::empty(204));
    }
    if call.method != Method::PATCH {
        return Err(Problem::wrong_method(call.method.as_str()));
    }
    let fields: Fields = call.json()?;
    if fields.keys().any(|key| key.eq_ignore_ascii_case(field)) {
        return Err(Problem::new(
            400,
            "INVALID_FIELD",
            format!("The {field} field should not be specified in the sobject data."),
        ));
    }
    let done = write::perform(org, write::upsert(org, object, field, value, &fields)?)?;
    let mut answer = done_json(&done);
    answer["created"] = json!(done.created);
    if done.created {
        return Ok(Reply::value(201, &answer));
    }
    if call.major() <= SILENT_UPSERTS {
        return Ok(Reply::empty(204));
    }
    Ok(Reply::value(200, &answer))
}
