//! Fields, users, pipelines, stages, filters and currencies.

use serde_json::{Value, json};

use super::query::Query;
use super::reply::Reply;
use super::writes::object;
use crate::pipedrive::account::{Account, Collection};
use crate::pipedrive::problem::Problem;
use crate::pipedrive::render::Dialect;
use crate::pipedrive::schema::{
    CustomField, FIRST_USER_ID, FieldOption, FieldType, PIPELINES, STAGES, fresh_key,
};
use crate::pipedrive::users;
use crate::pipedrive::wire::{spaced, zoned};

/// 2021-01-07T20:05:11Z, when the company was set up.
const FOUNDED_MS: i64 = 1_610_049_911_000;
const STAGE_NAMES: [&str; 5] = [
    "Qualified",
    "Contact Made",
    "Demo Scheduled",
    "Proposal Made",
    "Negotiations Started",
];

/// Part of a list of the second version; the cursor is the place of the next item.
fn paged(items: &[Value], query: &Query) -> Result<Reply, Problem> {
    let limit = query.limit(Dialect::Second)?;
    let invalid = || Problem::invalid("Validation failed: cursor: invalid cursor".to_owned());
    let start = match query.value("cursor") {
        None => 0,
        Some(cursor) => data_encoding::BASE64
            .decode(cursor.as_bytes())
            .ok()
            .and_then(|decoded| serde_json::from_slice::<Value>(&decoded).ok())
            .and_then(|decoded| usize::try_from(decoded["offset"].as_u64()?).ok())
            .ok_or_else(invalid)?,
    };
    let end = start.saturating_add(limit).min(items.len());
    let page = items.get(start..end).ok_or_else(invalid)?;
    let next = (end < items.len()).then(|| {
        let place = json!({ "offset": end }).to_string();
        data_encoding::BASE64.encode(place.as_bytes())
    });
    Ok(Reply::value(
        200,
        &json!({
            "success": true,
            "data": page,
            "additional_data": { "next_cursor": next },
        }),
    ))
}

pub(super) fn fields(
    collection: &Collection,
    query: &Query,
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let schema = collection.schema();
    match dialect {
        Dialect::Second => {
            let coded = schema.fields.iter().filter(|field| !field.code.is_empty());
            let fields: Vec<Value> = coded.map(|field| field.second_version()).collect();
            paged(&fields, query)
        }
        Dialect::First => {
            let fields = schema.fields.iter().flat_map(|field| field.first_version());
            let (start, limit) = (query.start()?, query.limit(Dialect::First)?);
            // Without a wish for less, all of them come at once.
            let limit = match query.value("limit") {
                Some(_) => limit,
                None => usize::MAX,
            };
            let all: Vec<Value> = fields.collect();
            let page: Vec<&Value> = all.iter().skip(start).take(limit).collect();
            let more = start.saturating_add(page.len()) < all.len();
            let mut pagination = json!({
                "start": start,
                "limit": if limit == usize::MAX { 100 } else { limit },
                "more_items_in_collection": more,
            });
            if more {
                pagination["next_start"] = json!(start + page.len());
            }
            Ok(Reply::value(
                200,
                &json!({
                    "success": true,
                    "data": page,
                    "additional_data": { "pagination": pagination },
                }),
            ))
        }
    }
}

pub(super) fn field(
    collection: &Collection,
    name: &str,
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let schema = collection.schema();
    let found = schema.fields.iter().find(|field| match dialect {
        Dialect::First => field.id.to_string() == name,
        Dialect::Second => field.code == name,
    });
    let field = found.ok_or_else(|| Problem::not_found("Field"))?;
    Ok(Reply::success(&match dialect {
        Dialect::First => field.first_version().swap_remove(0),
        Dialect::Second => field.second_version(),
    }))
}

/// Adds a field under a new key of forty hexadecimal digits.
pub(super) fn create_field(
    account: &Account,
    collection: &Collection,
    body: &[u8],
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let sent = object(body)?;
    let name_key = match dialect {
        Dialect::First => "name",
        Dialect::Second => "field_name",
    };
    let name = sent.get(name_key).and_then(Value::as_str);
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Problem::invalid(format!("Validation failed: {name_key}: must be given")))?;
    let field_type = sent.get("field_type").cloned().unwrap_or_default();
    let field_type = serde_json::from_value::<FieldType>(field_type)
        .ok()
        .filter(|field_type| field_type.is_definable())
        .ok_or_else(|| {
            Problem::invalid("Validation failed: field_type: unknown type".to_owned())
        })?;
    let labels = sent.get("options").and_then(Value::as_array);
    let labels = labels.into_iter().flatten().map(|option| {
        let label = option.get("label").unwrap_or(option);
        label.as_str().map(|label| FieldOption {
            id: 0,
            label: label.to_owned(),
            color: None,
        })
    });
    let options = labels
        .collect::<Option<Vec<FieldOption>>>()
        .ok_or_else(|| {
            Problem::invalid("Validation failed: options: expected labels".to_owned())
        })?;
    let now_ms = account.clock.now_ms();
    let key = fresh_key(
        account.config.seed,
        &format!("new {}", account.meter.serial()),
    );
    let field = CustomField {
        kind: collection.kind,
        key,
        name: name.to_owned(),
        field_type,
        options,
    };
    let created = collection.change_schema(|schema| schema.declare(field, Some(now_ms)).clone());
    Ok(match dialect {
        Dialect::First => {
            let field = created.first_version().swap_remove(0);
            Reply::value(201, &json!({ "success": true, "data": field }))
        }
        Dialect::Second => Reply::value(
            account.config.v2_create_status,
            &json!({ "success": true, "data": created.second_version() }),
        ),
    })
}

pub(super) fn delete_field(
    collection: &Collection,
    name: &str,
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let schema = collection.schema();
    let found = match dialect {
        Dialect::First => name.parse().ok(),
        Dialect::Second => schema.field(name).map(|field| field.id),
    };
    let id: u64 = found.ok_or_else(|| Problem::not_found("Field"))?;
    if !collection.change_schema(|schema| schema.remove(id)) {
        return Err(Problem::not_found("Field"));
    }
    Ok(Reply::success(&match dialect {
        Dialect::First => json!({ "id": id }),
        Dialect::Second => json!({ "field_code": name }),
    }))
}

pub(super) fn delete_fields(collection: &Collection, query: &Query) -> Result<Reply, Problem> {
    let ids = query.ids()?;
    let removed: Vec<u64> = ids
        .into_iter()
        .filter(|id| collection.change_schema(|schema| schema.remove(*id)))
        .collect();
    Ok(Reply::success(&json!({ "id": removed })))
}

pub(super) fn users(account: &Account) -> Reply {
    Reply::success(&json!(users::all(account.config.company_id)))
}

pub(super) fn user(account: &Account, id: &str) -> Result<Reply, Problem> {
    let company_id = account.config.company_id;
    let number = match id {
        "me" => Some(FIRST_USER_ID),
        _ => id.parse().ok(),
    };
    let found = number.and_then(|id| users::user(id, company_id));
    let mut user = found.ok_or_else(|| Problem::not_found("User"))?;
    if id == "me" {
        user["company_name"] = json!("Acme");
        user["company_domain"] = json!("acme");
        user["company_country"] = json!("DE");
        user["company_industry"] = Value::Null;
    }
    Ok(Reply::success(&user))
}

fn time(dialect: Dialect) -> String {
    match dialect {
        Dialect::First => spaced(FOUNDED_MS),
        Dialect::Second => zoned(FOUNDED_MS),
    }
}

fn pipeline_json(id: u64, dialect: Dialect) -> Value {
    let name = if id == 1 { "Sales" } else { "Renewals" };
    let (add_time, update_time) = (time(dialect), time(dialect));
    match dialect {
        Dialect::First => json!({
            "id": id, "name": name, "url_title": name, "order_nr": id, "active": true,
            "deal_probability": true, "add_time": add_time, "update_time": update_time,
            "selected": id == 1,
        }),
        Dialect::Second => json!({
            "id": id, "name": name, "order_nr": id - 1, "is_deleted": false,
            "is_deal_probability_enabled": true, "add_time": add_time,
            "update_time": update_time,
        }),
    }
}

fn stage_json(id: u64, dialect: Dialect) -> Value {
    let order = (id - 1) % u64::from(STAGES);
    let name = STAGE_NAMES[usize::try_from(order).unwrap_or(0)];
    let pipeline = crate::pipedrive::pipeline_of(id);
    let (add_time, update_time) = (time(dialect), time(dialect));
    let probability = 20 * (order + 1);
    match dialect {
        Dialect::First => json!({
            "id": id, "order_nr": order + 1, "name": name, "active_flag": true,
            "deal_probability": probability, "pipeline_id": pipeline,
            "pipeline_name": pipeline_json(pipeline, dialect)["name"],
            "rotten_flag": false, "rotten_days": null, "add_time": add_time,
            "update_time": update_time, "pipeline_deal_probability": true,
        }),
        Dialect::Second => json!({
            "id": id, "order_nr": order + 1, "name": name, "is_deleted": false,
            "deal_probability": probability, "pipeline_id": pipeline,
            "is_deal_rot_enabled": false, "days_to_rotten": null,
            "add_time": add_time, "update_time": update_time,
        }),
    }
}

/// A list that never changes. Its times cannot be asked for.
fn fixed(items: &[Value], query: &Query, dialect: Dialect) -> Result<Reply, Problem> {
    match dialect {
        Dialect::First => Ok(Reply::success(&json!(items))),
        Dialect::Second => {
            query.refuse_times()?;
            paged(items, query)
        }
    }
}

pub(super) fn pipelines(query: &Query, dialect: Dialect) -> Result<Reply, Problem> {
    let all: Vec<Value> = (1..=u64::from(PIPELINES))
        .map(|id| pipeline_json(id, dialect))
        .collect();
    fixed(&all, query, dialect)
}

pub(super) fn pipeline(id: &str, dialect: Dialect) -> Result<Reply, Problem> {
    one("Pipeline", id, PIPELINES, |id| pipeline_json(id, dialect))
}

pub(super) fn stages(query: &Query, dialect: Dialect) -> Result<Reply, Problem> {
    let pipeline = query.number("pipeline_id")?;
    let all: Vec<Value> = (1..=u64::from(STAGES * PIPELINES))
        .filter(|id| pipeline.is_none_or(|of| crate::pipedrive::pipeline_of(*id) == of))
        .map(|id| stage_json(id, dialect))
        .collect();
    fixed(&all, query, dialect)
}

pub(super) fn stage(id: &str, dialect: Dialect) -> Result<Reply, Problem> {
    one("Stage", id, STAGES * PIPELINES, |id| {
        stage_json(id, dialect)
    })
}

fn one(
    what: &str,
    id: &str,
    count: u32,
    json: impl FnOnce(u64) -> Value,
) -> Result<Reply, Problem> {
    let id: Option<u64> = id.parse().ok();
    let id = id.filter(|id| (1..=u64::from(count)).contains(id));
    Ok(Reply::success(&json(
        id.ok_or_else(|| Problem::not_found(what))?,
    )))
}

/// Filters as their list has them: without their conditions.
pub(super) fn filters(account: &Account, query: &Query) -> Reply {
    let wanted = query.value("type");
    let filters = account.filters();
    let shown = filters
        .values()
        .filter(|filter| wanted.is_none_or(|wanted| filter["type"] == wanted));
    let shown: Vec<Value> = shown
        .map(|filter| {
            let mut filter = filter.clone();
            if let Some(members) = filter.as_object_mut() {
                members.remove("conditions");
            }
            filter
        })
        .collect();
    Reply::success(&json!(shown))
}

pub(super) fn create_filter(account: &Account, body: &[u8]) -> Result<Reply, Problem> {
    let sent = object(body)?;
    let kinds = [
        "deals", "leads", "org", "people", "products", "activity", "projects",
    ];
    let valid = sent
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kinds.contains(&kind))
        && sent.get("name").is_some_and(Value::is_string)
        && sent.get("conditions").is_some_and(Value::is_object);
    if !valid {
        return Err(Problem::invalid(
            "Validation failed: name, type and conditions must be given".to_owned(),
        ));
    }
    let now = spaced(account.clock.now_ms());
    let mut filters = account.filters();
    let id = filters.last_key_value().map_or(271, |(id, _)| id + 1);
    let filter = json!({
        "id": id,
        "name": sent["name"],
        "active_flag": true,
        "type": sent["type"],
        "temporary_flag": null,
        "user_id": FIRST_USER_ID,
        "add_time": now,
        "update_time": now,
        "visible_to": "7",
        "custom_view_id": null,
        "conditions": spelled_out(&sent["conditions"]),
    });
    filters.insert(id, filter.clone());
    Ok(Reply::value(
        201,
        &json!({ "success": true, "data": filter }),
    ))
}

/// Conditions as they come back: numbers of fields as text, an extra value for each,
/// and a second group for alternatives.
fn spelled_out(conditions: &Value) -> Value {
    let mut groups = conditions["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for group in &mut groups {
        for condition in group["conditions"].as_array_mut().into_iter().flatten() {
            if let Some(id) = condition["field_id"].as_u64() {
                condition["field_id"] = json!(id.to_string());
            }
            if condition.get("extra_value").is_none() {
                condition["extra_value"] = Value::Null;
            }
        }
    }
    if groups.len() == 1 {
        groups.push(json!({ "glue": "or", "conditions": [] }));
    }
    json!({ "glue": conditions["glue"], "conditions": groups })
}

pub(super) fn delete_filters(account: &Account, query: &Query) -> Result<Reply, Problem> {
    let ids = query.ids()?;
    let mut filters = account.filters();
    let gone: Vec<u64> = ids
        .into_iter()
        .filter(|id| filters.remove(id).is_some())
        .collect();
    Ok(Reply::success(&json!({ "id": gone })))
}

pub(super) fn currencies() -> Reply {
    let currency = |id: u32, code: &str, name: &str, symbol: &str| {
        json!({
            "id": id, "code": code, "name": name, "decimal_points": 2, "symbol": symbol,
            "active_flag": true, "is_custom_flag": false,
        })
    };
    Reply::success(&json!([
        currency(1, "EUR", "Euro", "€"),
        currency(2, "USD", "US Dollar", "$"),
        currency(3, "GBP", "Pound Sterling", "£"),
    ]))
}

/// All subscriptions.
pub(super) fn webhooks(account: &Account) -> Reply {
    let data = account.subscriptions();
    Reply::value(200, &json!({"status": "ok", "success": true, "data": data}))
}

/// A new subscription.
pub(super) fn create_webhook(account: &Account, body: &[u8]) -> Result<Reply, Problem> {
    let data = account.subscribe(body)?;
    Ok(Reply::value(
        201,
        &json!({"status": "ok", "success": true, "data": data}),
    ))
}

/// The end of a subscription.
pub(super) fn delete_webhook(account: &Account, id: &str) -> Result<Reply, Problem> {
    match account.unsubscribe(id) {
        true => Ok(Reply::value(200, &json!({"status": "ok", "success": true}))),
        false => Err(Problem::not_found("Webhook")),
    }
}
