//! Bulk query jobs over HTTP.

use std::sync::Arc;

use data_encoding::BASE64_NOPAD;
use hyper::Method;
use serde_json::{Value, json};

use super::call::Call;
use super::reply::{Content, Reply};
use crate::salesforce::bulk::query::{Asked, Page, QueryJob};
use crate::salesforce::bulk::{Dialect, JobState, StateChange};
use crate::salesforce::problem::Problem;
use crate::salesforce::soql::{Flavour, Found, compile};

/// Rows up to which a page is rendered before it is sent.
const WHOLE_ROWS_MAX: u64 = 5000;
/// The last version whose locators are plain numbers.
const PLAIN_LOCATORS: u32 = 48;

/// `POST .../jobs/query`.
pub(super) fn create(call: &Call) -> Result<Reply, Problem> {
    let asked: Asked = call.json()?;
    let operation = match asked.operation.as_str() {
        "query" => "query",
        "queryAll" => "queryAll",
        other => {
            return Err(Problem::new(
                400,
                "INVALIDOPERATION",
                format!("Operation {other} is not supported in a query job"),
            ));
        }
    };
    let dialect = Dialect::new(
        asked.content_type.as_deref(),
        asked.column_delimiter.as_deref(),
        asked.line_ending.as_deref(),
    )?;
    let org = &call.org;
    let all_rows = operation == "queryAll";
    let query = compile(org, &asked.query, all_rows, Flavour::Bulk)?;
    let now_ms = call.now_ms();
    let scale = org.limits.scale();
    let snapshot = org.collection(query.object).records.snapshot();
    let found = Found::new(org, query, snapshot);
    let mut jobs = org.jobs.lock();
    jobs.expire(now_ms);
    jobs.admit_query(now_ms, scale)?;
    let id = jobs.next_id();
    let mut job = QueryJob::new(
        id.clone(),
        operation,
        call.version(),
        dialect,
        found,
        now_ms,
    );
    job.fails = org.jobs.fails();
    let answer = job.json(org, false);
    jobs.queries.insert(id, job);
    Ok(Reply::value(200, &answer))
}

/// `GET .../jobs/query`.
pub(super) fn list(call: &Call) -> Reply {
    let mut jobs = call.org.jobs.lock();
    jobs.expire(call.now_ms());
    let all: Vec<Value> = jobs
        .queries
        .values()
        .map(|job| job.json(&call.org, false))
        .collect();
    Reply::value(
        200,
        &json!({"done": true, "nextRecordsUrl": Value::Null, "records": all}),
    )
}

/// `GET`, `PATCH` and `DELETE` of `.../jobs/query/{id}`.
pub(super) fn one(call: &Call, id: &str) -> Result<Reply, Problem> {
    let org = &call.org;
    let mut jobs = org.jobs.lock();
    jobs.expire(call.now_ms());
    let job = jobs.queries.get_mut(id).ok_or_else(Problem::not_found)?;
    match call.method {
        Method::GET => {
            job.poll(org.jobs.polls, call.now_ms());
            Ok(Reply::value(200, &job.json(org, true)))
        }
        Method::PATCH => {
            let change: StateChange = call.json()?;
            if change.state != "Aborted" {
                return Err(wrong_state("A query job can only be aborted"));
            }
            if job.state.is_terminal() {
                return Err(wrong_state("Aborting already completed Job not allowed"));
            }
            job.state = JobState::Aborted;
            Ok(Reply::value(200, &job.json(org, false)))
        }
        Method::DELETE => {
            if !job.state.is_terminal() {
                return Err(wrong_state("Job is not in a terminal state"));
            }
            jobs.queries.remove(id);
            Ok(Reply::empty(204))
        }
        _ => Err(Problem::wrong_method(call.method.as_str())),
    }
}

pub(super) fn wrong_state(message: &str) -> Problem {
    Problem::new(400, "INVALIDJOBSTATE", message)
}

/// `GET .../jobs/query/{id}/results`.
pub(super) fn results(call: &Call, id: &str) -> Result<Reply, Problem> {
    let org = &call.org;
    let plain = call.major() <= PLAIN_LOCATORS;
    let before = match call.query.get("locator") {
        None => 0,
        Some(text) => rows_before(text, plain).ok_or_else(|| locator_problem(text))?,
    };
    let limit = match call.query.get("maxRecords") {
        None => org.config.bulk_page_rows,
        Some(text) => text.parse().ok().filter(|rows| *rows > 0).ok_or_else(|| {
            Problem::new(
                400,
                "INVALIDREQUEST",
                "maxRecords must be a positive number",
            )
        })?,
    };
    let mut jobs = org.jobs.lock();
    jobs.expire(call.now_ms());
    let job = jobs.queries.get_mut(id).ok_or_else(Problem::not_found)?;
    if job.version != call.version() {
        return Err(Problem::new(
            409,
            "INVALIDVERSION",
            "Results must be read with the version that the job was created with",
        ));
    }
    if job.state != JobState::JobComplete {
        return Err(Problem::new(
            400,
            "JOB_NOT_COMPLETE",
            format!("Job is not complete. Current state: {}", job.state.name()),
        ));
    }
    let offered = job.offer(before, limit.min(call.keep).max(1));
    let (rows, next) = offered
        .ok_or_else(|| locator_problem(call.query.get("locator").map_or("", String::as_str)))?;
    let from = job.place_before(before);
    let page = Page {
        org: Arc::clone(org),
        job: id.to_owned(),
        found: Arc::clone(&job.found),
        dialect: job.dialect,
        from,
        skip: before - from.served,
        rows,
    };
    drop(jobs);
    let locator = match next {
        // The word itself, not nothing.
        None => "null".to_owned(),
        Some(next) if plain => next.to_string(),
        Some(next) => BASE64_NOPAD.encode(next.to_string().as_bytes()),
    };
    let content = if call.whole || rows <= WHOLE_ROWS_MAX {
        Content::Whole(page.whole())
    } else {
        Content::Pieces(page.stream())
    };
    Ok(Reply::csv(content)
        .with("sforce-locator", locator)
        .with("sforce-numberofrecords", rows.to_string()))
}

fn rows_before(locator: &str, plain: bool) -> Option<u64> {
    if plain {
        return locator.parse().ok();
    }
    let decoded = BASE64_NOPAD.decode(locator.trim_end_matches('=').as_bytes());
    String::from_utf8(decoded.ok()?).ok()?.parse().ok()
}

fn locator_problem(text: &str) -> Problem {
    Problem::new(
        400,
        "INVALID_QUERY_LOCATOR",
        format!("Invalid query locator: {text}"),
    )
}
