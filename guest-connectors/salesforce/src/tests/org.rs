//! An org with one kind of object, just large enough to page, from the vendor's
//! documentation: queries, Bulk jobs, the list of deletes, descriptions.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Value, json};
use tidegate_sdk::{Method, Payload, Request, Target, epoch_ms, rfc3339, testing::Answer};

use super::NOW_MS;

const BASE: &str = "/services/data/v62.0";

#[derive(Clone)]
pub(super) struct Account {
    pub(super) id: u64,
    pub(super) name: Option<String>,
    pub(super) modified: u64,
    pub(super) deleted: bool,
}

impl Account {
    pub(super) fn key(&self) -> String {
        key(self.id)
    }
}

pub(super) fn key(id: u64) -> String {
    format!("001{id:015}")
}

/// What goes wrong, and how large things are.
#[derive(Default)]
pub(super) struct Settings {
    /// Records of a query page.
    pub(super) page: usize,
    /// Queries over a wider range than this (milliseconds) take too long.
    pub(super) range_ms_max: Option<u64>,
    /// Queries behind an id take too long.
    pub(super) slow_behind_id: bool,
    /// How Bulk refuses to make a job: code and message.
    pub(super) bulk_refusal: Option<(&'static str, &'static str)>,
    /// Answers for the state of jobs, the next one last; then `JobComplete`.
    pub(super) job_states: Vec<&'static str>,
    /// Results of jobs are gone.
    pub(super) results_gone: bool,
    /// Places in results are no longer known.
    pub(super) locators_stale: bool,
    /// Bulk leaves the header out that names the next page.
    pub(super) locator_lost: bool,
    /// Records that Bulk's pages leave out, from the end.
    pub(super) bulk_short: usize,
    /// A body of more records than this is more than the host takes.
    pub(super) body_records_max: Option<u64>,
    pub(super) earliest_delete: u64,
    pub(super) latest_covered: Option<u64>,
    /// Ids of one answer of the list of deletes.
    pub(super) deletes_max: Option<usize>,
    /// A custom field that is described, beside the usual ones.
    pub(super) more_fields: Vec<String>,
    /// Fields that queries no longer know.
    pub(super) dropped: Vec<String>,
}

struct BulkJob {
    id: String,
    query: String,
    deleted: bool,
}

/// Shared, so that a test can edit while the connector reads.
#[derive(Clone, Default)]
pub(super) struct Org {
    pub(super) accounts: Rc<RefCell<Vec<Account>>>,
    /// Ids that were deleted, and when.
    pub(super) deletes: Rc<RefCell<Vec<(u64, u64)>>>,
    pub(super) settings: Rc<RefCell<Settings>>,
    jobs: Rc<RefCell<Vec<BulkJob>>>,
}

impl Org {
    /// `count` accounts with ids from 1, modified a second apart from `modified`.
    pub(super) fn of(count: u64, modified: u64) -> Self {
        let account = |id| Account {
            id,
            name: Some(format!("Account {id}")),
            modified: modified + (id - 1) * 1_000,
            deleted: false,
        };
        let org = Self::default();
        org.accounts.borrow_mut().extend((1..=count).map(account));
        org.settings.borrow_mut().page = 2_000;
        org
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.borrow_mut());
    }

    pub(super) fn edit(&self, id: u64, change: impl FnOnce(&mut Account)) {
        let mut accounts = self.accounts.borrow_mut();
        change(accounts.iter_mut().find(|one| one.id == id).unwrap());
    }

    /// Jobs that were made and not deleted.
    pub(super) fn open_jobs(&self) -> usize {
        self.jobs.borrow().iter().filter(|job| !job.deleted).count()
    }

    pub(super) fn jobs_made(&self) -> usize {
        self.jobs.borrow().len()
    }

    pub(super) fn remote(&self) -> impl FnMut(&Request) -> Answer + 'static {
        let org = self.clone();
        move |request| {
            org.answer(request)
                .header("date", "Sun, 22 Nov 2026 08:00:00 GMT")
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        let Target::Endpoint {
            endpoint,
            path,
            query,
        } = &request.target
        else {
            unreachable!("links are not followed")
        };
        assert_eq!(request.auth.as_deref(), Some("oauth"));
        let path = path.strip_prefix(BASE).unwrap();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (endpoint.as_str(), request.method, parts.as_slice()) {
            ("schema", Method::Get, ["limits"]) => {
                Answer::json(&json!({"DailyApiRequests": {"Max": 15_000, "Remaining": 14_998}}))
            }
            ("schema", Method::Get, ["sobjects"]) => Answer::json(&objects()),
            ("schema", Method::Get, ["sobjects", object, "describe"]) => self.describe(object),
            ("data", Method::Get, ["queryAll"]) => self.query(parameter(query, "q").unwrap()),
            ("data", Method::Get, ["sobjects", "Account", "deleted"]) => self.list_deletes(query),
            ("data", Method::Post, ["jobs", "query"]) => self.make_job(request),
            ("data", method, ["jobs", "query", id, rest @ ..]) => self.job(method, id, rest, query),
            _ => refusal(404, "NOT_FOUND", "The requested resource does not exist"),
        }
    }

    fn describe(&self, object: &str) -> Answer {
        let fields: &[(&str, &str)] = match object {
            "Account" => &[
                ("Id", "id"),
                ("IsDeleted", "boolean"),
                ("Name", "string"),
                ("BillingAddress", "address"),
                ("BillingCity", "string"),
                ("AnnualRevenue", "currency"),
                ("NumberOfEmployees", "int"),
                ("Founded__c", "date"),
                ("Logo__c", "base64"),
                ("SystemModstamp", "datetime"),
                ("CreatedDate", "datetime"),
            ],
            "AccountHistory" => &[
                ("Id", "id"),
                ("IsDeleted", "boolean"),
                ("NewValue", "anyType"),
                ("CreatedDate", "datetime"),
            ],
            "Tree__c" => &[("Id", "id"), ("Age__c", "double"), ("Spot__c", "location")],
            "Profile" => return refusal(404, "NOT_FOUND", "The requested resource does not exist"),
            _ => &[],
        };
        let usual = fields
            .iter()
            .map(|(name, kind)| (*name).to_owned() + " " + kind);
        let settings = self.settings.borrow();
        let more = settings
            .more_fields
            .iter()
            .map(|name| format!("{name} string"));
        let fields: Vec<Value> = usual
            .chain(more)
            .map(|field| {
                let (name, kind) = field.split_once(' ').unwrap();
                let (precision, scale) = if kind == "currency" { (18, 2) } else { (0, 0) };
                json!({"name": name, "type": kind, "precision": precision, "scale": scale,
                       "nillable": true, "label": name})
            })
            .collect();
        Answer::json(&json!({
            "name": object, "replicateable": object == "Account", "queryable": true, "fields": fields
        }))
    }

    fn query(&self, soql: &str) -> Answer {
        assert!(soql.len() < 16_384);
        let rows = match self.matching(soql) {
            Ok(rows) => rows,
            Err(refused) => return *refused,
        };
        if soql.starts_with("SELECT COUNT() ") {
            return Answer::json(&json!({"totalSize": rows.len(), "done": true, "records": []}));
        }
        assert!(soql.contains(" ORDER BY "), "pages need an order: {soql}");
        let mut rows = rows;
        match soql.contains(" ORDER BY Id") {
            true => rows.sort_by_key(|row| row.id),
            false => rows.sort_by_key(|row| row.modified),
        }
        let limit = soql
            .split_once(" LIMIT ")
            .map_or(usize::MAX, |(_, n)| n.parse().unwrap());
        rows.truncate(limit);
        let page = self.settings.borrow().page;
        let fields = selected(soql);
        let records: Vec<Value> = rows
            .iter()
            .take(page)
            .map(|row| {
                let mut record = json!({"attributes": {"type": "Account", "url": format!("{BASE}/sobjects/Account/{}", row.key())}});
                for field in &fields {
                    record[*field] = value(row, field);
                }
                record
            })
            .collect();
        let mut body =
            json!({"totalSize": rows.len(), "done": rows.len() <= page, "records": records});
        if rows.len() > page {
            body["nextRecordsUrl"] = json!(format!("{BASE}/query/01g000000000001AAA-{page}"));
        }
        Answer::json(&body)
    }

    /// The rows of a query, or why it is refused.
    fn matching(&self, soql: &str) -> Result<Vec<Account>, Box<Answer>> {
        let settings = self.settings.borrow();
        for field in selected(soql) {
            if settings.dropped.iter().any(|gone| gone == field) {
                let text = format!("No such column '{field}' on entity 'Account'.");
                return Err(Box::new(refusal(400, "INVALID_FIELD", &text)));
            }
        }
        let conditions = soql.split_once(" WHERE ").map_or("", |(_, rest)| rest);
        let conditions = conditions.split(" ORDER BY ").next().unwrap();
        let (mut since, mut until, mut after, mut live) = (0, u64::MAX, String::new(), false);
        let mut ids = None;
        for condition in conditions.split(" AND ").filter(|one| !one.is_empty()) {
            let words: Vec<&str> = condition.splitn(3, ' ').collect();
            match words[..] {
                ["SystemModstamp", ">=", at] => since = epoch_ms(at).unwrap(),
                ["SystemModstamp", "<", at] => until = epoch_ms(at).unwrap(),
                ["IsDeleted", "=", "false"] => live = true,
                ["Id", "IN", list] => ids = Some(list.to_owned()),
                ["Id", ">", id] => after = id.trim_matches('\'').to_owned(),
                _ => panic!("not understood: {condition}"),
            }
        }
        let wide = settings.range_ms_max.is_some_and(|max| until - since > max);
        if wide || settings.slow_behind_id && !after.is_empty() && soql.contains(" ORDER BY ") {
            let text = "Your query request was running for too long.";
            return Err(Box::new(refusal(400, "QUERY_TIMEOUT", text)));
        }
        let accounts = self.accounts.borrow();
        let matches = |row: &&Account| {
            let is_asked = ids.as_ref().is_none_or(|ids| ids.contains(&row.key()));
            let is_within = (since..until).contains(&row.modified) && row.key() > after;
            is_within && is_asked && !(live && row.deleted)
        };
        Ok(accounts.iter().filter(matches).cloned().collect())
    }

    fn list_deletes(&self, query: &[(String, String)]) -> Answer {
        let moment = |name: &str| epoch_ms(parameter(query, name).unwrap()).unwrap();
        let minute = |at_ms: u64| at_ms / 60_000 * 60_000;
        let (start, end) = (minute(moment("start")), minute(moment("end")));
        if start + 60_000 >= end || start < NOW_MS - 15 * 86_400_000 {
            return refusal(
                400,
                "INVALID_REPLICATION_DATE",
                "startDate before org replication enabled date",
            );
        }
        assert!(end <= NOW_MS, "asked for the future");
        let settings = self.settings.borrow();
        let deletes = self.deletes.borrow();
        let listed = deletes.iter().filter(|(_, at)| (start..end).contains(at));
        let listed: Vec<Value> = listed
            .map(|(id, at)| json!({"id": key(*id), "deletedDate": written(*at)}))
            .collect();
        if settings.deletes_max.is_some_and(|max| listed.len() > max) {
            return refusal(400, "EXCEEDED_ID_LIMIT", "too many ids");
        }
        Answer::json(&json!({
            "deletedRecords": listed,
            "earliestDateAvailable": written(settings.earliest_delete),
            "latestDateCovered": written(settings.latest_covered.unwrap_or(end)),
        }))
    }

    fn make_job(&self, request: &Request) -> Answer {
        assert!(request.idempotency_key.is_some());
        let Payload::Json(body) = &request.payload else {
            unreachable!()
        };
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["operation"], "queryAll");
        let query = body["query"].as_str().unwrap().to_owned();
        assert!(
            !query.contains("ORDER BY"),
            "an order disables reading in parts"
        );
        assert!(!query.contains("BillingAddress") && !query.contains("Logo__c"));
        if let Some((code, message)) = self.settings.borrow().bulk_refusal {
            return refusal(400, code, message);
        }
        let mut jobs = self.jobs.borrow_mut();
        let id = format!("750{:015}", jobs.len() + 1);
        jobs.push(BulkJob {
            id: id.clone(),
            query,
            deleted: false,
        });
        Answer::json(
            &json!({"id": id, "operation": "queryAll", "object": "Account",
            "state": "UploadComplete", "apiVersion": 62.0, "contentType": "CSV"}),
        )
    }

    fn job(&self, method: Method, id: &str, rest: &[&str], query: &[(String, String)]) -> Answer {
        let mut jobs = self.jobs.borrow_mut();
        let job = jobs.iter_mut().find(|job| job.id == id && !job.deleted);
        let gone = self.settings.borrow().results_gone;
        let Some(job) = job.filter(|_| !gone) else {
            return refusal(404, "NOT_FOUND", "The requested resource does not exist");
        };
        match (method, rest) {
            (Method::Delete, []) => {
                job.deleted = true;
                Answer::status(204)
            }
            (Method::Get, []) => {
                let state = self.settings.borrow_mut().job_states.pop();
                let rows = self.matching(&job.query).map_or(0, |rows| rows.len());
                Answer::json(&json!({"id": id, "state": state.unwrap_or("JobComplete"),
                    "jobType": "V2Query", "numberRecordsProcessed": rows, "retries": 0}))
            }
            (Method::Get, ["results"]) => {
                let query = (parameter(query, "maxRecords"), parameter(query, "locator"));
                self.results(&job.query, query)
            }
            _ => refusal(405, "METHOD_NOT_ALLOWED", "HTTP Method not allowed"),
        }
    }

    /// A page: the header row again, and what the next one is called.
    fn results(&self, soql: &str, (most, locator): (Option<&str>, Option<&str>)) -> Answer {
        let settings = self.settings.borrow();
        let mut rows = self.matching(soql).ok().unwrap();
        rows.truncate(rows.len().saturating_sub(settings.bulk_short));
        let most: usize = most.unwrap().parse().unwrap();
        if settings
            .body_records_max
            .is_some_and(|max| most as u64 > max)
        {
            return Answer::fault(tidegate_sdk::HttpFault::TooLarge(1 << 28));
        }
        if settings.locators_stale && locator.is_some() {
            return refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
        }
        let start = locator.map_or(0, |locator| {
            locator.strip_prefix("at").unwrap().parse().unwrap()
        });
        let page = &rows[start..rows.len().min(start + most)];
        let fields = selected(soql);
        let mut csv = header(&fields);
        for row in page {
            let cells = fields.iter().map(|field| cell(&value(row, field)));
            csv.push_str(&cells.collect::<Vec<_>>().join(","));
            csv.push('\n');
        }
        let next = match start + page.len() < rows.len() {
            true => format!("at{}", start + page.len()),
            false => "null".to_owned(),
        };
        let answer = Answer::body(csv).header("Sforce-NumberOfRecords", page.len().to_string());
        match settings.locator_lost {
            true => answer,
            false => answer.header("Sforce-Locator", next),
        }
    }
}

fn objects() -> Value {
    let object = |name: &str, custom: bool, queryable: bool| json!({"name": name, "label": name, "custom": custom, "queryable": queryable, "deprecatedAndHidden": false});
    json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": [
        object("Account", false, true),
        object("AccountHistory", false, true),
        object("AccountFeed", false, true),
        object("Contact", false, false),
        object("Profile", false, true),
        object("Tree__c", true, true),
        object("Tree__Share", true, true),
        object("Setting__mdt", true, true),
    ]})
}

pub(super) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(&json!([{"message": message, "errorCode": code}])).with_status(status)
}

fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = query.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

fn selected(soql: &str) -> Vec<&str> {
    let (fields, _) = soql
        .strip_prefix("SELECT ")
        .unwrap()
        .split_once(" FROM ")
        .unwrap();
    fields
        .split(',')
        .filter(|field| !field.contains('('))
        .collect()
}

/// As Salesforce writes times: the offset has no colon.
fn written(at_ms: u64) -> String {
    rfc3339(at_ms).replace('Z', "+0000")
}

fn value(row: &Account, field: &str) -> Value {
    match field {
        "Id" => json!(row.key()),
        "IsDeleted" => json!(row.deleted),
        "Name" => json!(row.name),
        "SystemModstamp" | "CreatedDate" => json!(written(row.modified)),
        "AnnualRevenue" => json!(1.5e7),
        _ => Value::Null,
    }
}

fn header(fields: &[&str]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| format!("\"{field}\"")).collect();
    quoted.join(",") + "\n"
}

/// Everything is quoted, and null is the empty text.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace('"', "\"\""),
        other => other.to_string(),
    };
    format!("\"{text}\"")
}
