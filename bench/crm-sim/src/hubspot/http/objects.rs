//! Reading records: lists, single records and searches.

use std::borrow::Cow;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use url::form_urlencoded;

use super::reply::Reply;
use super::{history, links};
use crate::hubspot::account::{Account, Collection};
use crate::hubspot::kind::Kind;
use crate::hubspot::problem::Problem;
use crate::hubspot::render::{RECORD_BYTES, record};
use crate::hubspot::search::{SearchRequest, compile};
use crate::meter::add;

const LIST_MAX: usize = 100;
/// The most where earlier values are asked for.
const LIST_WITH_HISTORY_MAX: usize = 50;
const LIST_DEFAULT: usize = 10;
/// Generated records above which a search may take long enough to be moved off
/// the connection's thread.
const INLINE_RECORDS_MAX: u32 = 50_000;

/// The query parameters of a read, properties joined with commas.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters<'a> {
    limit: Option<Cow<'a, str>>,
    after: Option<Cow<'a, str>>,
    pub(super) properties: Option<Cow<'a, str>>,
    /// Properties whose earlier values are asked for, joined with commas.
    with_history: Option<Cow<'a, str>>,
    /// Kinds of record whose associations are asked for, joined with commas.
    associations: Option<Cow<'a, str>>,
    pub(super) archived: bool,
    pub(super) id_property: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    pub(super) fn parse(query: &'a str) -> Result<Parameters<'a>, Problem> {
        let mut parameters = Parameters::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "limit" => parameters.limit = Some(value),
                "after" => parameters.after = Some(value),
                "properties" => join(&mut parameters.properties, value),
                "propertiesWithHistory" => join(&mut parameters.with_history, value),
                "associations" => join(&mut parameters.associations, value),
                "archived" => {
                    // The official Python client sends `True` and `False`.
                    parameters.archived = value.to_ascii_lowercase().parse().map_err(|_| {
                        Problem::validation(format!(
                            "archived must be true or false, but was {value}"
                        ))
                    })?;
                }
                "idProperty" => parameters.id_property = Some(value),
                _ => {}
            }
        }
        Ok(parameters)
    }

    fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = &self.limit else {
            return Ok(LIST_DEFAULT);
        };
        let most = match self.with_history {
            Some(_) => LIST_WITH_HISTORY_MAX,
            None => LIST_MAX,
        };
        match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(Problem::validation(format!(
                "limit must be an integer from 1 to {most}, but was {text}"
            ))),
        }
    }

    fn kinds(&self, account: &Account) -> Result<Vec<Kind>, Problem> {
        let names = self.associations.as_deref().unwrap_or("");
        links::embedded::kinds(account, names)
    }

    fn after(&self) -> Result<Option<u64>, Problem> {
        let Some(text) = self.after.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let decoded = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let id = decoded
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.parse().ok());
        id.map(Some)
            .ok_or_else(|| Problem::validation(format!("Invalid paging cursor: {text}")))
    }
}

/// A parameter that is given several times is one list.
fn join<'a>(names: &mut Option<Cow<'a, str>>, more: Cow<'a, str>) {
    *names = Some(match names.take() {
        Some(first) => Cow::Owned(format!("{first},{more}")),
        None => more,
    });
}

/// `GET /crm/v3/objects/{type}`.
pub(super) fn list(
    account: &Account,
    collection: &Collection,
    path: &str,
    query: &str,
    keep: usize,
) -> Result<Reply, Problem> {
    let parameters = Parameters::parse(query)?;
    let limit = parameters.limit()?;
    let after = parameters.after()?;
    let projection = collection.projection(parameters.properties.as_deref());
    let shown = limit.min(keep);
    let mut out = Vec::with_capacity(shown * RECORD_BYTES + 1024);
    out.extend_from_slice(b"{\"results\":[");
    let records = &collection.records;
    let kinds = parameters.kinds(account)?;
    let page = match &parameters.with_history {
        None if kinds.is_empty() => {
            records.list(after, shown, parameters.archived, &projection, &mut out)
        }
        names => {
            let mut rendered: Vec<(u64, Vec<u8>)> = Vec::with_capacity(shown);
            let page = records.page(after, shown, parameters.archived, |view| {
                let mut one = Vec::with_capacity(RECORD_BYTES);
                record(view, &projection, &mut one);
                rendered.push((view.row.id, one));
            });
            let whole = rendered.into_iter().map(|(id, mut one)| {
                if let Some(names) = names {
                    history::append(records, id, names, &mut one);
                }
                links::embedded::append(account, (collection.kind, id), &kinds, &mut one);
                one
            });
            out.extend(whole.collect::<Vec<_>>().join(&b','));
            page
        }
    };
    out.push(b']');
    add(&account.meter.records, page.returned);
    if let Some(next) = page.next_after {
        let token = BASE64URL_NOPAD.encode(next.to_string().as_bytes());
        let base = account.config.link_base.as_deref();
        let link = link(base.unwrap_or(&account.base_url), path, query, &token);
        out.extend_from_slice(b",\"paging\":{\"next\":{\"after\":\"");
        out.extend_from_slice(token.as_bytes());
        out.extend_from_slice(b"\",\"link\":\"");
        out.extend_from_slice(link.as_bytes());
        out.extend_from_slice(b"\"}}");
    }
    out.push(b'}');
    Ok(Reply::json(200, out))
}

/// The address of the next page: the same request with another cursor.
fn link(base: &str, path: &str, query: &str, token: &str) -> String {
    let kept = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let mut link = format!("{base}{path}?");
    for pair in kept {
        link.push_str(pair);
        link.push('&');
    }
    link.push_str("after=");
    link.push_str(token);
    link
}

/// `GET /crm/v3/objects/{type}/{id}`.
pub(super) fn read(
    account: &Account,
    collection: &Collection,
    name: &str,
    query: &str,
) -> Result<Reply, Problem> {
    let parameters = Parameters::parse(query)?;
    let kinds = parameters.kinds(account)?;
    let id = resolve(collection, name, parameters.id_property.as_deref())?;
    let projection = collection.projection(parameters.properties.as_deref());
    let body = collection.records.with_view(id, |view| {
        let mut out = Vec::with_capacity(RECORD_BYTES);
        let wanted = view.archived_ms.is_some() == parameters.archived;
        record(&view, &projection, &mut out);
        wanted.then_some(out)
    });
    let mut body = body.flatten().ok_or_else(Problem::not_found)?;
    if let Some(names) = &parameters.with_history {
        history::append(&collection.records, id, names, &mut body);
    }
    links::embedded::append(account, (collection.kind, id), &kinds, &mut body);
    Ok(Reply::json(200, body))
}

/// The id that a path names, by itself or by a unique property.
pub(super) fn resolve(
    collection: &Collection,
    name: &str,
    id_property: Option<&str>,
) -> Result<u64, Problem> {
    let Some(property) = id_property else {
        let id = name.parse().map_err(|_| Problem::not_found())?;
        // A record that was merged away answers as the one that it became a part of.
        return Ok(collection.records.surviving(id));
    };
    let schema = &collection.records.schema;
    let column = schema
        .column(property)
        .ok_or_else(|| Problem::validation(format!("idProperty {property} does not exist")))?;
    let found = collection.records.find(column, name);
    found.ok_or_else(Problem::not_found)
}

/// `POST /crm/v3/objects/{type}/search`.
pub(super) async fn search(
    account: &Arc<Account>,
    kind: Kind,
    body: &[u8],
    keep: usize,
) -> Result<Reply, Problem> {
    let request: SearchRequest =
        serde_json::from_slice(body).map_err(|error| Problem::invalid_json(&error))?;
    let collection = account.collection(kind);
    let mut query = compile(&request, &collection.records.schema)?;
    query.limit = query.limit.min(keep);
    let names = request.properties.as_ref();
    let projection = collection.projection(
        names
            .filter(|names| !names.is_empty())
            .map(|names| names.join(","))
            .as_deref(),
    );
    let owner = Arc::clone(account);
    let find = move || {
        let collection = owner.collection(kind);
        let mut out = Vec::with_capacity(query.limit * RECORD_BYTES + 256);
        let page = collection.index.search(
            &collection.records,
            &query,
            owner.quirks(),
            &projection,
            &mut out,
        );
        (out, page, query.offset)
    };
    let (results, page, offset) = if collection.records.count > INLINE_RECORDS_MAX {
        tokio::task::spawn_blocking(find)
            .await
            .map_err(|_| Problem::server(500))?
    } else {
        find()
    };
    add(&account.meter.records, page.returned as u64);
    let mut out = format!("{{\"total\":{},\"results\":[", page.total).into_bytes();
    out.extend_from_slice(&results);
    out.push(b']');
    let next = offset + page.hits;
    if next < page.total {
        out.extend_from_slice(
            format!(",\"paging\":{{\"next\":{{\"after\":\"{next}\"}}}}").as_bytes(),
        );
    }
    out.push(b'}');
    Ok(Reply::json(200, out))
}
