//! What an account is made of: properties, schemas, owners, pipelines, limits.

pub(super) mod pipelines;

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
        &schema.property(column).describe(&schema.names),
    ))
}

/// `GET /crm/v3/schemas`: the types that the account defined itself.
pub(super) fn schemas(account: &Account) -> Reply {
    let own = account.collections.iter();
    let own = own.filter(|collection| matches!(collection.kind, Kind::Custom(_)));
    let results: Vec<Value> = own.map(|own| described(account, own)).collect();
    Reply::value(200, &json!({ "results": results }))
}

/// `GET /crm/v3/schemas/{type}`.
pub(super) fn schema(account: &Account, collection: &Collection) -> Reply {
    Reply::value(200, &described(account, collection))
}

fn described(account: &Account, collection: &Collection) -> Value {
    let schema = &collection.records.schema;
    let named = schema.property(schema.edited).name.as_str();
    let (primary, secondary, required): (&str, &[&str], &[&str]) = match collection.kind {
        Kind::Contacts => ("firstname", &["lastname", "email", "phone"], &[]),
        Kind::Companies => ("name", &["domain"], &[]),
        Kind::Deals => ("dealname", &[], &[]),
        Kind::Tickets => ("subject", &["hs_pipeline_stage"], &[]),
        Kind::Custom(_) => (named, &[], &[named]),
    };
    let searchable = [&[primary], secondary].concat();
    let names = &schema.names;
    let number = names.type_id.split_once('-').map(|(_, number)| number);
    let (meta, defined) = match collection.kind {
        Kind::Custom(_) => ("PORTAL_SPECIFIC", "2021-10-13T22:50:04.581Z"),
        _ => ("HUBSPOT", "1970-01-01T00:00:00Z"),
    };
    json!({
        "labels": {"singular": names.labels[0], "plural": names.labels[1]},
        "requiredProperties": required,
        "searchableProperties": searchable,
        "primaryDisplayProperty": primary,
        "secondaryDisplayProperties": secondary,
        "archived": false,
        "restorable": true,
        "metaType": meta,
        "id": number,
        "fullyQualifiedName": names.qualified,
        "createdAt": defined,
        "updatedAt": defined,
        "objectTypeId": names.type_id,
        "properties": schema.describe_all(),
        "associations": account.labels.described(collection.kind, &account.config),
        "name": names.name,
    })
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
