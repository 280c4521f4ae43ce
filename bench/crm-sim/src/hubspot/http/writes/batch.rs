//! Reading and writing up to a hundred records at once.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use super::{One, Properties, changes, create_one, refuse_duplicate, rendered, update_one};
use crate::clock::iso;
use crate::generate::mix;
use crate::hubspot::account::{Account, Collection};
use crate::hubspot::http::history;
use crate::hubspot::http::objects::resolve;
use crate::hubspot::http::reply::Reply;
use crate::hubspot::kind::Names;
use crate::hubspot::problem::Problem;
use crate::hubspot::webhooks::What;

/// Inputs of one batch at most.
const INPUTS_MAX: usize = 100;

#[derive(Debug, Deserialize)]
struct Many<T> {
    #[serde(default = "Vec::new")]
    inputs: Vec<T>,
    #[serde(default)]
    properties: Vec<String>,
    #[serde(default, rename = "propertiesWithHistory")]
    with_history: Vec<String>,
    #[serde(default, rename = "idProperty")]
    id_property: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Input {
    id: String,
    #[serde(default, rename = "idProperty")]
    id_property: Option<String>,
    #[serde(default)]
    properties: Properties,
}

/// `POST .../batch/create`.
pub(in crate::hubspot::http) fn create(
    account: &Account,
    collection: &Collection,
    body: &[u8],
) -> Result<Reply, Problem> {
    let many: Many<One> = super::read(body)?;
    check_size(many.inputs.len())?;
    let started_ms = account.clock.now_ms();
    let mut addresses = BTreeSet::new();
    for input in &many.inputs {
        changes(account, collection, &input.properties)?;
        refuse_duplicate(collection, &input.properties)?;
        let address = input.properties.get("email").and_then(Option::as_deref);
        if address.is_some_and(|address| !addresses.insert(address.to_lowercase())) {
            return Err(Problem::validation(
                "Duplicate IDs found in batch input".to_owned(),
            ));
        }
    }
    let mut results = Vec::with_capacity(many.inputs.len());
    for input in many.inputs {
        results.push(create_one(account, collection, &input)?);
    }
    Ok(reply(
        account,
        201,
        results,
        &BTreeSet::new(),
        &collection.records.schema.names,
        started_ms,
    ))
}

/// `POST .../batch/update`.
pub(in crate::hubspot::http) fn update(
    account: &Account,
    collection: &Collection,
    body: &[u8],
) -> Result<Reply, Problem> {
    let many: Many<Input> = super::read(body)?;
    check_size(many.inputs.len())?;
    let started_ms = account.clock.now_ms();
    for input in &many.inputs {
        changes(account, collection, &input.properties)?;
    }
    let mut results = Vec::with_capacity(many.inputs.len());
    let mut missing = BTreeSet::new();
    for input in many.inputs {
        let id_property = input.id_property.or_else(|| many.id_property.clone());
        let updated = match resolve(collection, &input.id, id_property.as_deref()) {
            Ok(id) => update_one(account, collection, id, &input.properties)?,
            Err(_) => None,
        };
        match updated {
            Some(body) => results.push(body),
            None => {
                missing.insert(input.id);
            }
        }
    }
    Ok(reply(
        account,
        200,
        results,
        &missing,
        &collection.records.schema.names,
        started_ms,
    ))
}

/// `POST .../batch/upsert`: updates what the unique property finds and creates the rest.
/// Every result says which of both it was.
pub(in crate::hubspot::http) fn upsert(
    account: &Account,
    collection: &Collection,
    body: &[u8],
) -> Result<Reply, Problem> {
    let many: Many<Input> = super::read(body)?;
    check_size(many.inputs.len())?;
    let started_ms = account.clock.now_ms();
    let mut named = BTreeSet::new();
    for input in &many.inputs {
        changes(account, collection, &input.properties)?;
        if input
            .id_property
            .as_ref()
            .or(many.id_property.as_ref())
            .is_none()
        {
            return Err(Problem::validation("idProperty must be given".to_owned()));
        }
        if !named.insert(input.id.to_lowercase()) {
            return Err(Problem::validation(
                "Duplicate IDs found in batch input".to_owned(),
            ));
        }
    }
    let mut results = Vec::with_capacity(many.inputs.len());
    let mut missing = BTreeSet::new();
    for input in many.inputs {
        let unique = input.id_property.or_else(|| many.id_property.clone());
        let unique = unique.unwrap_or_default();
        let known = match collection.records.schema.column(&unique) {
            Some(_) => resolve(collection, &input.id, Some(&unique)).ok(),
            None => return Err(unknown_property(&unique)),
        };
        let mut one = One {
            properties: input.properties,
            associations: Vec::new(),
        };
        let (mut written, new) = match known {
            Some(id) => match update_one(account, collection, id, &one.properties)? {
                Some(written) => (written, false),
                None => {
                    missing.insert(input.id);
                    continue;
                }
            },
            None => {
                one.properties.entry(unique).or_insert(Some(input.id));
                (create_one(account, collection, &one)?, true)
            }
        };
        // Each record ends with its closing brace.
        written.pop();
        written.extend_from_slice(format!(",\"new\":{new}}}").as_bytes());
        results.push(written);
    }
    let names = &collection.records.schema.names;
    Ok(reply(account, 200, results, &missing, names, started_ms))
}

fn unknown_property(name: &str) -> Problem {
    Problem::validation(format!("idProperty {name} does not exist"))
}

/// `POST .../batch/read`.
pub(in crate::hubspot::http) fn read(
    account: &Account,
    collection: &Collection,
    archived: bool,
    body: &[u8],
) -> Result<Reply, Problem> {
    let many: Many<Input> = super::read(body)?;
    check_size(many.inputs.len())?;
    let started_ms = account.clock.now_ms();
    let names = (!many.properties.is_empty()).then(|| many.properties.join(","));
    let projection = collection.projection(names.as_deref());
    let with_history = (!many.with_history.is_empty()).then(|| many.with_history.join(","));
    let mut results = Vec::with_capacity(many.inputs.len());
    let mut missing = BTreeSet::new();
    for input in many.inputs {
        let id = resolve(collection, &input.id, many.id_property.as_deref()).ok();
        let found = id.and_then(|id| {
            collection.records.with_view(id, |view| {
                (view.archived_ms.is_some() == archived).then(|| rendered(&view, &projection))
            })
        });
        match found.flatten() {
            Some(mut body) => {
                if let (Some(id), Some(names)) = (id, &with_history) {
                    history::append(&collection.records, id, names, &mut body);
                }
                results.push(body);
            }
            None => {
                missing.insert(input.id);
            }
        }
    }
    Ok(reply(
        account,
        200,
        results,
        &missing,
        &collection.records.schema.names,
        started_ms,
    ))
}

/// `POST .../batch/archive`: 204 always, silent about unknown ids.
pub(in crate::hubspot::http) fn archive(
    account: &Account,
    collection: &Collection,
    body: &[u8],
) -> Result<Reply, Problem> {
    let many: Many<Input> = super::read(body)?;
    check_size(many.inputs.len())?;
    let now_ms = account.clock.now_ms();
    for id in many.inputs.iter().filter_map(|input| input.id.parse().ok()) {
        if collection.records.archive(id, now_ms, now_ms) {
            account.tell(collection.kind, id, What::Deletion);
        }
    }
    Ok(Reply::empty(204))
}

fn check_size(inputs: usize) -> Result<(), Problem> {
    if inputs <= INPUTS_MAX {
        return Ok(());
    }
    Err(Problem::validation(format!(
        "The maximum number of inputs supported in a batch request is {INPUTS_MAX}, but was {inputs}"
    )))
}

/// The answer to a batch; results come in no order of the inputs.
fn reply(
    account: &Account,
    status: u16,
    mut results: Vec<Vec<u8>>,
    missing: &BTreeSet<String>,
    names: &Names,
    started_ms: i64,
) -> Reply {
    let turn = mix(account.meter.serial());
    if results.len() > 1 {
        let by = usize::try_from(turn % (results.len() as u64 - 1)).unwrap_or(0) + 1;
        results.rotate_left(by);
    }
    let mut out = b"{\"status\":\"COMPLETE\",\"results\":[".to_vec();
    out.extend(results.join(&b','));
    let completed = iso(account.clock.now_ms());
    let started = iso(started_ms);
    out.extend_from_slice(
        format!("],\"startedAt\":\"{started}\",\"completedAt\":\"{completed}\"").as_bytes(),
    );
    if missing.is_empty() {
        out.push(b'}');
        return Reply::json(status, out);
    }
    let errors = json!([{
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": format!("Could not get some {} objects, they may be deleted or not exist. Check that ids are valid.", names.name),
        "context": {"ids": missing},
        "links": {},
        "errors": [],
    }]);
    out.extend_from_slice(
        format!(",\"numErrors\":{},\"errors\":{errors}}}", missing.len()).as_bytes(),
    );
    Reply::json(207, out)
}
