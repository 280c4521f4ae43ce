//! Lists, single records and deletions.

use serde_json::{Map, Value, json};

use super::query::{Query, parse_id};
use super::reply::Reply;
use crate::control::Changes as _;
use crate::meter::add;
use crate::pipedrive::account::{Account, Collection};
use crate::pipedrive::kind::Kind;
use crate::pipedrive::page::{self, Cut, Page, Selection, Sort};
use crate::pipedrive::problem::Problem;
use crate::pipedrive::render::{Dialect, Occasion, Projection};
use crate::pipedrive::schema::{FIRST_USER_ID, Schema};
use crate::pipedrive::users;
use crate::pipedrive::wire::parse_spaced;

/// How far back the list of recent changes goes.
const RECENTS_MS: i64 = 31 * 86_400_000;

/// A page of the second version.
pub(super) fn second_version(
    account: &Account,
    collection: &Collection,
    query: &Query,
    archived: bool,
    keep: usize,
) -> Result<Reply, Problem> {
    let schema = collection.schema();
    let (mut selection, cut) = query.second_version(&schema, keep)?;
    selection.archived = archived;
    let custom = query.custom_fields()?;
    let projection = Projection::new(
        &schema,
        Dialect::Second,
        Occasion::Listed,
        custom.as_deref(),
    );
    let page = page::render(
        account,
        collection,
        &schema,
        &selection,
        cut,
        &projection,
        false,
    );
    add(&account.meter.records, page.returned);
    let next = json!(query.cursor(page.next));
    let rest = format!("],\"additional_data\":{{\"next_cursor\":{next}}}}}");
    Ok(Reply::json(200, enveloped(page, &rest)))
}

/// A page of the first version. An empty list is null.
pub(super) fn first_version(
    account: &Account,
    collection: &Collection,
    query: &Query,
    archived: bool,
    keep: usize,
) -> Result<Reply, Problem> {
    let schema = collection.schema();
    let (mut selection, cut) = query.first_version(&schema, keep)?;
    selection.archived |= archived;
    let projection = Projection::new(&schema, Dialect::First, Occasion::Listed, None);
    let page = page::render(
        account,
        collection,
        &schema,
        &selection,
        cut,
        &projection,
        true,
    );
    add(&account.meter.records, page.returned);
    let mut pagination = json!({
        "start": cut.skip,
        "limit": cut.limit,
        "more_items_in_collection": page.next.is_some(),
    });
    if page.next.is_some() {
        pagination["next_start"] = json!(cut.skip + cut.limit);
    }
    if page.returned == 0 {
        return Ok(Reply::value(
            200,
            &json!({
                "success": true,
                "data": null,
                "additional_data": { "pagination": pagination },
            }),
        ));
    }
    let rest = format!("],\"additional_data\":{{\"pagination\":{pagination}}}}}");
    Ok(Reply::json(200, enveloped(page, &rest)))
}

fn enveloped(page: Page, rest: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(page.records.len() + rest.len() + 32);
    body.extend_from_slice(b"{\"success\":true,\"data\":[");
    body.extend_from_slice(&page.records);
    body.extend_from_slice(rest.as_bytes());
    body
}

/// What changed since a time, at most a month ago; deleted records too.
pub(super) fn recents(account: &Account, query: &Query) -> Result<Reply, Problem> {
    let since = query.value("since_timestamp").unwrap_or_default();
    let since_ms = parse_spaced(since).ok_or_else(|| {
        Problem::invalid("since_timestamp must be in the format YYYY-MM-DD HH:MM:SS".to_owned())
    })?;
    let since_ms = since_ms.max(account.clock.now_ms() - RECENTS_MS);
    let wanted = query.value("items").unwrap_or("deal,person,organization");
    let (start, limit) = (query.start()?, query.limit(Dialect::First)?);
    let mut found: Vec<(i64, u64, Kind, String)> = Vec::new();
    for name in wanted.split(',') {
        let Some(kind) = Kind::from_singular(name).filter(|kind| *kind != Kind::Leads) else {
            continue;
        };
        let collection = account.collection(kind);
        let schema = collection.schema();
        let projection = Projection::new(&schema, Dialect::First, Occasion::Listed, None);
        for deleted in [false, true] {
            for archived in [false, true] {
                let selection = Selection {
                    sort: Sort::Updated,
                    since_ms: Some(since_ms),
                    archived,
                    deleted,
                    ..Selection::all()
                };
                if deleted && archived {
                    continue;
                }
                let cut = Cut {
                    after: None,
                    skip: 0,
                    limit: start.saturating_add(limit).saturating_add(1),
                    keep: usize::MAX,
                };
                let page = page::render(
                    account,
                    collection,
                    &schema,
                    &selection,
                    cut,
                    &projection,
                    true,
                );
                let records = [b"[", page.records.as_slice(), b"]"].concat();
                let records: Vec<Value> = serde_json::from_slice(&records).unwrap_or_default();
                found.extend(records.into_iter().map(|record| {
                    let time = record["update_time"].as_str().unwrap_or_default();
                    let id = record["id"].as_u64().unwrap_or(0);
                    let item = json!({ "item": kind.singular(), "id": id, "data": record });
                    (parse_spaced(time).unwrap_or(0), id, kind, item.to_string())
                }));
            }
        }
    }
    found.sort_unstable_by_key(|(time_ms, id, kind, _)| (*time_ms, *kind, *id));
    let more = found.len() > start.saturating_add(limit);
    let items: Vec<&str> = found
        .iter()
        .skip(start)
        .take(limit)
        .map(|(_, _, _, item)| item.as_str())
        .collect();
    add(&account.meter.records, items.len() as u64);
    let mut pagination = json!({
        "start": start,
        "limit": limit,
        "more_items_in_collection": more,
    });
    if more {
        pagination["next_start"] = json!(start + limit);
    }
    let body = format!(
        "{{\"success\":true,\"data\":[{}],\"additional_data\":{{\"since_timestamp\":{},\"pagination\":{pagination}}}}}",
        items.join(","),
        json!(since),
    );
    Ok(Reply::json(200, body.into_bytes()))
}

/// One record. A deleted one is still there for a month, marked.
pub(super) fn read(
    account: &Account,
    collection: &Collection,
    id: &str,
    query: &Query,
    dialect: Dialect,
) -> Result<Reply, Problem> {
    let id = parse_id(collection.kind, id)?;
    let custom = match dialect {
        Dialect::First => None,
        Dialect::Second => query.custom_fields()?,
    };
    let record = rendered(
        account,
        collection,
        id,
        dialect,
        Occasion::Read,
        custom.as_deref(),
    )
    .ok_or_else(|| missing(collection.kind))?;
    if dialect == Dialect::Second || collection.kind == Kind::Leads {
        return Ok(Reply::success(&record));
    }
    let mut additional = json!({ "dropbox_email": "acme@pipedrivemail.com" });
    if collection.kind == Kind::Organizations {
        let owner = record["owner_id"]["id"].as_u64().unwrap_or(FIRST_USER_ID);
        let follower = users::reference(owner);
        additional["followers"] = json!({
            owner.to_string(): {
                "name": follower["name"],
                "email": follower["email"],
                "user_id": owner,
                "pic_hash": null,
                "id": id,
            },
        });
    }
    Ok(Reply::value(
        200,
        &json!({
            "success": true,
            "data": record,
            "additional_data": additional,
            "related_objects": related(&record),
        }),
    ))
}

/// Who a record of the first version refers to.
pub(super) fn related(record: &Value) -> Value {
    let mut related = Map::new();
    let owner = [&record["owner_id"]["id"], &record["user_id"]["id"]];
    if let Some(owner) = owner.into_iter().find_map(Value::as_u64) {
        let users = json!({ owner.to_string(): users::reference(owner) });
        related.insert("user".to_owned(), users);
    }
    Value::Object(related)
}

pub(super) fn rendered(
    account: &Account,
    collection: &Collection,
    id: u64,
    dialect: Dialect,
    occasion: Occasion,
    custom: Option<&[&str]>,
) -> Option<Value> {
    let schema: &Schema = &collection.schema();
    let projection = Projection::new(schema, dialect, occasion, custom);
    let record = page::single(account, collection, schema, id, &projection)?;
    serde_json::from_slice(&record).ok()
}

pub(super) fn missing(kind: Kind) -> Problem {
    let mut name = kind.singular().to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Problem::not_found(&name)
}

/// Deletes one record; a second time it is not there any more.
pub(super) fn delete(
    account: &Account,
    collection: &Collection,
    id: &str,
) -> Result<Reply, Problem> {
    let number = parse_id(collection.kind, id)?;
    let now_ms = account.clock.now_ms();
    if account
        .delete(collection.kind, &[number], now_ms)
        .is_empty()
    {
        return Err(gone_or_missing(collection, number));
    }
    let id = match collection.kind {
        Kind::Leads => json!(id),
        _ => json!(number),
    };
    Ok(Reply::success(&json!({ "id": id })))
}

/// Why a record cannot be written.
pub(super) fn gone_or_missing(collection: &Collection, id: u64) -> Problem {
    let exists = collection.records.with_view(id, |_| ()).is_some();
    if exists && collection.kind == Kind::Deals {
        return Problem::gone("Deal was deleted".to_owned());
    }
    missing(collection.kind)
}

/// Deletes several records of the first version.
pub(super) fn delete_many(
    account: &Account,
    collection: &Collection,
    query: &Query,
) -> Result<Reply, Problem> {
    let ids = query.ids()?;
    let deleted = account.delete(collection.kind, &ids, account.clock.now_ms());
    if deleted.is_empty() {
        return Err(missing(collection.kind));
    }
    Ok(Reply::success(&json!({ "id": deleted })))
}
