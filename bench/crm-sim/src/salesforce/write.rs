//! Writes of single records, whatever way they came: checked first, then done.

mod value;

use serde_json::{Map, Value};

use self::value::canonical;
use crate::control::{Changed, Changes as _, Steered as _};
use crate::overlay::Changes;
use crate::salesforce::lookup;
use crate::salesforce::object::Object;
use crate::salesforce::org::{Collection, Org};
use crate::salesforce::problem::Problem;
use crate::salesforce::schema::{Field, Schema};
use crate::salesforce::wire_id::{parse_wire_id, wire_text};

/// What a client gives for the fields of a record.
pub(crate) type Fields = Map<String, Value>;

/// A write that can be done.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    Insert {
        object: Object,
        changes: Changes,
    },
    Update {
        object: Object,
        number: u64,
        changes: Changes,
        /// Whether it was found by an external id.
        upserted: bool,
    },
    Delete {
        object: Object,
        number: u64,
        /// Whether it is not to stay in the recycle bin.
        hard: bool,
    },
}

/// A write that was done.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) id: String,
    pub(crate) created: bool,
}

/// The number of the live record that an id names.
pub(crate) fn live_number(org: &Org, object: Object, id: &str) -> Result<u64, Problem> {
    let malformed = || {
        Problem::new(
            400,
            "MALFORMED_ID",
            format!("{} ID: id value of incorrect type: {id}", object.label().0),
        )
        .on(&["Id"])
    };
    let (prefix, number) = parse_wire_id(id).ok_or_else(malformed)?;
    if prefix != object.prefix() {
        return Err(malformed());
    }
    let records = &org.collection(object).records;
    match records.with_view(number, |view| view.archived_ms.is_some()) {
        Some(false) => Ok(number),
        Some(true) => Err(Problem::deleted().on(&[])),
        None => Err(Problem::new(
            404,
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
        )
        .on(&[])),
    }
}

/// Checks a new record.
pub(crate) fn insert(org: &Org, object: Object, fields: &Fields) -> Result<Prepared, Problem> {
    check_writable(object, "inserted")?;
    let collection = org.collection(object);
    let schema = collection.schema();
    let changes = changes(org, &schema, fields)?;
    let missing: Vec<&str> = schema
        .fields()
        .filter(|field| field.required)
        .filter(|field| {
            let mut given = changes.iter();
            given.all(|(column, value)| *column != field.column || value.is_none())
        })
        .map(|field| field.name.as_str())
        .collect();
    if !missing.is_empty() {
        return Err(missing_fields(&missing));
    }
    refuse_duplicate(org, collection, &schema, &changes, None)?;
    Ok(Prepared::Insert { object, changes })
}

/// Checks a change of a record.
pub(crate) fn update(
    org: &Org,
    object: Object,
    id: &str,
    fields: &Fields,
) -> Result<Prepared, Problem> {
    check_writable(object, "updated")?;
    let number = live_number(org, object, id)?;
    update_number(org, object, number, fields, false)
}

fn update_number(
    org: &Org,
    object: Object,
    number: u64,
    fields: &Fields,
    upserted: bool,
) -> Result<Prepared, Problem> {
    let collection = org.collection(object);
    let schema = collection.schema();
    let changes = changes(org, &schema, fields)?;
    let cleared: Vec<&str> = changes
        .iter()
        .filter(|(column, value)| value.is_none() && schema.at(*column).required)
        .map(|(column, _)| schema.at(*column).name.as_str())
        .collect();
    if !cleared.is_empty() {
        return Err(missing_fields(&cleared));
    }
    refuse_duplicate(org, collection, &schema, &changes, Some(number))?;
    Ok(Prepared::Update {
        object,
        number,
        changes,
        upserted,
    })
}

/// Checks a record that is to be there afterwards, known by an external id.
pub(crate) fn upsert(
    org: &Org,
    object: Object,
    by: &str,
    value: &str,
    fields: &Fields,
) -> Result<Prepared, Problem> {
    check_writable(object, "inserted")?;
    let found = matching(org, object, by, value)?;
    match found.as_slice() {
        [] => {
            let mut fields = fields.clone();
            if !by.eq_ignore_ascii_case("Id") {
                fields.insert(by.to_owned(), Value::String(value.to_owned()));
            }
            insert(org, object, &fields)
        }
        [number] => update_number(org, object, *number, fields, true),
        _ => Err(Problem::new(
            300,
            "DUPLICATE_EXTERNAL_ID",
            format!("{by}: more than one record found for external id field"),
        )
        .on(&[by])),
    }
}

/// The live records that an external id names.
pub(crate) fn matching(
    org: &Org,
    object: Object,
    by: &str,
    value: &str,
) -> Result<Vec<u64>, Problem> {
    if by.eq_ignore_ascii_case("Id") {
        return Ok(vec![live_number(org, object, value)?]);
    }
    let collection = org.collection(object);
    let schema = collection.schema();
    let field = schema.field(by).filter(|field| field.external_id);
    let field = field.ok_or_else(|| {
        Problem::new(
            404,
            "NOT_FOUND",
            format!("Provided external ID field does not exist or is not accessible: {by}"),
        )
    })?;
    Ok(lookup::live(org, collection, &schema, field, value))
}

/// Checks a deletion.
pub(crate) fn delete(org: &Org, object: Object, id: &str, hard: bool) -> Result<Prepared, Problem> {
    check_writable(object, "deleted")?;
    if !object.abilities().deletable {
        return Err(Problem::new(
            400,
            "INSUFFICIENT_ACCESS_OR_READONLY",
            format!("entity type {} does not support delete", object.name()),
        )
        .on(&[]));
    }
    let number = live_number(org, object, id)?;
    Ok(Prepared::Delete {
        object,
        number,
        hard,
    })
}

/// Does what was checked. Nobody else may write in between.
pub(crate) fn perform(org: &Org, prepared: Prepared) -> Result<Done, Problem> {
    let now_ms = org.clock.now_ms();
    let (object, number, created) = match prepared {
        Prepared::Insert { object, changes } => {
            let columns: Vec<u16> = changes.iter().map(|(column, _)| *column).collect();
            let write = org.write(object, now_ms, changes);
            let records = &org.collection(object).records;
            let number = records.create_blank(write, |_, _| Changes::new());
            org.changed(object, number, Changed::Created, &columns);
            (object, number, true)
        }
        Prepared::Update {
            object,
            number,
            changes,
            ..
        } => {
            let columns: Vec<u16> = changes.iter().map(|(column, _)| *column).collect();
            let write = org.write(object, now_ms, changes);
            let records = &org.collection(object).records;
            if records.edit(number, write).is_none() {
                return Err(Problem::deleted().on(&[]));
            }
            org.changed(object, number, Changed::Edited, &columns);
            (object, number, false)
        }
        Prepared::Delete {
            object,
            number,
            hard,
        } => {
            if org.delete(object, &[number], now_ms).is_empty() {
                return Err(Problem::deleted().on(&[]));
            }
            if hard {
                org.collection(object).purge(Some(&[number]));
            }
            (object, number, false)
        }
    };
    Ok(Done {
        id: wire_text(object.prefix(), number),
        created,
    })
}

fn check_writable(object: Object, done: &str) -> Result<(), Problem> {
    if object.abilities().writable {
        return Ok(());
    }
    Err(Problem::new(
        400,
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        format!("entity type cannot be {done}: {}", object.label().0),
    )
    .on(&[]))
}

fn missing_fields(names: &[&str]) -> Problem {
    Problem::new(
        400,
        "REQUIRED_FIELD_MISSING",
        format!("Required fields are missing: [{}]", names.join(", ")),
    )
    .on(names)
}

/// Reads what is given for each field.
fn changes(org: &Org, schema: &Schema, fields: &Fields) -> Result<Changes, Problem> {
    let mut changes = Changes::new();
    for (name, given) in fields {
        if name == "attributes" {
            continue;
        }
        let parent = match given {
            Value::Object(parent) => parent
                .iter()
                .find(|(key, _)| *key != "attributes")
                .map(|(key, value)| (name.as_str(), key.as_str(), value)),
            _ => name
                .split_once('.')
                .map(|(relationship, key)| (relationship, key, given)),
        };
        if let Some((relationship, key, value)) = parent {
            changes.push(reference(org, schema, relationship, key, value)?);
            continue;
        }
        let field = schema.field(name).ok_or_else(|| {
            Problem::new(
                400,
                "INVALID_FIELD",
                format!(
                    "No such column '{name}' on sobject of type {}",
                    schema.object.name()
                ),
            )
        })?;
        changes.push((field.column, written(org, field, given)?));
    }
    Ok(changes)
}

fn written(org: &Org, field: &Field, given: &Value) -> Result<Option<Box<str>>, Problem> {
    if !field.writable {
        return Err(Problem::new(
            400,
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            format!(
                "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
                field.name
            ),
        )
        .on(&[&field.name]));
    }
    let text = canonical(field, given)?;
    if let (Some((object, _)), Some(id)) = (field.refers, &text) {
        let number = live_number(org, object, id).map_err(|problem| {
            let code = match problem.code() {
                "ENTITY_IS_DELETED" => "INVALID_CROSS_REFERENCE_KEY",
                code => code,
            };
            Problem::new(400, code, problem.message()).on(&[&field.name])
        })?;
        return Ok(Some(wire_text(object.prefix(), number).into()));
    }
    Ok(text.map(Into::into))
}

/// A reference that is given by an external id of the other record.
fn reference(
    org: &Org,
    schema: &Schema,
    relationship: &str,
    key: &str,
    value: &Value,
) -> Result<(u16, Option<Box<str>>), Problem> {
    let referring = schema.fields().find_map(|field| {
        let (object, called) = field.refers?;
        called
            .eq_ignore_ascii_case(relationship)
            .then_some((field, object))
    });
    let (field, object) = referring.ok_or_else(|| {
        Problem::new(
            400,
            "INVALID_FIELD",
            format!(
                "No such relationship '{relationship}' on sobject of type {}",
                schema.object.name()
            ),
        )
    })?;
    let text = match value {
        Value::Null => return Ok((field.column, None)),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let found = matching(org, object, key, &text)?;
    match found.as_slice() {
        [number] => Ok((
            field.column,
            Some(wire_text(object.prefix(), *number).into()),
        )),
        _ => Err(Problem::new(
            400,
            "INVALID_FIELD",
            format!(
                "Foreign key external ID: {text} not found for field {key} in entity {}",
                object.name()
            ),
        )
        .on(&[])),
    }
}

/// External ids are unique.
fn refuse_duplicate(
    org: &Org,
    collection: &Collection,
    schema: &Schema,
    changes: &Changes,
    own: Option<u64>,
) -> Result<(), Problem> {
    for (column, value) in changes {
        let (field, Some(value)) = (schema.at(*column), value) else {
            continue;
        };
        if !field.external_id {
            continue;
        }
        let found = lookup::live(org, collection, schema, field, value);
        if let Some(other) = found.iter().find(|number| Some(**number) != own) {
            return Err(Problem::new(
                400,
                "DUPLICATE_VALUE",
                format!(
                    "duplicate value found: {} duplicates value on record with id: {}",
                    field.name,
                    &wire_text(collection.object.prefix(), *other)[..15]
                ),
            )
            .on(&[]));
        }
    }
    Ok(())
}
