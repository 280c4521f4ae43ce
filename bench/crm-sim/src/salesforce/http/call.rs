//! One authenticated request on its way to its handler.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::reply::Reply;
use super::route::{Route, Target};
use super::{bulk, collections, composite, describe, ingest, query, replication, service, writes};
use crate::salesforce::object::Object;
use crate::salesforce::org::{Collection, Org};
use crate::salesforce::problem::Problem;
use crate::tokens::Form;

pub(super) struct Call {
    pub(super) org: Arc<Org>,
    pub(super) user: Arc<str>,
    pub(super) route: Route,
    pub(super) method: Method,
    pub(super) query: Form,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How many records a page may hold at most.
    pub(super) keep: u64,
    /// Whether the answer must exist as a whole before it is sent.
    pub(super) whole: bool,
}

impl Call {
    pub(super) fn version(&self) -> &str {
        &self.route.version
    }

    /// `62` of `62.0`.
    pub(super) fn major(&self) -> u32 {
        let major = self.version().split('.').next();
        major.and_then(|major| major.parse().ok()).unwrap_or(0)
    }

    /// The object that a path names.
    pub(super) fn collection(&self, name: &str) -> Result<&Collection, Problem> {
        Object::parse(name)
            .map(|object| self.org.collection(object))
            .ok_or_else(Problem::not_found)
    }

    /// A parameter of the query that must be there.
    pub(super) fn parameter(&self, name: &str) -> Result<&str, Problem> {
        self.query.get(name).map(String::as_str).ok_or_else(|| {
            Problem::new(
                400,
                "MISSING_ARGUMENT",
                format!("Missing required parameter: {name}"),
            )
        })
    }

    /// The JSON body.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::json_parser(format!("Unexpected input: {error}")))
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.org.clock.now_ms()
    }

    fn wrong_method(&self) -> Problem {
        Problem::wrong_method(self.method.as_str())
    }
}

/// Answers a request of the data API.
pub(super) fn dispatch(call: &Call) -> Result<Reply, Problem> {
    let get = call.method == Method::GET || call.method == Method::HEAD;
    let post = call.method == Method::POST;
    match &call.route.target {
        Target::Identity(who) if get || call.method == Method::POST => {
            service::identity(call, who.as_ref())
        }
        Target::Resources if get => Ok(service::resources(call)),
        Target::Limits if get => Ok(service::limits(call)),
        Target::Sobjects if get => Ok(describe::global(call)),
        Target::Sobject(name) if get => describe::basic(call, name),
        Target::Describe(name) if get => describe::full(call, name),
        Target::Updated(name) if get => replication::updated(call, name),
        Target::Deleted(name) if get => replication::deleted(call, name),
        Target::Query { all } if get => query::first(call, *all),
        Target::QueryMore(locator) if get => query::more(call, locator),
        Target::Record(name, id) if get => query::record(call, name, id),
        Target::Blob(name, id, field) if get => query::blob(call, name, id, field),
        Target::ExternalId(name, field, value) if get => {
            query::by_external_id(call, name, field, value)
        }
        Target::Sobject(name) if post => writes::create(call, name),
        Target::Record(name, id) => writes::change(call, name, id),
        Target::ExternalId(name, field, value) => writes::by_external_id(call, name, field, value),
        Target::Collections(path) => collections::collections(call, path),
        Target::Batch if post => composite::batch(call),
        Target::Composite if post => composite::composite(call),
        Target::BulkQueries if get => Ok(bulk::list(call)),
        Target::BulkQueries if post => bulk::create(call),
        Target::BulkQuery(id) => bulk::one(call, id),
        Target::BulkResults(id) if get => bulk::results(call, id),
        Target::Ingests if get => Ok(ingest::list(call)),
        Target::Ingests if post => ingest::create(call),
        Target::Ingest(id) => ingest::one(call, id),
        Target::IngestBatches(id) if call.method == Method::PUT => ingest::upload(call, id),
        Target::IngestResults(id, name) if get => ingest::results(call, id, name),
        Target::Authorize
        | Target::Token
        | Target::Revoke
        | Target::Versions
        | Target::Streaming
        | Target::Missing => Err(Problem::not_found()),
        _ => Err(call.wrong_method()),
    }
}
