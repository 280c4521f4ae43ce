//! Reading by Bulk API 2.0: a job that Salesforce runs, and pages of its results, which
//! stay for seven days and can be asked for again.

use serde_json::json;
use tidegate_sdk::{Directive, EmitFault, HttpFault, prelude::*};

use crate::reading::Walk;
use crate::refusal::{Refusal, accepted, ask};
use crate::soql::Query;
use crate::{BASE, Cursor, Job, Position, Salesforce, schema};

/// Between two questions whether a job is done, at the least and at the most.
const WAIT_MS: (u64, u64) = (2_000, 60_000);
/// Jobs for the same records before they are queried instead.
const JOBS_MAX: u32 = 2;
/// A page is asked for in smaller ones down to this many records.
const PAGE_RECORDS_MIN: u32 = 500;

/// Makes a job and parks until it may be done; none where Bulk does not serve it. The
/// job's id is saved before the wait, so that no restart makes another.
pub(crate) fn begin(
    walk: &Walk<'_>,
    query: &Query<'_>,
    deletes: Option<u64>,
    failures: u32,
    why: &str,
) -> Result<Option<Outcome<Salesforce>>, Failure> {
    let made_ms = walk.host.now_ms();
    let request = Request::post("data", format!("{BASE}/jobs/query"))
        .json(&json!({
            "operation": "queryAll",
            "query": query.unordered(),
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }))
        .auth(walk.read.config.auth.name())
        // A job made twice is read once; the other one goes after a week.
        .idempotency_key(format!("{}-{made_ms}", walk.read.partition.id));
    let response = match ask(walk.host, &request)? {
        Ok(response) => response,
        Err(refusal) if refusal.is_of_bulk() => {
            walk.say(Level::Info, "Bulk does not serve it", &refusal.message);
            return Ok(None);
        }
        Err(refusal) => return Err(schema::refused(walk.host, walk.object, refusal)),
    };
    let id = response.body.plain("/id")?.filter(|id| is_id(id));
    let id = id.ok_or_else(|| Failure::Protocol("a Bulk job was made without an id".to_owned()))?;
    walk.say(Level::Info, "reading by Bulk", why);
    let job = Job {
        id,
        made_ms,
        after: query.after.map(str::to_owned),
        locator: None,
        rows: 0,
        failures,
    };
    match save(walk, &job, deletes)? {
        Directive::Stop => Ok(Some(Outcome::More)),
        _ => Ok(Some(Outcome::WaitUntil(made_ms + WAIT_MS.0))),
    }
}

/// Goes on with a job: asks how it is, then reads its pages.
pub(crate) fn resume(
    walk: &Walk<'_>,
    job: Job,
    deletes: Option<u64>,
) -> Result<Outcome<Salesforce>, Failure> {
    let request = Request::get("data", path(&job, "")).auth(walk.read.config.auth.name());
    let body = match ask(walk.host, &request)? {
        Ok(response) => response.body,
        Err(refusal) if is_gone(&refusal) => {
            return again(walk, &job, deletes, "its results are no longer kept");
        }
        Err(refusal) => return Err(refusal.failure(walk.object)),
    };
    let state = body.plain("/state")?.unwrap_or_default();
    match state.as_str() {
        "JobComplete" => {
            let total = body.value("/numberRecordsProcessed")?;
            pages(walk, job, total, deletes)
        }
        "UploadComplete" | "InProgress" => Ok(not_yet(walk, &job)),
        "Failed" | "Aborted" => {
            let reason = body.plain("/errorMessage").ok().flatten();
            again(walk, &job, deletes, &reason.unwrap_or(state))
        }
        _ => Err(Failure::Protocol(format!("a Bulk job is {state:?}"))),
    }
}

fn pages(
    walk: &Walk<'_>,
    mut job: Job,
    total: Option<u64>,
    deletes: Option<u64>,
) -> Result<Outcome<Salesforce>, Failure> {
    let how = walk.kept(Extraction::csv());
    let mut page_records = walk.read.config.bulk_page_records;
    loop {
        let mut request = Request::get("data", path(&job, "/results"))
            .query("maxRecords", page_records)
            .header("accept", "text/csv")
            .auth(walk.read.config.auth.name());
        if let Some(locator) = &job.locator {
            request = request.query("locator", locator);
        }
        let response = match walk.host.fetch(&request) {
            Err(HttpFault::TooLarge(_)) if page_records > PAGE_RECORDS_MIN => {
                page_records /= 2;
                continue;
            }
            answer => answer?,
        };
        let page = match accepted(response) {
            Ok(page) => page,
            Err(refusal) if is_gone(&refusal) => {
                return again(walk, &job, deletes, "its results are no longer kept");
            }
            Err(refusal) if refusal.is("JOB_NOT_COMPLETE") => return Ok(not_yet(walk, &job)),
            Err(refusal) => return Err(refusal.failure(walk.object)),
        };
        let rows = match walk.host.emit_body(&walk.read.stream, &page.body, &how) {
            Ok(summary) => summary.elements(),
            Err(EmitFault::Stopping) => return Ok(Outcome::More),
            Err(EmitFault::TooLarge(_)) if page_records > PAGE_RECORDS_MIN => {
                page_records /= 2;
                continue;
            }
            Err(fault) => return Err(fault.into()),
        };
        let told = page.header("sforce-numberofrecords");
        if told.is_some_and(|told| told.parse() != Ok(rows)) {
            return Err(Failure::Transient(format!(
                "a page of Bulk results has {rows} records and was to have {}",
                told.unwrap_or_default()
            )));
        }
        job.rows += rows;
        // The text "null" ends it; where the header is lost, only the count can tell.
        match page.header("sforce-locator").filter(|next| *next != "null") {
            None => return end(walk, &job, total, deletes),
            Some(next) if job.locator.as_deref() == Some(next) => {
                let text = "a page of Bulk results names itself as the next one";
                return Err(Failure::Protocol(text.to_owned()));
            }
            Some(next) => job.locator = Some(next.to_owned()),
        }
        if save(walk, &job, deletes)? != Directive::Proceed {
            return Ok(Outcome::More);
        }
    }
}

/// The last page was read. The job stays: what is saved may still be lost with this
/// process, and then its last page is asked for again. Salesforce deletes it after a week.
fn end(
    walk: &Walk<'_>,
    job: &Job,
    total: Option<u64>,
    deletes: Option<u64>,
) -> Result<Outcome<Salesforce>, Failure> {
    if total.is_some_and(|total| job.rows < total) {
        let why = format!("its pages had {} records", job.rows);
        return again(walk, job, deletes, &why);
    }
    Ok(Outcome::Done(Cursor::end(walk.slice.until, deletes)))
}

/// A job came to nothing: another one, or queries.
fn again(
    walk: &Walk<'_>,
    job: &Job,
    deletes: Option<u64>,
    why: &str,
) -> Result<Outcome<Salesforce>, Failure> {
    walk.say(Level::Warn, "a Bulk job came to nothing", why);
    let failures = job.failures + 1;
    let fields = schema::fields(walk.host, walk.read, walk.object)?;
    let query = walk.query(&fields, job.after.as_deref());
    if failures < JOBS_MAX
        && let Some(begun) = begin(walk, &query, deletes, failures, why)?
    {
        return Ok(begun);
    }
    if !query.fits_url() {
        return Err(Failure::Transient(format!(
            "Bulk jobs for {} come to nothing: {why}",
            walk.object
        )));
    }
    let position = job.after.clone().map_or(Position::Query, Position::After);
    let cursor = walk.cursor(position, deletes);
    match walk.read.save(walk.host, &cursor)? {
        Directive::Proceed => walk.by_query(&fields, job.after.clone(), None, deletes),
        _ => Ok(Outcome::More),
    }
}

/// The wait grows with the job's age: few questions, and none much too late.
fn not_yet(walk: &Walk<'_>, job: &Job) -> Outcome<Salesforce> {
    let now_ms = walk.host.now_ms();
    let age_ms = now_ms.saturating_sub(job.made_ms);
    Outcome::WaitUntil(now_ms + (age_ms / 4).clamp(WAIT_MS.0, WAIT_MS.1))
}

fn save(walk: &Walk<'_>, job: &Job, deletes: Option<u64>) -> Result<Directive, Failure> {
    let cursor = walk.cursor(Position::Job(job.clone()), deletes);
    walk.read.save(walk.host, &cursor)
}

fn path(job: &Job, below: &str) -> String {
    format!("{BASE}/jobs/query/{}{below}", job.id)
}

/// It goes into paths.
fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The job, or the place in its results: only another job brings them.
fn is_gone(refusal: &Refusal) -> bool {
    matches!(refusal.status, 404 | 410) || refusal.code.contains("LOCATOR")
}
