//! Searches by term: what was changed a moment ago is not found yet.

use serde_json::{Value, json};

use super::query::Query;
use super::reply::Reply;
use crate::generate::email_index;
use crate::meter::add;
use crate::pipedrive::account::{Account, Collection};
use crate::pipedrive::kind::Kind;
use crate::pipedrive::problem::Problem;
use crate::pipedrive::render::{Dialect, column_text, is_searched, name_of};
use crate::pipedrive::schema::Schema;
use crate::records::{Shown, Snapshot, View};

/// Found records at most.
const FOUND_MAX: usize = 1000;
/// What the recordings say of every exact and of every other find.
const EXACT_SCORE: f64 = 0.1997;
const SCORE: f64 = 0.355_130_02;

/// What is looked for.
struct Wanted {
    term: String,
    exact: bool,
    fields: Option<Vec<String>>,
}

impl Wanted {
    fn parse(query: &Query) -> Result<Wanted, Problem> {
        let term = query
            .value("term")
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        let exact = matches!(query.value("exact_match"), Some("true" | "1"));
        let least = if exact { 1 } else { 2 };
        if term.chars().count() < least {
            return Err(Problem::invalid(format!(
                "Validation failed: term: must be at least {least} characters long"
            )));
        }
        let fields = query.value("fields");
        let fields = fields.map(|fields| fields.split(',').map(str::to_owned).collect());
        Ok(Wanted {
            term,
            exact,
            fields,
        })
    }

    fn asks_for(&self, field: &str) -> bool {
        let fields = self.fields.as_ref();
        fields.is_none_or(|fields| fields.iter().any(|wanted| wanted == field))
    }

    fn fits(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        match self.exact {
            true => text == self.term,
            false => text.contains(&self.term),
        }
    }
}

pub(super) fn search(
    account: &Account,
    kind: Option<Kind>,
    query: &Query,
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let wanted = Wanted::parse(query)?;
    let types = query.value("item_types");
    let kinds: Vec<Kind> = match kind {
        Some(kind) => vec![kind],
        None => Kind::ALL
            .into_iter()
            .filter(|kind| *kind != Kind::Activities)
            .filter(|kind| {
                types.is_none_or(|types| types.split(',').any(|name| name == kind.singular()))
            })
            .collect(),
    };
    let limit = query.limit(dialect)?;
    let start = match dialect {
        Dialect::First => query.start()?,
        Dialect::Second => match query.value("cursor") {
            None => 0,
            Some(cursor) => place_of(cursor)?,
        },
    };
    let mut found: Vec<Value> = Vec::new();
    for kind in kinds {
        find(account, account.collection(kind), &wanted, &mut found);
    }
    let items: Vec<&Value> = found.iter().skip(start).take(limit).collect();
    let next = start + items.len();
    let more = next < found.len();
    add(&account.meter.records, items.len() as u64);
    let additional = match dialect {
        Dialect::First => json!({
            "pagination": {
                "start": start,
                "limit": limit,
                "more_items_in_collection": more,
            },
        }),
        Dialect::Second => {
            let cursor = json!({ "offset": next }).to_string();
            let cursor = data_encoding::BASE64.encode(cursor.as_bytes());
            json!({ "next_cursor": more.then_some(cursor) })
        }
    };
    let mut reply = Reply::value(
        200,
        &json!({
            "success": true,
            "data": { "items": items },
            "additional_data": additional,
        }),
    );
    reply.content_type = Some("application/json; charset=utf-8");
    Ok(reply)
}

fn place_of(cursor: &str) -> Result<usize, Problem> {
    let decoded = data_encoding::BASE64.decode(cursor.as_bytes()).ok();
    let decoded = decoded.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let place = decoded.and_then(|value| usize::try_from(value["offset"].as_u64()?).ok());
    place.ok_or_else(|| Problem::invalid("Validation failed: cursor: invalid cursor".to_owned()))
}

fn find(account: &Account, collection: &Collection, wanted: &Wanted, found: &mut Vec<Value>) {
    let schema = collection.schema();
    let overlay = collection.records.overlay();
    let hidden = match account.indexed_until_ms() {
        i64::MAX => Default::default(),
        until_ms => overlay.applied_after(until_ms),
    };
    let only_email = wanted.exact
        && (wanted.fields.as_ref()).is_some_and(|fields| fields.iter().all(|f| f == "email"));
    // A generated address tells which record has it, so that nobody else is looked at.
    let candidates: Box<dyn Iterator<Item = View<'_>>> = if only_email {
        let index = email_index(&wanted.term).and_then(|index| u32::try_from(index).ok());
        let index = index.filter(|index| *index < collection.records.count);
        let generated = index.map(|index| collection.records.row(index).id);
        let generated = generated.filter(|id| !overlay.entries.contains_key(id));
        let written = overlay.range(0, Shown::Live, Snapshot::NOW);
        let written = written.map(|(id, _, _)| id);
        let ids = generated.into_iter().chain(written);
        Box::new(ids.filter_map(|id| collection.records.view_in(&overlay, id)))
    } else {
        let ids = 0..u64::MAX;
        Box::new(
            collection
                .records
                .between_ids(&overlay, ids, false, Shown::Live),
        )
    };
    for view in candidates.filter(|view| !hidden.contains(&view.row.id)) {
        if found.len() >= FOUND_MAX {
            return;
        }
        if matches(&view, &schema, wanted) {
            let score = if wanted.exact { EXACT_SCORE } else { SCORE };
            let item = item(&view, &schema);
            found.push(json!({ "result_score": score, "item": item }));
        }
    }
}

fn text(view: &View<'_>, schema: &Schema, key: &str) -> Option<String> {
    let mut text = Vec::new();
    let column = schema.column(key)?;
    column_text(view, schema, column, &mut text).then_some(())?;
    String::from_utf8(text).ok()
}

/// The values of addresses or numbers.
fn contacts(view: &View<'_>, schema: &Schema, key: &str) -> Vec<String> {
    let Some(text) = text(view, schema, key) else {
        return Vec::new();
    };
    match serde_json::from_str(&text) {
        Ok(Value::Array(entries)) => entries
            .iter()
            .filter_map(|entry| entry["value"].as_str().map(str::to_owned))
            .collect(),
        _ => vec![text],
    }
}

fn custom(view: &View<'_>, schema: &Schema) -> Vec<String> {
    let fields = schema.own_fields();
    fields
        .filter(|field| is_searched(field.field_type))
        .filter_map(|field| text(view, schema, &field.key))
        .collect()
}

fn matches(view: &View<'_>, schema: &Schema, wanted: &Wanted) -> bool {
    let fits = |texts: Vec<String>| texts.iter().any(|text| wanted.fits(text));
    let named = match schema.kind {
        Kind::Deals | Kind::Leads => "title",
        _ => "name",
    };
    (wanted.asks_for(named) && wanted.fits(&name_of(view, schema)))
        || (wanted.asks_for("email") && fits(contacts(view, schema, "email")))
        || (wanted.asks_for("phone") && fits(contacts(view, schema, "phone")))
        || (wanted.asks_for("code") && fits(text(view, schema, "code").into_iter().collect()))
        || (wanted.asks_for("address") && fits(text(view, schema, "address").into_iter().collect()))
        || (wanted.asks_for("custom_fields") && fits(custom(view, schema)))
}

fn item(view: &View<'_>, schema: &Schema) -> Value {
    let number = |key: &str| text(view, schema, key).and_then(|id| id.parse::<u64>().ok());
    let id = match schema.kind {
        Kind::Leads => json!(crate::pipedrive::lead_uuid(view.row.id)),
        _ => json!(view.row.id),
    };
    let name = name_of(view, schema);
    let mut item = json!({
        "id": id,
        "type": schema.kind.singular(),
        "visible_to": number("visible_to"),
        "owner": { "id": number("owner_id") },
        "custom_fields": custom(view, schema),
        "notes": [],
    });
    match schema.kind {
        Kind::Persons => {
            item["name"] = json!(name);
            item["phones"] = json!(contacts(view, schema, "phone"));
            item["emails"] = json!(contacts(view, schema, "email"));
            item["organization"] = json!(number("org_id").map(|id| json!({ "id": id })));
        }
        Kind::Organizations => {
            item["name"] = json!(name);
            item["address"] = json!(text(view, schema, "address"));
        }
        Kind::Deals => {
            item["title"] = json!(name);
            item["status"] = json!(text(view, schema, "status"));
            item["currency"] = json!(text(view, schema, "currency"));
            item["value"] = json!(text(view, schema, "value").and_then(|v| v.parse::<f64>().ok()));
            item["stage"] = json!({ "id": number("stage_id") });
            item["person"] = json!(number("person_id").map(|id| json!({ "id": id })));
            item["organization"] = json!(number("org_id").map(|id| json!({ "id": id })));
            item["is_archived"] =
                json!(text(view, schema, "is_archived").as_deref() == Some("true"));
        }
        Kind::Products => {
            item["name"] = json!(name);
            item["code"] = json!(text(view, schema, "code"));
        }
        Kind::Activities | Kind::Leads => item["title"] = json!(name),
    }
    item
}
