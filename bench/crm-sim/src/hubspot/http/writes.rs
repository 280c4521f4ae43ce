//! Writing records one by one.

pub(super) mod batch;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::links;
use super::objects::resolve;
use super::reply::Reply;
use crate::control::Changed;
use crate::hubspot::account::{Account, Collection};
use crate::hubspot::associations::{End, Types};
use crate::hubspot::kind::Kind;
use crate::hubspot::problem::Problem;
use crate::hubspot::render::{Projection, RECORD_BYTES, record};
use crate::hubspot::webhooks::What;
use crate::overlay::Changes;
use crate::records::{View, Write};

type Properties = BTreeMap<String, Option<String>>;

#[derive(Debug, Deserialize)]
struct One {
    #[serde(default)]
    properties: Properties,
    #[serde(default)]
    associations: Vec<Association>,
}

/// What a new record is associated with from the start.
#[derive(Debug, Deserialize)]
struct Association {
    to: Target,
    #[serde(default)]
    types: Vec<links::Named>,
}

#[derive(Debug, Deserialize)]
struct Target {
    id: String,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::invalid_json(&error))
}

/// `POST /crm/v3/objects/{type}`.
pub(super) fn create(
    account: &Account,
    collection: &Collection,
    body: &[u8],
) -> Result<Reply, Problem> {
    let one: One = read(body)?;
    Ok(Reply::json(201, create_one(account, collection, &one)?))
}

/// `PATCH /crm/v3/objects/{type}/{id}`.
pub(super) fn update(
    account: &Account,
    collection: &Collection,
    name: &str,
    id_property: Option<&str>,
    body: &[u8],
) -> Result<Reply, Problem> {
    let one: One = read(body)?;
    let id = resolve(collection, name, id_property)?;
    match update_one(account, collection, id, &one.properties)? {
        Some(body) => Ok(Reply::json(200, body)),
        None => Err(Problem::not_found()),
    }
}

/// `DELETE /crm/v3/objects/{type}/{id}`: 204, archived already or not.
pub(super) fn archive(
    account: &Account,
    collection: &Collection,
    name: &str,
) -> Result<Reply, Problem> {
    let id = resolve(collection, name, None)?;
    let now_ms = account.clock.now_ms();
    if collection.records.archive(id, now_ms, now_ms) {
        account.tell(collection.kind, id, What::Deletion);
    }
    Ok(Reply::empty(204))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Merge {
    primary_object_id: String,
    object_id_to_merge: String,
}

/// `POST /crm/v3/objects/{type}/merge`: the surviving record as it is now.
pub(super) fn merge(
    account: &Account,
    collection: &Collection,
    body: &[u8],
) -> Result<Reply, Problem> {
    let merge: Merge = read(body)?;
    let into = resolve(collection, &merge.primary_object_id, None)?;
    let id = resolve(collection, &merge.object_id_to_merge, None)?;
    if into == id {
        return Err(Problem::validation(
            "Cannot merge an object with itself".to_owned(),
        ));
    }
    let now_ms = account.clock.now_ms();
    let merged = account.merge(collection.kind, into, id, now_ms);
    merged.ok_or_else(Problem::not_found)?;
    let all = Projection::all(&collection.records.schema);
    let body = collection
        .records
        .with_view(into, |view| rendered(&view, &all));
    Ok(Reply::json(200, body.ok_or_else(Problem::not_found)?))
}

/// Creates a record and returns everything that it holds.
fn create_one(account: &Account, collection: &Collection, one: &One) -> Result<Vec<u8>, Problem> {
    let properties = &one.properties;
    let ends = ends(account, collection.kind, &one.associations)?;
    // Uniqueness holds only if nobody else creates in between.
    let _alone = collection.alone();
    refuse_duplicate(collection, properties)?;
    let changes = changes(account, collection, properties)?;
    let records = &collection.records;
    let columns: Vec<u16> = changes.iter().map(|(column, _)| *column).collect();
    let id = records.create_written(write_now(account, changes));
    account.tell_changed(collection.kind, id, Changed::Created, &columns);
    for (to, types) in ends {
        links::link(account, (collection.kind, id), to, &types);
    }
    let body = records.with_view(id, |view| {
        let schema = &records.schema;
        let mut columns: Vec<u16> = view.changes.iter().map(|(column, _)| *column).collect();
        columns.extend([schema.object_id, schema.created, schema.modified]);
        rendered(&view, &Projection::of(schema, columns))
    });
    body.ok_or_else(Problem::not_found)
}

/// The records that a new one is to be associated with, each of which must exist.
fn ends(
    account: &Account,
    from: Kind,
    associations: &[Association],
) -> Result<Vec<(End, Types)>, Problem> {
    let end = |association: &Association| {
        let named = association.types.first();
        let known = named.and_then(|named| account.labels.get(named.type_id()));
        let to = known.map_or(from, |label| label.to);
        let types = links::checked(account, (from, to), &association.types)?;
        let id = association.to.id.parse().ok();
        let id = id.filter(|id| account.collection(to).records.is_live(*id));
        let id = id.ok_or_else(|| {
            Problem::validation(format!(
                "Association target {} does not exist",
                association.to.id
            ))
        })?;
        Ok(((to, id), types))
    };
    associations.iter().map(end).collect()
}

/// Updates a record and returns what was written; `None` if there is no such
/// live record.
fn update_one(
    account: &Account,
    collection: &Collection,
    id: u64,
    properties: &Properties,
) -> Result<Option<Vec<u8>>, Problem> {
    let changes = changes(account, collection, properties)?;
    let records = &collection.records;
    let schema = &records.schema;
    let written: Vec<u16> = changes.iter().map(|(column, _)| *column).collect();
    let mut columns = written.clone();
    columns.push(schema.modified);
    match collection.kind {
        // Contacts answer an update without their id and creation.
        Kind::Contacts => columns.extend(schema.column("hs_email_domain")),
        _ => columns.extend([schema.object_id, schema.created]),
    }
    if records.edit(id, write_now(account, changes)).is_none() {
        return Ok(None);
    }
    account.tell_changed(collection.kind, id, Changed::Edited, &written);
    let projection = Projection::of(schema, columns);
    Ok(records.with_view(id, |view| rendered(&view, &projection)))
}

fn write_now(account: &Account, changes: Changes) -> Write {
    let now_ms = account.clock.now_ms();
    Write {
        modified_ms: now_ms,
        applied_ms: now_ms,
        changes,
    }
}

fn rendered(view: &View<'_>, projection: &Projection) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_BYTES);
    record(view, projection, &mut out);
    out
}

/// Contacts are unique by address.
fn refuse_duplicate(collection: &Collection, properties: &Properties) -> Result<(), Problem> {
    let schema = &collection.records.schema;
    let email = properties.get("email").and_then(Option::as_deref);
    let (Kind::Contacts, Some(email), Some(column)) =
        (collection.kind, email, schema.column("email"))
    else {
        return Ok(());
    };
    match collection.records.find(column, email) {
        Some(id) => Err(Problem::conflict(format!(
            "Contact already exists. Existing ID: {id}"
        ))),
        None => Ok(()),
    }
}

/// Written values by column, or the validation error that lists every bad one.
fn changes(
    account: &Account,
    collection: &Collection,
    properties: &Properties,
) -> Result<Changes, Problem> {
    let schema = &collection.records.schema;
    let mut changes = Changes::new();
    let mut invalid: Vec<Value> = Vec::new();
    for (name, value) in properties {
        let text = value.as_deref().unwrap_or("");
        let refused = match schema.column(name) {
            None => Some((
                "PROPERTY_DOESNT_EXIST",
                format!("Property \"{name}\" does not exist"),
            )),
            Some(column) if schema.property(column).read_only => Some((
                "READ_ONLY_VALUE",
                format!("\"{name}\" is a read only property"),
            )),
            Some(column) if !schema.property(column).accepts(text) => Some((
                "INVALID_OPTION",
                format!("{text} was not a valid value for {name}"),
            )),
            Some(column) => {
                changes.push((column, value.as_deref().map(Box::from)));
                None
            }
        };
        if let Some((error, message)) = refused {
            invalid.push(json!({
                "isValid": false,
                "message": message,
                "error": error,
                "name": name,
                "localizedErrorMessage": message,
                "portalId": account.config.portal_id,
            }));
        }
    }
    if invalid.is_empty() {
        return Ok(changes);
    }
    let list = Value::Array(invalid);
    Err(Problem::validation(format!(
        "Property values were not valid: {list}"
    )))
}
