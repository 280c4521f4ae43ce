//! Associations as version 1 knows them: by the number of their kind, which says what
//! they lead from and to.

use serde::Deserialize;
use serde_json::{Value, json};

use super::link;
use crate::hubspot::account::Account;
use crate::hubspot::associations::{Change, Label};
use crate::hubspot::http::reply::Reply;
use crate::hubspot::problem::Problem;

/// Records on one page at most.
const PAGE_MAX: usize = 100;

/// Ids come as numbers or as text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    from_object_id: Value,
    to_object_id: Value,
    definition_id: u32,
}

fn defined(account: &Account, type_id: u32) -> Result<&Label, Problem> {
    let known = account.labels.get(type_id);
    known.ok_or_else(|| Problem::validation(format!("Unknown association definition {type_id}")))
}

/// `GET /crm-associations/v1/associations/{id}/HUBSPOT_DEFINED/{definition}`.
pub(in crate::hubspot::http) fn read(
    account: &Account,
    id: &str,
    type_id: &str,
    query: &str,
) -> Result<Reply, Problem> {
    let type_id = type_id.parse().map_err(|_| Problem::not_found())?;
    let label = defined(account, type_id)?;
    let form = crate::tokens::form(query.as_bytes());
    let number = |name: &str| form.get(name).and_then(|text| text.parse::<u64>().ok());
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok());
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let edges = account.associated((label.from, id), label.to);
    let edges = edges.unwrap_or_default();
    let with_type = edges.iter().filter(|(_, types)| types.contains(&type_id));
    let mut rest = with_type
        .map(|(id, _)| *id)
        .filter(|id| *id > number("offset").unwrap_or(0));
    let results: Vec<u64> = rest
        .by_ref()
        .take(limit.unwrap_or(PAGE_MAX).min(PAGE_MAX))
        .collect();
    Ok(Reply::value(
        200,
        &json!({
            "offset": results.last().copied().unwrap_or(0),
            "hasMore": rest.next().is_some(),
            "results": results,
        }),
    ))
}

/// `PUT /crm-associations/v1/associations`, and `/delete` below it.
pub(in crate::hubspot::http) fn write(
    account: &Account,
    remove: bool,
    body: &[u8],
) -> Result<Reply, Problem> {
    let wanted: Link =
        serde_json::from_slice(body).map_err(|error| Problem::invalid_json(&error))?;
    let label = defined(account, wanted.definition_id)?;
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    let ends = number(&wanted.from_object_id).zip(number(&wanted.to_object_id));
    let (from, to) = ends
        .map(|(from, to)| ((label.from, from), (label.to, to)))
        .filter(|(from, to)| super::are_live(account, *from, *to))
        .ok_or_else(Problem::not_found)?;
    if remove {
        let types = account.types_of(from, to);
        account.associate(from, to, &types, Change::Remove);
    } else {
        link(account, from, to, &[label.type_id]);
    }
    Ok(Reply::empty(204))
}
