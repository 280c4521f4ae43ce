//! Single writes of records, in the dialect of either version.

mod values;

use serde_json::{Map, Value, json};

use self::values::{Takes, custom, take};
use super::lists::{gone_or_missing, related, rendered};
use super::query::parse_id;
use super::reply::Reply;
use crate::control::{Changed, Changes as _, Steered as _};
use crate::overlay::Changes;
use crate::pipedrive::account::{Account, Collection};
use crate::pipedrive::kind::Kind;
use crate::pipedrive::problem::Problem;
use crate::pipedrive::render::{Dialect, Occasion};
use crate::pipedrive::schema::{FIRST_USER_ID, STAGES, Schema};
use crate::pipedrive::users;
use crate::pipedrive::wire::zoned;

/// Member on the wire, column, and what it takes.
type Member = (&'static str, &'static str, Takes);

const EVERY: &[Member] = &[
    ("owner_id", "owner_id", Takes::User),
    ("visible_to", "visible_to", Takes::Integer),
    ("label_ids", "label_ids", Takes::Integers),
];

/// Members that only the first version has.
const FIRST: &[Member] = &[
    ("user_id", "owner_id", Takes::User),
    ("label", "label_ids", Takes::Integer),
    ("email", "email", Takes::Contacts),
    ("phone", "phone", Takes::Contacts),
    ("busy_flag", "busy", Takes::Flag),
    ("organization_id", "org_id", Takes::Integer),
];

/// Members that only the second version has.
const SECOND: &[Member] = &[
    ("emails", "email", Takes::Contacts),
    ("phones", "phone", Takes::Contacts),
    ("busy", "busy", Takes::Flag),
];

fn members(kind: Kind) -> &'static [Member] {
    match kind {
        Kind::Persons => &[
            ("name", "name", Takes::Text),
            ("first_name", "first_name", Takes::Text),
            ("last_name", "last_name", Takes::Text),
            ("job_title", "job_title", Takes::Text),
            ("org_id", "org_id", Takes::Integer),
        ],
        Kind::Organizations => &[
            ("name", "name", Takes::Text),
            ("website", "website", Takes::Text),
            ("address", "address", Takes::Place),
        ],
        Kind::Deals => &[
            ("title", "title", Takes::Text),
            ("value", "value", Takes::Amount),
            ("currency", "currency", Takes::Text),
            ("status", "status", Takes::Status),
            ("pipeline_id", "pipeline_id", Takes::Integer),
            ("stage_id", "stage_id", Takes::Integer),
            ("probability", "probability", Takes::Integer),
            ("lost_reason", "lost_reason", Takes::Text),
            ("expected_close_date", "expected_close_date", Takes::Day),
            ("won_time", "won_time", Takes::Moment),
            ("lost_time", "lost_time", Takes::Moment),
            ("close_time", "close_time", Takes::Moment),
            ("is_archived", "is_archived", Takes::Flag),
            ("person_id", "person_id", Takes::Integer),
            ("org_id", "org_id", Takes::Integer),
        ],
        Kind::Activities => &[
            ("subject", "subject", Takes::Text),
            ("type", "type", Takes::Text),
            ("due_date", "due_date", Takes::Day),
            ("due_time", "due_time", Takes::Text),
            ("duration", "duration", Takes::Text),
            ("done", "done", Takes::Flag),
            ("note", "note", Takes::Text),
            ("public_description", "public_description", Takes::Text),
            ("deal_id", "deal_id", Takes::Integer),
            ("person_id", "person_id", Takes::Integer),
            ("org_id", "org_id", Takes::Integer),
        ],
        Kind::Products => &[
            ("name", "name", Takes::Text),
            ("code", "code", Takes::Text),
            ("description", "description", Takes::Text),
            ("unit", "unit", Takes::Text),
            ("tax", "tax", Takes::Amount),
        ],
        Kind::Leads => &[
            ("title", "title", Takes::Text),
            ("expected_close_date", "expected_close_date", Takes::Day),
            ("is_archived", "is_archived", Takes::Flag),
            ("person_id", "person_id", Takes::Integer),
        ],
    }
}

/// Creates a record. Nothing is done about one that is there already.
pub(super) fn create(
    account: &Account,
    collection: &Collection,
    body: &[u8],
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let kind = collection.kind;
    let schema = collection.schema();
    let sent = object(body)?;
    let required = match kind {
        Kind::Persons | Kind::Organizations | Kind::Products => Some("name"),
        Kind::Deals | Kind::Leads => Some("title"),
        Kind::Activities => None,
    };
    if let Some(name) = required {
        let given = sent.get(name).and_then(Value::as_str);
        if given.is_none_or(|text| text.trim().is_empty()) {
            return Err(Problem::invalid(format!(
                "Validation failed: {name}: {name} must be given."
            )));
        }
    }
    let now_ms = account.clock.now_ms();
    let mut changes = read(&schema, &sent, dialect)?;
    complete(&schema, &mut changes, now_ms, true);
    let id = collection
        .records
        .create_blank(account.write(kind, now_ms, changes), |_, _| Changes::new());
    account.changed(kind, id, Changed::Created, &[]);
    let status = match dialect {
        Dialect::First => 201,
        Dialect::Second => account.config.v2_create_status,
    };
    answer(account, collection, id, dialect, Occasion::Created, status)
}

/// Writes over a live record; members that are not sent stay.
pub(super) fn update(
    account: &Account,
    collection: &Collection,
    id: &str,
    body: &[u8],
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let kind = collection.kind;
    let id = parse_id(kind, id)?;
    let schema = collection.schema();
    let mut changes = read(&schema, &object(body)?, dialect)?;
    let now_ms = account.clock.now_ms();
    complete(&schema, &mut changes, now_ms, false);
    let write = account.write(kind, now_ms, changes);
    if collection.records.edit(id, write).is_none() {
        return Err(gone_or_missing(collection, id));
    }
    account.changed(kind, id, Changed::Edited, &[]);
    answer(account, collection, id, dialect, Occasion::Updated, 200)
}

fn answer(
    account: &Account,
    collection: &Collection,
    id: u64,
    dialect: Dialect,
    occasion: Occasion,
    status: u16,
) -> Result<Reply, Problem> {
    let record = rendered(account, collection, id, dialect, occasion, None)
        .ok_or_else(|| gone_or_missing(collection, id))?;
    let mut body = json!({ "success": true, "data": record });
    if dialect == Dialect::First && collection.kind != Kind::Leads {
        body["related_objects"] = related(&record);
    }
    Ok(Reply::value(status, &body))
}

/// The object that a write sends.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::invalid(
            "Validation failed: body: expected object".to_owned(),
        )),
        Err(error) => Err(Problem::invalid(format!("Invalid JSON: {error}"))),
    }
}

/// What a body changes.
fn read(schema: &Schema, sent: &Map<String, Value>, dialect: Dialect) -> Result<Changes, Problem> {
    let mut changes = Changes::new();
    let own = match dialect {
        Dialect::First => FIRST,
        Dialect::Second => SECOND,
    };
    let members = members(schema.kind).iter().chain(EVERY).chain(own);
    for (name, column, takes) in members {
        let (Some(value), Some(column)) = (sent.get(*name), schema.column(column)) else {
            continue;
        };
        let taken = take(name, value, *takes, dialect)?;
        if *takes == Takes::User {
            let known = taken.as_deref().and_then(|id| id.parse().ok());
            if !known.is_some_and(users::exists) {
                return Err(Problem::invalid(format!(
                    "Validation failed: {name}: user not found"
                )));
            }
        }
        put(&mut changes, column, taken);
    }
    match dialect {
        Dialect::First => {
            for field in schema.own_fields() {
                if let Some(value) = sent.get(&field.key) {
                    custom(schema, field, value, dialect, &mut changes)?;
                }
                for part in crate::pipedrive::schema::field::subfields(field.field_type) {
                    let key = format!("{}_{}", field.key, part.suffix);
                    if let (Some(value), Some(column)) = (sent.get(&key), schema.column(&key)) {
                        let takes = Takes::Text;
                        put(&mut changes, column, take(&key, value, takes, dialect)?);
                    }
                }
            }
        }
        Dialect::Second => match sent.get("custom_fields") {
            None => {}
            Some(Value::Object(fields)) if schema.kind.has_custom_fields() => {
                for (key, value) in fields {
                    let field = schema.own_fields().find(|field| field.key == *key);
                    let field = field.ok_or_else(|| {
                        Problem::invalid(format!(
                            "Validation failed: custom_fields.{key}: unknown field"
                        ))
                    })?;
                    custom(schema, field, value, dialect, &mut changes)?;
                }
            }
            Some(_) => {
                return Err(Problem::invalid(
                    "Validation failed: custom_fields: expected object".to_owned(),
                ));
            }
        },
    }
    Ok(changes)
}

/// Writes a value once: a later one of the same column counts.
fn put(changes: &mut Changes, column: u16, value: Option<String>) {
    changes.retain(|(at, _)| *at != column);
    changes.push((column, value.map(String::into_boxed_str)));
}

/// What the API adds on its own: names follow from each other, a deal's times from its
/// status, and a new record has an owner.
fn complete(schema: &Schema, changes: &mut Changes, now_ms: i64, new: bool) {
    let written = |changes: &Changes, key: &str| -> Option<Option<String>> {
        let column = schema.column(key)?;
        let (_, value) = changes.iter().find(|(at, _)| *at == column)?;
        Some(value.as_deref().map(str::to_owned))
    };
    let set = |changes: &mut Changes, key: &str, value: Option<String>| {
        if let Some(column) = schema.column(key) {
            put(changes, column, value);
        }
    };
    if schema.kind == Kind::Persons {
        if let Some(Some(name)) = written(changes, "name") {
            let (first, last) = match name.split_once(' ') {
                Some((first, last)) => (first.to_owned(), Some(last.to_owned())),
                None => (name.clone(), None),
            };
            set(changes, "first_name", Some(first));
            set(changes, "last_name", last);
        } else if written(changes, "first_name").is_some()
            || written(changes, "last_name").is_some()
        {
            // Unsaid, the name is put together from both.
            set(changes, "name", None);
        }
    }
    if new {
        for (key, value) in [
            ("owner_id", FIRST_USER_ID.to_string()),
            ("visible_to", "3".to_owned()),
            ("status", "open".to_owned()),
            ("stage_id", "1".to_owned()),
            ("value", "0".to_owned()),
            ("currency", "USD".to_owned()),
            ("origin", "API".to_owned()),
            ("source_name", "API".to_owned()),
        ] {
            if written(changes, key).flatten().is_none()
                && !(key == "stage_id" && written(changes, "pipeline_id").is_some())
            {
                set(changes, key, Some(value));
            }
        }
    }
    if schema.kind == Kind::Deals {
        if let (Some(Some(pipeline)), None) = (
            written(changes, "pipeline_id"),
            written(changes, "stage_id").flatten(),
        ) {
            let pipeline: u64 = pipeline.parse().unwrap_or(1);
            let stage = (pipeline.max(1) - 1) * u64::from(STAGES) + 1;
            set(changes, "stage_id", Some(stage.to_string()));
        }
        if !new && written(changes, "stage_id").is_some() {
            set(changes, "stage_change_time", Some(zoned(now_ms)));
        }
        if let Some(Some(status)) = written(changes, "status") {
            let now = || Some(zoned(now_ms));
            for (key, holds) in [
                ("won_time", status == "won"),
                ("lost_time", status == "lost"),
                ("close_time", status != "open"),
            ] {
                if written(changes, key).flatten().is_none() {
                    set(changes, key, now().filter(|_| holds));
                }
            }
        }
    }
}
