//! Writes and reads of up to 200 records of one request.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::query::{named_columns, rendered};
use super::reply::Reply;
use super::writes::done_json;
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::problem::Problem;
use crate::salesforce::wire_id::parse_wire_id;
use crate::salesforce::write::{self, Fields, Prepared};

/// Records of a request at most.
const RECORDS_MAX: usize = 200;
/// Ids that one request may read.
const READS_MAX: usize = 2000;
/// Changes of the object from one record to the next, at most, plus one.
const CHUNKS_MAX: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Many {
    #[serde(default)]
    all_or_none: bool,
    records: Vec<Fields>,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    ids: Vec<String>,
    fields: Vec<String>,
}

/// `composite/sobjects`, with an object or with an object and an external id.
pub(super) fn collections(call: &Call, path: &[String]) -> Result<Reply, Problem> {
    match (call.method.as_str(), path) {
        ("POST", []) => write_many(call, &|org, fields| {
            write::insert(org, object(fields)?, fields)
        }),
        ("PATCH", []) => write_many(call, &|org, fields| {
            let object = object(fields)?;
            let mut fields = fields.clone();
            let id = fields.remove("id").or_else(|| fields.remove("Id"));
            let id = id.as_ref().and_then(Value::as_str).ok_or_else(|| {
                Problem::new(
                    400,
                    "MISSING_ARGUMENT",
                    "Id not specified in an update call",
                )
                .on(&[])
            })?;
            write::update(org, object, id, &fields)
        }),
        ("PATCH", [_, by]) => write_many(call, &|org, fields| {
            let object = object(fields)?;
            let mut fields = fields.clone();
            let value = fields.remove(by.as_str());
            match value.as_ref() {
                Some(Value::String(text)) => write::upsert(org, object, by, text, &fields),
                Some(Value::Number(number)) => {
                    write::upsert(org, object, by, &number.to_string(), &fields)
                }
                _ => Err(
                    Problem::new(400, "MISSING_ARGUMENT", format!("{by} not specified")).on(&[by]),
                ),
            }
        }),
        ("DELETE", []) => delete_many(call),
        ("POST", [name]) => {
            let wanted: Wanted = call.json()?;
            read_many(call, name, &wanted.ids, &wanted.fields)
        }
        ("GET", [name]) => {
            let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<String>>();
            let (ids, fields) = (call.parameter("ids")?, call.parameter("fields")?);
            read_many(call, name, &split(ids), &split(fields))
        }
        _ => Err(Problem::wrong_method(call.method.as_str())),
    }
}

/// The object that a record of a collection names.
fn object(fields: &Fields) -> Result<Object, Problem> {
    let name = fields
        .get("attributes")
        .and_then(|attributes| attributes["type"].as_str())
        .unwrap_or("");
    Object::parse(name).ok_or_else(|| Problem::no_such_type(name, "").on(&[]))
}

type Prepare<'a> = &'a dyn Fn(&Org, &Fields) -> Result<Prepared, Problem>;

/// Writes records in their order; each fails for itself, or all together.
fn write_many(call: &Call, prepare: Prepare<'_>) -> Result<Reply, Problem> {
    let many: Many = call.json()?;
    refuse_too_many(many.records.len())?;
    let types: Vec<&Value> = many
        .records
        .iter()
        .map(|fields| &fields.get("attributes").unwrap_or(&Value::Null)["type"])
        .collect();
    let chunks = 1 + types.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if chunks > CHUNKS_MAX {
        return Err(Problem::new(
            400,
            "LIMIT_EXCEEDED",
            format!("Cannot have more than {CHUNKS_MAX} chunks in a single operation"),
        ));
    }
    let org = &call.org;
    let _alone = org.writing();
    let upsert =
        matches!(&call.route.target, super::route::Target::Collections(path) if path.len() == 2);
    let rows = many.records.iter();
    if many.all_or_none {
        let prepared = rows.map(|fields| prepare(org, fields)).collect();
        return Ok(all_or_none(org, prepared, upsert));
    }
    let results = rows.map(|fields| row(org, prepare(org, fields), upsert));
    Ok(Reply::value(200, &results.collect()))
}

fn row(org: &Org, prepared: Result<Prepared, Problem>, upsert: bool) -> Value {
    match prepared.and_then(|prepared| write::perform(org, prepared)) {
        Ok(done) => {
            let mut answer = done_json(&done);
            if upsert {
                answer["created"] = json!(done.created);
            }
            answer
        }
        Err(problem) => problem.row(),
    }
}

/// Does all of it, or nothing when one cannot be done.
fn all_or_none(org: &Org, prepared: Vec<Result<Prepared, Problem>>, upsert: bool) -> Reply {
    let failed = prepared.iter().any(Result::is_err);
    let results = prepared.into_iter().map(|prepared| match prepared {
        Ok(_) if failed => Problem::new(
            400,
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "Record rolled back because not all records were valid and the request was using AllOrNone header",
        )
        .row(),
        prepared => row(org, prepared, upsert),
    });
    Reply::value(200, &results.collect())
}

fn delete_many(call: &Call) -> Result<Reply, Problem> {
    let ids: Vec<&str> = call.parameter("ids")?.split(',').collect();
    refuse_too_many(ids.len())?;
    let together = call
        .query
        .get("allOrNone")
        .is_some_and(|value| value == "true");
    let org = &call.org;
    let _alone = org.writing();
    let prepare = |id: &str| {
        let object = parse_wire_id(id).and_then(|(prefix, _)| Object::of_prefix(prefix));
        match object {
            Some(object) => write::delete(org, object, id, false),
            None => Err(Problem::new(400, "MALFORMED_ID", format!("bad id {id}")).on(&[])),
        }
    };
    if together {
        let prepared = ids.into_iter().map(prepare).collect();
        return Ok(all_or_none(org, prepared, false));
    }
    let results = ids.into_iter().map(|id| row(org, prepare(id), false));
    Ok(Reply::value(200, &results.collect()))
}

fn refuse_too_many(count: usize) -> Result<(), Problem> {
    if count <= RECORDS_MAX {
        return Ok(());
    }
    Err(Problem::new(
        400,
        "EXCEEDED_ID_LIMIT",
        format!(
            "record limit reached. cannot submit more than {RECORDS_MAX} records into this call"
        ),
    ))
}

/// Reads records by id, null where there is none.
fn read_many(call: &Call, name: &str, ids: &[String], fields: &[String]) -> Result<Reply, Problem> {
    if ids.len() > READS_MAX {
        return Err(Problem::new(
            400,
            "EXCEEDED_ID_LIMIT",
            format!("cannot retrieve more than {READS_MAX} records in this call"),
        ));
    }
    let collection = call.collection(name)?;
    let schema = collection.schema();
    let columns = named_columns(&schema, Some(&fields.join(",")))?;
    let mut out = b"[".to_vec();
    for (place, id) in ids.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let number = parse_wire_id(id)
            .filter(|(prefix, _)| *prefix == collection.object.prefix())
            .map(|(_, number)| number);
        let found = number.and_then(|number| rendered(call, collection, number, &columns, &schema));
        match found {
            Some((body, _)) => out.extend_from_slice(&body),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
    Ok(Reply::json(200, out))
}
