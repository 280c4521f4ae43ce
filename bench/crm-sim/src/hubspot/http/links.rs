//! Associations over HTTP: of one record, and of many at once.

mod batch;
pub(super) mod embedded;
pub(super) mod legacy;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::Reply;
use super::route::Linked;
use crate::hubspot::account::Account;
use crate::hubspot::associations::{Change, End, Label, Types};
use crate::hubspot::kind::Kind;
use crate::hubspot::problem::Problem;

/// Records on one page where the request does not say.
const PAGE_DEFAULT: usize = 500;

/// A kind of association as a request names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::hubspot::http) struct Named {
    association_category: String,
    association_type_id: u32,
}

impl Named {
    pub(in crate::hubspot::http) fn type_id(&self) -> u32 {
        self.association_type_id
    }
}

/// Answers a request for associations between two kinds.
pub(super) fn answer(
    account: &Account,
    pair: (Kind, Kind),
    what: &Linked,
    query: &str,
    body: &[u8],
) -> Result<Reply, Problem> {
    match what {
        Linked::Of { id, modern } => of(account, pair, id, *modern, query),
        Linked::Labels => Ok(labels(account, pair)),
        Linked::Put { id, to, plain } => put(account, pair, (id, to), *plain, body),
        Linked::Delete { id, to } => {
            if let (Ok(id), Ok(to)) = (id.parse(), to.parse()) {
                unlink(account, (pair.0, id), (pair.1, to));
            }
            Ok(Reply::empty(204))
        }
        Linked::BatchRead { modern } => batch::read(account, pair, *modern, body),
        Linked::BatchCreate { modern, plain } => {
            batch::create(account, pair, *modern, *plain, body)
        }
        Linked::BatchArchive { modern } => batch::archive(account, pair, *modern, body),
        Linked::BatchArchiveLabels => batch::archive_labels(account, pair, body),
    }
}

fn of(
    account: &Account,
    pair: (Kind, Kind),
    id: &str,
    modern: bool,
    query: &str,
) -> Result<Reply, Problem> {
    let form = crate::tokens::form(query.as_bytes());
    let page_max = account.config.association_page_max;
    let limit = match form.get("limit").map(|text| text.parse::<usize>()) {
        None => PAGE_DEFAULT.min(page_max),
        Some(Ok(limit)) if (1..=PAGE_DEFAULT).contains(&limit) => limit.min(page_max),
        Some(_) => {
            return Err(Problem::validation(format!(
                "limit must be an integer from 1 to {PAGE_DEFAULT}"
            )));
        }
    };
    let after = after(form.get("after").map(String::as_str))?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let edges = account.associated((pair.0, id), pair.1);
    let edges = edges.ok_or_else(Problem::not_found)?;
    let (shown, next) = page(account, &edges, after, limit, modern);
    let mut answer = json!({ "results": shown });
    if let Some(next) = next {
        answer["paging"] = json!({"next": {"after": next.to_string()}});
    }
    Ok(Reply::value(200, &answer))
}

/// The cursor of a page: the last record of the page before.
fn after(text: Option<&str>) -> Result<u64, Problem> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(0),
        Some(text) => text
            .parse()
            .map_err(|_| Problem::validation(format!("Invalid paging cursor: {text}"))),
    }
}

/// One page of associations, and the cursor of the next.
fn page(
    account: &Account,
    edges: &BTreeMap<u64, Types>,
    after: u64,
    limit: usize,
    modern: bool,
) -> (Vec<Value>, Option<u64>) {
    let mut rest = edges.range(after + 1..);
    let taken: Vec<(&u64, &Types)> = rest.by_ref().take(limit).collect();
    let last = taken.last().map(|(id, _)| **id);
    let next = last.filter(|_| rest.next().is_some());
    let shown = taken.into_iter().flat_map(|(id, types)| {
        let known = types
            .iter()
            .filter_map(|number| account.labels.get(*number));
        shown(*id, known, modern)
    });
    (shown.collect(), next)
}

/// An association in the form of its version: version 4 shows one entry with all kinds,
/// version 3 one for each kind.
fn shown<'a>(id: u64, known: impl Iterator<Item = &'a Label>, modern: bool) -> Vec<Value> {
    if modern {
        let types: Vec<Value> = known.map(described).collect();
        // A number, though the published description says text.
        return vec![json!({"toObjectId": id, "associationTypes": types})];
    }
    known
        .map(|label| json!({"id": id.to_string(), "type": label.name}))
        .collect()
}

fn described(label: &Label) -> Value {
    json!({
        "category": label.category.wire(),
        "typeId": label.type_id,
        "label": label.text,
    })
}

fn labels(account: &Account, (from, to): (Kind, Kind)) -> Reply {
    let labels: Vec<Value> = account.labels.between(from, to).map(described).collect();
    Reply::value(200, &json!({ "results": labels }))
}

fn put(
    account: &Account,
    (from, to): (Kind, Kind),
    (id, to_id): (&str, &str),
    plain: bool,
    body: &[u8],
) -> Result<Reply, Problem> {
    let named: Vec<Named> = match plain {
        true => Vec::new(),
        false => serde_json::from_slice(body).map_err(|error| Problem::invalid_json(&error))?,
    };
    let types = match plain {
        true => plain_types(account, (from, to))?,
        false => checked(account, (from, to), &named)?,
    };
    let both: Option<(u64, u64)> = id.parse().ok().zip(to_id.parse().ok());
    let (id, to_id) = both
        .filter(|(id, to_id)| are_live(account, (from, *id), (to, *to_id)))
        .ok_or_else(Problem::not_found)?;
    link(account, (from, id), (to, to_id), &types);
    if plain {
        let results = default_results(account, (from, id), (to, to_id), &types);
        let answer = json!({
            "status": "COMPLETE",
            "results": results,
            "startedAt": crate::clock::iso(account.clock.now_ms()),
            "completedAt": crate::clock::iso(account.clock.now_ms()),
        });
        return Ok(Reply::value(200, &answer));
    }
    Ok(Reply::value(
        201,
        &pair_labels(account, (from, id), (to, to_id), &types),
    ))
}

pub(in crate::hubspot::http) fn are_live(account: &Account, from: End, to: End) -> bool {
    account.collection(from.0).records.is_live(from.1)
        && account.collection(to.0).records.is_live(to.1)
}

/// The kinds of association that a request names, which must be those of the pair.
pub(in crate::hubspot::http) fn checked(
    account: &Account,
    (from, to): (Kind, Kind),
    named: &[Named],
) -> Result<Types, Problem> {
    let fits = |one: &Named| {
        let mut known = account.labels.between(from, to);
        known.any(|label| {
            label.type_id == one.association_type_id
                && label.category.wire() == one.association_category
        })
    };
    match named.iter().find(|one| !fits(one)) {
        None if named.is_empty() => Err(Problem::validation(
            "At least one association type must be given".to_owned(),
        )),
        None => Ok(named.iter().map(|one| one.association_type_id).collect()),
        Some(one) => Err(Problem::validation(format!(
            "{} {} is not an association type between {} and {}",
            one.association_category,
            one.association_type_id,
            account.collection(from).records.schema.names.name,
            account.collection(to).records.schema.names.name,
        ))),
    }
}

/// The plain kind of association of a pair.
fn plain_types(account: &Account, (from, to): (Kind, Kind)) -> Result<Types, Problem> {
    let mut known = account.labels.between(from, to);
    let plain = known.find(|label| label.text.is_none());
    plain.map(|label| vec![label.type_id]).ok_or_else(|| {
        Problem::validation(format!(
            "{} and {} cannot be associated",
            account.collection(from).records.schema.names.name,
            account.collection(to).records.schema.names.name,
        ))
    })
}

/// Associates two records. A labelled association is a plain one too.
pub(in crate::hubspot::http) fn link(account: &Account, from: End, to: End, types: &[u32]) {
    let mut types = types.to_vec();
    if let Ok(plain) = plain_types(account, (from.0, to.0)) {
        types.extend(plain);
    }
    account.associate(from, to, &types, Change::Add);
}

/// Ends every association of two records.
fn unlink(account: &Account, from: End, to: End) {
    let types = account.types_of(from, to);
    account.associate(from, to, &types, Change::Remove);
}

/// What version 4 answers to a new association.
fn pair_labels(account: &Account, from: End, to: End, types: &[u32]) -> Value {
    let known = types
        .iter()
        .filter_map(|number| account.labels.get(*number));
    let labels: Vec<&str> = known.filter_map(|label| label.text).collect();
    let type_id = |kind: Kind| &account.collection(kind).records.schema.names.type_id;
    json!({
        "fromObjectTypeId": type_id(from.0),
        "fromObjectId": from.1,
        "toObjectTypeId": type_id(to.0),
        "toObjectId": to.1,
        "labels": labels,
    })
}

/// What the plain association of two records answers, once for each direction.
fn default_results(account: &Account, from: End, to: End, types: &[u32]) -> Vec<Value> {
    let known = types
        .iter()
        .filter_map(|number| account.labels.get(*number));
    let one = |from: End, to: End, type_id: u32, category: &str| {
        json!({
            "from": {"id": from.1.to_string()},
            "to": {"id": to.1.to_string()},
            "associationSpec": {"associationCategory": category, "associationTypeId": type_id},
        })
    };
    known
        .flat_map(|label| {
            let category = label.category.wire();
            [
                one(from, to, label.type_id, category),
                one(to, from, label.inverse, category),
            ]
        })
        .collect()
}
