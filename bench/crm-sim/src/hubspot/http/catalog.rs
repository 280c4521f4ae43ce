//! What an account is made of: properties, schemas, owners, pipelines, limits.

use serde_json::{Value, json};

use super::reply::Reply;
use crate::clock::iso;
use crate::hubspot::account::{Account, Collection};
use crate::hubspot::kind::Kind;
use crate::hubspot::problem::Problem;

/// `GET /crm/v3/properties/{type}`.
pub(super) fn properties(collection: &Collection) -> Reply {
    let results = collection.records.schema.describe_all();
    Reply::value(200, &json!({ "results": results }))
}

/// `GET /crm/v3/properties/{type}/{name}`.
pub(super) fn property(collection: &Collection, name: &str) -> Result<Reply, Problem> {
    let schema = &collection.records.schema;
    let column = schema.column(name).ok_or_else(Problem::not_found)?;
    Ok(Reply::value(
        200,
        &schema.property(column).describe(collection.kind),
    ))
}

/// `GET /crm/v3/schemas`: custom object types only, of which there are none.
pub(super) fn schemas() -> Reply {
    Reply::value(200, &json!({ "results": [] }))
}

/// `GET /crm/v3/schemas/{type}`.
pub(super) fn schema(collection: &Collection) -> Reply {
    let kind = collection.kind;
    let title = |text: &str| {
        let mut letters = text.chars();
        letters.next().map_or(String::new(), |first| {
            first.to_uppercase().chain(letters).collect::<String>()
        })
    };
    let schema = &collection.records.schema;
    let (primary, secondary): (&str, &[&str]) = match kind {
        Kind::Contacts => ("firstname", &["lastname", "email", "phone"]),
        Kind::Companies => ("name", &["domain"]),
        Kind::Deals => ("dealname", &[]),
    };
    let searchable = [&[primary], secondary].concat();
    Reply::value(
        200,
        &json!({
            "labels": {"singular": title(kind.singular()), "plural": title(kind.plural())},
            "requiredProperties": [],
            "searchableProperties": searchable,
            "primaryDisplayProperty": primary,
            "secondaryDisplayProperties": secondary,
            "archived": false,
            "restorable": true,
            "metaType": "HUBSPOT",
            "id": kind.type_id().trim_start_matches("0-"),
            "fullyQualifiedName": kind.upper(),
            "createdAt": "1970-01-01T00:00:00Z",
            "updatedAt": "1970-01-01T00:00:00Z",
            "objectTypeId": kind.type_id(),
            "properties": schema.describe_all(),
            "associations": [],
            "name": kind.upper(),
        }),
    )
}

/// `GET /account-info/v3/details`.
pub(super) fn details(account: &Account) -> Reply {
    Reply::value(
        200,
        &json!({
            "portalId": account.config.portal_id,
            "accountType": "STANDARD",
            "timeZone": "UTC",
            "companyCurrency": "EUR",
            "additionalCurrencies": [],
            "utcOffset": "+00:00",
            "utcOffsetMilliseconds": 0,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
        }),
    )
}

/// `GET /integrations/v1/me`.
pub(super) fn legacy_details(account: &Account) -> Reply {
    Reply::value(
        200,
        &json!({
            "portalId": account.config.portal_id,
            "timeZone": "UTC",
            "accountType": "STANDARD",
            "currency": "EUR",
            "utcOffset": "+00:00",
            "utcOffsetMilliseconds": 0,
        }),
    )
}

/// `GET /account-info/v3/api-usage/daily`.
pub(super) fn daily_usage(account: &Account) -> Reply {
    const DAY_MS: i64 = 86_400_000;
    let now_ms = account.clock.now_ms();
    let (used, limit) = account.limits.usage();
    let midnight_ms = (now_ms.div_euclid(DAY_MS) + 1) * DAY_MS;
    Reply::value(
        200,
        &json!({"results": [{
            "name": "private-apps-api-calls-daily",
            "usageLimit": limit,
            "currentUsage": used,
            "collectedAt": iso(now_ms),
            "fetchStatus": "SUCCESS",
            "resetsAt": iso(midnight_ms),
        }]}),
    )
}

/// Owners that generated records refer to.
const OWNERS: u64 = 24;
/// Owners on one page at most.
const OWNERS_MAX: u64 = 500;

/// `GET /crm/v3/owners`: the owners that generated records refer to, none archived.
pub(super) fn owners(query: &str) -> Result<Reply, Problem> {
    let form = crate::tokens::form(query.as_bytes());
    let number = |name: &str, otherwise: u64| match form.get(name) {
        None => Ok(otherwise),
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| Problem::validation(format!("{name} must be an integer, but was {text}"))),
    };
    let limit = number("limit", 100)?;
    if !(1..=OWNERS_MAX).contains(&limit) {
        return Err(Problem::validation(format!(
            "limit must be an integer from 1 to {OWNERS_MAX}, but was {limit}"
        )));
    }
    let start = number("after", 0)?;
    let count = match form.get("archived").map(String::as_str) {
        Some("true" | "True") => 0,
        _ => OWNERS,
    };
    let end = start.saturating_add(limit).min(count);
    let owners: Vec<Value> = (start..end)
        .map(|number| {
            json!({
                "id": (40_000_001 + number).to_string(),
                "email": format!("owner{number}@example.com"),
                "firstName": "Owner",
                "lastName": number.to_string(),
                "userId": 13_534_722 + number,
                "createdAt": "2020-01-01T00:00:00.000Z",
                "updatedAt": "2020-01-01T00:00:00.000Z",
                "archived": false,
            })
        })
        .collect();
    let mut page = json!({ "results": owners });
    if end < count {
        page["paging"] = json!({ "next": { "after": end.to_string() } });
    }
    Ok(Reply::value(200, &page))
}

/// `GET /crm/v3/pipelines/{type}`: the one that generated deals are in.
pub(super) fn pipelines(collection: &Collection) -> Reply {
    let schema = &collection.records.schema;
    let stages: Vec<Value> = schema
        .column("dealstage")
        .map(|column| schema.property(column).describe(collection.kind))
        .and_then(|stages| stages.get("options").cloned())
        .and_then(|options| options.as_array().cloned())
        .unwrap_or_default()
        .into_iter()
        .map(|option| {
            json!({
                "id": option["value"],
                "label": option["label"],
                "displayOrder": option["displayOrder"],
                "metadata": {"isClosed": "false"},
                "createdAt": "2020-01-01T00:00:00Z",
                "updatedAt": "2020-01-01T00:00:00Z",
                "archived": false,
            })
        })
        .collect();
    let pipeline = json!({
        "id": "default",
        "label": "Sales Pipeline",
        "displayOrder": 0,
        "stages": stages,
        "createdAt": "2020-01-01T00:00:00Z",
        "updatedAt": "2020-01-01T00:00:00Z",
        "archived": false,
    });
    let results = if stages_exist(&pipeline) {
        vec![pipeline]
    } else {
        Vec::new()
    };
    Reply::value(200, &json!({ "results": results }))
}

fn stages_exist(pipeline: &Value) -> bool {
    pipeline["stages"]
        .as_array()
        .is_some_and(|stages| !stages.is_empty())
}
