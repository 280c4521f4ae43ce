//! One bulk ingest job: its file, what became of each line, and the files that say so.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dialect, JobState};
use crate::generate::mix;
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::problem::Problem;
use crate::salesforce::values::moment;
use crate::salesforce::wire_id::wire_text;
use crate::salesforce::write::{self, Done, Fields, Prepared};

/// What a client asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    pub(crate) object: String,
    pub(crate) operation: String,
    pub(crate) external_id_field_name: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) column_delimiter: Option<String>,
    pub(crate) line_ending: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Insert,
    Update,
    /// By this field.
    Upsert(String),
    Delete,
    HardDelete,
}

impl Operation {
    pub(crate) fn parse(asked: &Asked) -> Result<Operation, Problem> {
        match (asked.operation.as_str(), &asked.external_id_field_name) {
            ("insert", _) => Ok(Operation::Insert),
            ("update", _) => Ok(Operation::Update),
            ("upsert", Some(field)) => Ok(Operation::Upsert(field.clone())),
            ("upsert", None) => Err(Problem::new(
                400,
                "INVALIDJOB",
                "External ID was blank for a job with operation upsert",
            )),
            ("delete", _) => Ok(Operation::Delete),
            ("hardDelete", _) => Ok(Operation::HardDelete),
            (other, _) => Err(Problem::new(
                400,
                "INVALIDOPERATION",
                format!("Operation {other} is not supported in an ingest job"),
            )),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Upsert(_) => "upsert",
            Operation::Delete => "delete",
            Operation::HardDelete => "hardDelete",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct IngestJob {
    pub(crate) id: String,
    pub(crate) object: Object,
    pub(crate) operation: Operation,
    pub(crate) version: String,
    pub(crate) dialect: Dialect,
    pub(crate) created_ms: i64,
    pub(crate) changed_ms: i64,
    pub(crate) state: JobState,
    pub(crate) fails: bool,
    pub(crate) polls: u32,
    pub(crate) upload: Option<Bytes>,
    pub(crate) outcome: Outcome,
}

/// What became of the lines of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    header: Vec<String>,
    succeeded: Vec<(Done, Vec<String>)>,
    /// The id where there is one, the error, the line.
    failed: Vec<(String, String, Vec<String>)>,
    unprocessed: Vec<Vec<String>>,
    /// Why the whole job failed.
    message: Option<String>,
}

impl IngestJob {
    /// The job as the API shows it; the answers to its creation and to changes of its
    /// state say less.
    pub(crate) fn json(&self, org: &Org, full: bool) -> Value {
        let mut job = json!({
            "id": self.id,
            "operation": self.operation.name(),
            "object": self.object.name(),
            "createdById": wire_text(Object::User.prefix(), org.integration_user()),
            "createdDate": moment(self.created_ms),
            "systemModstamp": moment(self.changed_ms),
            "state": self.state.name(),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": self.version.parse::<f64>().unwrap_or(0.0),
            "contentUrl": format!("services/data/v{}/jobs/ingest/{}/batches", self.version, self.id),
            "jobType": "V2Ingest",
            "lineEnding": self.dialect.line_ending_name(),
            "columnDelimiter": self.dialect.delimiter_name,
        });
        if let Operation::Upsert(field) = &self.operation {
            job["externalIdFieldName"] = json!(field);
        }
        if full {
            let outcome = &self.outcome;
            let processed = outcome.succeeded.len() + outcome.failed.len();
            job["numberRecordsProcessed"] = json!(processed);
            job["numberRecordsFailed"] = json!(outcome.failed.len());
            job["retries"] = json!(0);
            job["totalProcessingTime"] = json!(u64::from(self.polls) * 400);
            job["apiActiveProcessingTime"] = json!(u64::from(self.polls) * 250);
            job["apexProcessingTime"] = json!(0);
        }
        if let Some(message) = &self.outcome.message {
            job["errorMessage"] = json!(message);
        }
        job
    }

    /// One of the three files that say what became of the lines, by its name in lower
    /// case.
    pub(crate) fn results(&self, name: &str) -> Option<Vec<u8>> {
        let outcome = &self.outcome;
        let mut file = Vec::new();
        let mut line = |extra: &[&str], row: &[String]| {
            let cells = extra.iter().copied().chain(row.iter().map(String::as_str));
            for (place, cell) in cells.enumerate() {
                if place > 0 {
                    file.push(self.dialect.delimiter);
                }
                file.push(b'"');
                file.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
                file.push(b'"');
            }
            file.extend_from_slice(self.dialect.line_end.as_bytes());
        };
        match name {
            "successfulresults" => {
                line(&["sf__Id", "sf__Created"], &outcome.header);
                for (done, row) in &outcome.succeeded {
                    let created = if done.created { "true" } else { "false" };
                    line(&[&done.id, created], row);
                }
            }
            "failedresults" => {
                line(&["sf__Id", "sf__Error"], &outcome.header);
                for (id, error, row) in &outcome.failed {
                    line(&[id, error], row);
                }
            }
            "unprocessedrecords" => {
                line(&[], &outcome.header);
                for row in &outcome.unprocessed {
                    line(&[], row);
                }
            }
            _ => return None,
        }
        Some(file)
    }

    /// Writes what the file says, and notes what became of each line.
    pub(crate) fn process(&self, org: &Org, upload: &[u8]) -> Outcome {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.dialect.delimiter)
            .from_reader(upload);
        let header: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(error) => return Outcome::refused(&error.to_string()),
        };
        let mut rows: Vec<Vec<String>> = Vec::new();
        for row in reader.records() {
            match row {
                Ok(row) => rows.push(row.iter().map(str::to_owned).collect()),
                Err(error) => return Outcome::refused(&error.to_string()),
            }
        }
        let mut outcome = Outcome {
            header,
            ..Outcome::default()
        };
        if let Some(name) = self.unknown_column(org, &outcome.header) {
            outcome.message = Some(format!("InvalidBatch : Field name not found : {name}"));
            outcome.unprocessed = rows;
            return outcome;
        }
        if self.fails {
            outcome.message = Some("InternalServerError : the job was ended".to_owned());
            outcome.unprocessed = rows.split_off(rows.len() / 2);
        }
        let seen = self.keys_seen(&outcome.header, &rows);
        let _alone = org.writing();
        for row in rows {
            let fields = fields(&outcome.header, &row);
            let written = self.write(org, fields, &seen);
            match written {
                Ok(done) => outcome.succeeded.push((done, row)),
                Err((id, problem)) => outcome.failed.push((id, told(&problem), row)),
            }
        }
        outcome.shuffle();
        outcome
    }

    /// A column that this job cannot take.
    fn unknown_column<'h>(&self, org: &Org, header: &'h [String]) -> Option<&'h String> {
        let schema = org.collection(self.object).schema();
        let deletes = matches!(self.operation, Operation::Delete | Operation::HardDelete);
        header.iter().find(|name| {
            let is_id = name.eq_ignore_ascii_case("Id");
            let known = name.contains('.') || schema.field(name).is_some();
            if deletes { !is_id } else { !known }
        })
    }

    /// How often each key of an upsert is in the file.
    fn keys_seen(&self, header: &[String], rows: &[Vec<String>]) -> BTreeMap<String, u32> {
        let mut seen = BTreeMap::new();
        let Operation::Upsert(by) = &self.operation else {
            return seen;
        };
        let column = header.iter().position(|name| name.eq_ignore_ascii_case(by));
        for key in rows.iter().filter_map(|row| row.get(column?)) {
            *seen.entry(key.to_lowercase()).or_default() += 1;
        }
        seen
    }

    fn write(
        &self,
        org: &Org,
        mut fields: Fields,
        seen: &BTreeMap<String, u32>,
    ) -> Result<Done, (String, Problem)> {
        let mut take = |name: &str| {
            let key = fields.keys().find(|key| key.eq_ignore_ascii_case(name));
            let key = key.cloned()?;
            match fields.remove(&key) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            }
        };
        let missing =
            |name: &str| Problem::new(400, "MISSING_ARGUMENT", format!("{name} not specified"));
        let mut id = String::new();
        let object = self.object;
        let prepared: Result<Prepared, Problem> = match &self.operation {
            Operation::Insert => write::insert(org, object, &fields),
            Operation::Upsert(by) => match take(by) {
                None => Err(missing(by)),
                Some(key)
                    if seen
                        .get(&key.to_lowercase())
                        .is_some_and(|times| *times > 1) =>
                {
                    Err(Problem::new(
                        400,
                        "DUPLICATE_VALUE",
                        format!("Duplicate external id specified: {key}"),
                    )
                    .on(&[by]))
                }
                Some(key) => write::upsert(org, object, by, &key, &fields),
            },
            Operation::Update | Operation::Delete | Operation::HardDelete => match take("Id") {
                None => Err(missing("Id").on(&["Id"])),
                Some(given) => {
                    id.clone_from(&given);
                    if self.operation == Operation::Update {
                        write::update(org, object, &given, &fields)
                    } else {
                        let hard = self.operation == Operation::HardDelete;
                        write::delete(org, object, &given, hard)
                    }
                }
            },
        };
        prepared
            .and_then(|prepared| write::perform(org, prepared))
            .map_err(|problem| (id, problem))
    }
}

impl Outcome {
    fn refused(message: &str) -> Outcome {
        Outcome {
            message: Some(format!("InvalidBatch : {message}")),
            ..Outcome::default()
        }
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.message.is_some()
    }

    /// Results come in no order.
    fn shuffle(&mut self) {
        let order = |text: &str| {
            text.bytes()
                .fold(11, |hash, byte| mix(hash ^ u64::from(byte)))
        };
        self.succeeded.sort_by_key(|(done, _)| order(&done.id));
        self.failed
            .sort_by_key(|(_, _, row)| order(&row.join("\u{1}")));
    }
}

/// A line as the fields of a record: an empty cell says nothing, `#N/A` clears.
fn fields(header: &[String], row: &[String]) -> Fields {
    let cells = header.iter().zip(row);
    cells
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(name, cell)| {
            let value = match cell.as_str() {
                "#N/A" => Value::Null,
                text => Value::String(text.to_owned()),
            };
            (name.clone(), value)
        })
        .collect()
}

/// `REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --`.
fn told(problem: &Problem) -> String {
    let fields = problem.fields().join(",");
    let space = if fields.is_empty() { "" } else { " " };
    format!("{}:{}:{fields}{space}--", problem.code(), problem.message())
}
