//! Associations of up to a thousand records at once.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Named, after, are_live, checked, default_results, link, page, pair_labels};
use super::{plain_types, unlink};
use crate::clock::iso;
use crate::hubspot::account::Account;
use crate::hubspot::associations::{Change, End, Types};
use crate::hubspot::http::reply::Reply;
use crate::hubspot::kind::Kind;
use crate::hubspot::problem::Problem;

/// Inputs of one batch at most.
const INPUTS_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
struct Many<T> {
    #[serde(default = "Vec::new")]
    inputs: Vec<T>,
}

/// A record whose associations are asked for, from a page on.
#[derive(Debug, Deserialize)]
struct From {
    id: String,
    #[serde(default)]
    after: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Id {
    id: String,
}

/// Two records, and what associates them: `types` in version 4, `type` in version 3.
#[derive(Debug, Deserialize)]
struct Pair {
    from: Id,
    to: Id,
    #[serde(default)]
    types: Vec<Named>,
    #[serde(default, rename = "type")]
    name: Option<String>,
}

/// One record and several others.
#[derive(Debug, Deserialize)]
struct Fan {
    from: Id,
    to: Vec<Id>,
}

fn inputs<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, Problem> {
    let many: Many<T> =
        serde_json::from_slice(body).map_err(|error| Problem::invalid_json(&error))?;
    if many.inputs.len() <= INPUTS_MAX {
        return Ok(many.inputs);
    }
    Err(Problem::validation(format!(
        "The maximum number of inputs supported in a batch request is {INPUTS_MAX}, but was {}",
        many.inputs.len()
    )))
}

/// Records without associations are left out of the results and named as errors, so most
/// answers are a 207.
pub(super) fn read(
    account: &Account,
    (from, to): (Kind, Kind),
    modern: bool,
    body: &[u8],
) -> Result<Reply, Problem> {
    let started_ms = account.clock.now_ms();
    let mut results = Vec::new();
    let mut errors = Vec::new();
    let [names, to_names] = [from, to].map(|kind| &account.collection(kind).records.schema.names);
    for input in inputs::<From>(body)? {
        let start = after(input.after.as_deref())?;
        let id: Option<u64> = input.id.parse().ok();
        let edges = id.and_then(|id| account.associated((from, id), to));
        let edges = edges.unwrap_or_default();
        if edges.is_empty() {
            errors.push(json!({
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": format!("No {} is associated with {} {}.", to_names.singular, names.singular, input.id),
                "context": {
                    "fromObjectId": [input.id],
                    "fromObjectType": [names.singular],
                    "toObjectType": [to_names.singular],
                },
                "links": {},
                "errors": [],
            }));
            continue;
        }
        let limit = account.config.association_page_max;
        let (shown, next) = page(account, &edges, start, limit, modern);
        let mut result = json!({"from": {"id": input.id}, "to": shown});
        if let Some(next) = next {
            result["paging"] = json!({"next": {"after": next.to_string()}});
        }
        results.push(result);
    }
    Ok(finished(account, started_ms, 200, results, errors, false))
}

pub(super) fn create(
    account: &Account,
    (from, to): (Kind, Kind),
    modern: bool,
    plain: bool,
    body: &[u8],
) -> Result<Reply, Problem> {
    let started_ms = account.clock.now_ms();
    let wanted = inputs::<Pair>(body)?;
    let mut types: Vec<Types> = Vec::with_capacity(wanted.len());
    for input in &wanted {
        types.push(match (modern, plain) {
            (_, true) => plain_types(account, (from, to))?,
            (true, _) => checked(account, (from, to), &input.types)?,
            (false, _) => by_name(account, (from, to), input.name.as_deref())?,
        });
    }
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (input, types) in wanted.iter().zip(&types) {
        let both: Option<(u64, u64)> = input.from.id.parse().ok().zip(input.to.id.parse().ok());
        let ends = both.map(|(id, to_id)| ((from, id), (to, to_id)));
        let Some((start, end)) = ends.filter(|(start, end)| are_live(account, *start, *end)) else {
            errors.push(missing(input));
            continue;
        };
        link(account, start, end, types);
        results.extend(created(account, start, end, types, (modern, plain), input));
    }
    let status = if plain { 200 } else { 201 };
    Ok(finished(
        account, started_ms, status, results, errors, !modern,
    ))
}

fn created(
    account: &Account,
    from: End,
    to: End,
    types: &[u32],
    (modern, plain): (bool, bool),
    input: &Pair,
) -> Vec<Value> {
    match (modern, plain) {
        (_, true) => default_results(account, from, to, types),
        (true, _) => vec![pair_labels(account, from, to, types)],
        (false, _) => vec![json!({
            "from": {"id": input.from.id},
            "to": {"id": input.to.id},
            "type": input.name,
        })],
    }
}

/// The kinds of association that version 3 names by name.
fn by_name(
    account: &Account,
    (from, to): (Kind, Kind),
    name: Option<&str>,
) -> Result<Types, Problem> {
    let mut known = account.labels.between(from, to);
    let named = known.find(|label| Some(label.name.as_str()) == name);
    match named {
        Some(label) => Ok(vec![label.type_id]),
        None => Err(Problem::validation(format!(
            "{} is not a valid association type",
            name.unwrap_or("null")
        ))),
    }
}

/// Ends associations: all of each two records in version 4, one kind in version 3.
pub(super) fn archive(
    account: &Account,
    (from, to): (Kind, Kind),
    modern: bool,
    body: &[u8],
) -> Result<Reply, Problem> {
    if !modern {
        for input in inputs::<Pair>(body)? {
            let types = by_name(account, (from, to), input.name.as_deref())?;
            remove(account, (from, to), &input, &types);
        }
        return Ok(Reply::empty(204));
    }
    for input in inputs::<Fan>(body)? {
        for end in input.to {
            if let (Ok(id), Ok(to_id)) = (input.from.id.parse(), end.id.parse()) {
                unlink(account, (from, id), (to, to_id));
            }
        }
    }
    Ok(Reply::empty(204))
}

/// Takes kinds of association away and leaves the others.
pub(super) fn archive_labels(
    account: &Account,
    (from, to): (Kind, Kind),
    body: &[u8],
) -> Result<Reply, Problem> {
    for input in inputs::<Pair>(body)? {
        let types = checked(account, (from, to), &input.types)?;
        remove(account, (from, to), &input, &types);
    }
    Ok(Reply::empty(204))
}

fn remove(account: &Account, (from, to): (Kind, Kind), input: &Pair, types: &[u32]) {
    if let (Ok(id), Ok(to_id)) = (input.from.id.parse(), input.to.id.parse()) {
        account.associate((from, id), (to, to_id), types, Change::Remove);
    }
}

fn missing(input: &Pair) -> Value {
    json!({
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": "One or more of the objects to associate do not exist.",
        "context": {"fromObjectId": [input.from.id], "toObjectId": [input.to.id]},
        "links": {},
        "errors": [],
    })
}

/// Version 3 says `PENDING` of what it has done.
fn finished(
    account: &Account,
    started_ms: i64,
    status: u16,
    results: Vec<Value>,
    errors: Vec<Value>,
    is_pending: bool,
) -> Reply {
    let mut answer = json!({
        "status": if is_pending { "PENDING" } else { "COMPLETE" },
        "results": results,
        "startedAt": iso(started_ms),
        "completedAt": iso(account.clock.now_ms()),
    });
    if errors.is_empty() {
        return Reply::value(status, &answer);
    }
    answer["numErrors"] = json!(errors.len());
    answer["errors"] = json!(errors);
    Reply::value(207, &answer)
}
