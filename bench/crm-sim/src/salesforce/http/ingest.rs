//! Bulk ingest jobs over HTTP.

use hyper::Method;
use serde_json::{Value, json};

use super::bulk::wrong_state;
use super::call::Call;
use super::reply::{Content, Reply};
use crate::salesforce::bulk::ingest::{Asked, IngestJob, Operation, Outcome};
use crate::salesforce::bulk::{Dialect, JobState, StateChange};
use crate::salesforce::object::Object;
use crate::salesforce::problem::Problem;

/// `POST .../jobs/ingest`.
pub(super) fn create(call: &Call) -> Result<Reply, Problem> {
    let asked: Asked = call.json()?;
    let operation = Operation::parse(&asked)?;
    let object = Object::parse(&asked.object).filter(|object| object.abilities().bulk);
    let object = object.ok_or_else(|| {
        Problem::new(
            400,
            "INVALIDENTITY",
            format!(
                "Entity '{}' is not supported by the Bulk API.",
                asked.object
            ),
        )
    })?;
    let org = &call.org;
    if let Operation::Upsert(by) = &operation {
        let schema = org.collection(object).schema();
        let known = by.eq_ignore_ascii_case("Id")
            || schema.field(by).is_some_and(|field| field.external_id);
        if !known {
            return Err(Problem::new(
                400,
                "INVALIDJOB",
                format!(
                    "InvalidJob : Field name provided, {by} does not match an External ID, Salesforce Id, or indexed field for {}",
                    object.name()
                ),
            ));
        }
    }
    let dialect = Dialect::new(
        asked.content_type.as_deref(),
        asked.column_delimiter.as_deref(),
        asked.line_ending.as_deref(),
    )?;
    let now_ms = call.now_ms();
    let mut jobs = org.jobs.lock();
    jobs.expire(now_ms);
    let job = IngestJob {
        id: jobs.next_id(),
        object,
        operation,
        version: call.version().to_owned(),
        dialect,
        created_ms: now_ms,
        changed_ms: now_ms,
        state: JobState::Open,
        fails: org.jobs.fails(),
        polls: 0,
        upload: None,
        outcome: Outcome::default(),
    };
    let answer = job.json(org, false);
    jobs.ingests.insert(job.id.clone(), job);
    Ok(Reply::value(200, &answer))
}

/// `GET .../jobs/ingest`.
pub(super) fn list(call: &Call) -> Reply {
    let mut jobs = call.org.jobs.lock();
    jobs.expire(call.now_ms());
    let all = jobs.ingests.values().map(|job| job.json(&call.org, false));
    let all: Vec<Value> = all.collect();
    Reply::value(
        200,
        &json!({"done": true, "nextRecordsUrl": Value::Null, "records": all}),
    )
}

/// `GET`, `PATCH` and `DELETE` of `.../jobs/ingest/{id}`.
pub(super) fn one(call: &Call, id: &str) -> Result<Reply, Problem> {
    match call.method {
        Method::GET => poll(call, id),
        Method::PATCH => change(call, id),
        Method::DELETE => {
            let mut jobs = call.org.jobs.lock();
            let job = jobs.ingests.get(id).ok_or_else(Problem::not_found)?;
            if !job.state.is_terminal() {
                return Err(wrong_state("Job is not in a terminal state"));
            }
            jobs.ingests.remove(id);
            Ok(Reply::empty(204))
        }
        _ => Err(Problem::wrong_method(call.method.as_str())),
    }
}

/// Goes on by one poll; the last of them writes the records.
fn poll(call: &Call, id: &str) -> Result<Reply, Problem> {
    let org = &call.org;
    let mut jobs = org.jobs.lock();
    jobs.expire(call.now_ms());
    let job = jobs.ingests.get_mut(id).ok_or_else(Problem::not_found)?;
    if matches!(job.state, JobState::UploadComplete | JobState::InProgress) {
        job.polls += 1;
        job.state = JobState::InProgress;
        job.changed_ms = call.now_ms();
        // Who takes the file does the work.
        if job.polls >= org.jobs.polls
            && let Some(upload) = job.upload.take()
        {
            let taken = job.clone();
            drop(jobs);
            let outcome = taken.process(org, &upload);
            jobs = org.jobs.lock();
            let job = jobs.ingests.get_mut(id).ok_or_else(Problem::not_found)?;
            job.state = if outcome.is_failed() {
                JobState::Failed
            } else {
                JobState::JobComplete
            };
            job.outcome = outcome;
        }
    }
    let job = jobs.ingests.get(id).ok_or_else(Problem::not_found)?;
    Ok(Reply::value(200, &job.json(org, true)))
}

fn change(call: &Call, id: &str) -> Result<Reply, Problem> {
    let change: StateChange = call.json()?;
    let mut jobs = call.org.jobs.lock();
    let job = jobs.ingests.get_mut(id).ok_or_else(Problem::not_found)?;
    job.state = match (change.state.as_str(), job.state) {
        ("UploadComplete", JobState::Open) => {
            job.upload.get_or_insert_default();
            JobState::UploadComplete
        }
        ("Aborted", state) if !state.is_terminal() => {
            job.upload = None;
            JobState::Aborted
        }
        (wanted, state) => {
            return Err(wrong_state(&format!(
                "Transition from {} to {wanted} is not allowed",
                state.name()
            )));
        }
    };
    job.changed_ms = call.now_ms();
    Ok(Reply::value(200, &job.json(&call.org, false)))
}

/// `PUT .../jobs/ingest/{id}/batches`: once for each job.
pub(super) fn upload(call: &Call, id: &str) -> Result<Reply, Problem> {
    let is_csv = call
        .header("content-type")
        .is_some_and(|content_type| content_type.starts_with("text/csv"));
    if !is_csv {
        return Err(Problem::new(
            400,
            "INVALIDREQUEST",
            "Content-Type must be text/csv",
        ));
    }
    let mut jobs = call.org.jobs.lock();
    let job = jobs.ingests.get_mut(id).ok_or_else(Problem::not_found)?;
    if job.state != JobState::Open || job.upload.is_some() {
        return Err(wrong_state(
            "Job data has been uploaded already, or the job is not open",
        ));
    }
    job.upload = Some(call.body.clone());
    Ok(Reply::empty(201))
}

/// What became of the lines of the file.
pub(super) fn results(call: &Call, id: &str, name: &str) -> Result<Reply, Problem> {
    let jobs = call.org.jobs.lock();
    let job = jobs.ingests.get(id).ok_or_else(Problem::not_found)?;
    if !job.state.is_terminal() {
        return Err(Problem::new(
            400,
            "JOB_NOT_COMPLETE",
            format!("Job is not complete. Current state: {}", job.state.name()),
        ));
    }
    let file = job.results(name).ok_or_else(Problem::not_found)?;
    Ok(Reply::csv(Content::Whole(file.into())))
}
