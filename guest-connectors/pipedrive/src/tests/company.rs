//! A Pipedrive company, just large enough to page: v2 lists by cursor, times to the
//! second, archived deals apart, deleted deals for thirty days.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use tidegate_sdk::{Request, rfc3339_seconds, testing::Answer};

use super::{DAY_MS, SECOND_MS};

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) updated_ms: u64,
    pub(super) is_archived: bool,
    pub(super) is_deleted: bool,
}

/// What a test does to the company before a request is answered.
type Before = Box<dyn FnMut(&mut Company, usize)>;

/// Shared, so that a test can edit while the connector reads.
#[derive(Clone, Default)]
pub(super) struct Company {
    pub(super) records: Rc<RefCell<BTreeMap<(String, u64), Record>>>,
    pub(super) requests: Rc<RefCell<usize>>,
    pub(super) now_ms: Rc<RefCell<u64>>,
    before: Rc<RefCell<Option<Before>>>,
    /// Cursors given before this many requests are refused.
    pub(super) cursors_from: Rc<RefCell<usize>>,
    /// Sent as the `Date` header.
    pub(super) date: Rc<RefCell<Option<String>>>,
}

impl Company {
    /// `count` records with ids from 1, all updated in the same second.
    pub(super) fn of(stream: &str, count: u64, updated_ms: u64) -> Self {
        let company = Self::default();
        for id in 1..=count {
            company.put(stream, id, updated_ms);
        }
        company
    }

    pub(super) fn put(&self, stream: &str, id: u64, updated_ms: u64) {
        self.change(stream, id, updated_ms, |_| {});
    }

    pub(super) fn change(
        &self,
        stream: &str,
        id: u64,
        updated_ms: u64,
        change: impl FnOnce(&mut Record),
    ) {
        let mut records = self.records.borrow_mut();
        let record = records.entry((stream.to_owned(), id)).or_insert(Record {
            updated_ms,
            is_archived: false,
            is_deleted: false,
        });
        record.updated_ms = updated_ms;
        change(record);
    }

    /// Calls this before every answer, with the number of the request from 1.
    pub(super) fn before(&self, act: impl FnMut(&mut Company, usize) + 'static) {
        *self.before.borrow_mut() = Some(Box::new(act));
    }

    /// What a perfect copy holds.
    pub(super) fn truth(&self, stream: &str) -> BTreeMap<u64, String> {
        let records = self.records.borrow();
        records
            .iter()
            .filter(|((of, _), record)| of == stream && !record.is_deleted)
            .map(|((_, id), record)| (*id, rfc3339_seconds(record.updated_ms)))
            .collect()
    }

    pub(super) fn remote(&self) -> impl FnMut(&Request) -> Answer + 'static {
        let company = self.clone();
        move |request| {
            let mut company = company.clone();
            let number = {
                let mut requests = company.requests.borrow_mut();
                *requests += 1;
                *requests
            };
            let act = company.before.borrow_mut().take();
            if let Some(mut act) = act {
                act(&mut company, number);
                company.before.borrow_mut().get_or_insert(act);
            }
            let answer = company.answer(request, number);
            match company.date.borrow().clone() {
                Some(date) => answer.header("date", date),
                None => answer,
            }
        }
    }

    fn answer(&self, request: &Request, number: usize) -> Answer {
        let (endpoint, path) = (request.endpoint(), request.path());
        let (base, is_fields) = match endpoint {
            "company" => ("/api/v1", false),
            "shared" => ("/v1", false),
            "company_fields" | "shared_fields" => ("", true),
            other => panic!("there is no endpoint {other}"),
        };
        if is_fields {
            return fields(path, request);
        }
        if path == format!("{base}/users") {
            assert_eq!(request.cost, 20);
            return Answer::json(&json!({"success": true, "data": [
                {"id": 9, "name": "Ann", "active_flag": true, "modified": "2026-01-02 03:04:05"}
            ]}));
        }
        assert_eq!(
            request.cost,
            if path.ends_with("archived") { 20 } else { 10 }
        );
        let stream = path.strip_prefix("/api/v2/").unwrap();
        let (stream, is_archived) = match stream.strip_suffix("/archived") {
            Some(stream) => (stream, true),
            None => (stream, false),
        };
        self.list(request, stream, is_archived, number)
    }

    fn list(&self, request: &Request, stream: &str, is_archived: bool, number: usize) -> Answer {
        let bound = |name: &str| {
            let text = request.parameter(name)?;
            Some(moment(text).unwrap_or_else(|| panic!("{name}={text} is refused")))
        };
        let (since, until) = (bound("updated_since"), bound("updated_until"));
        let deleted = request.parameter("status") == Some("deleted");
        assert_eq!(request.parameter("sort_by"), Some("id"));
        let terms = format!("{since:?}{until:?}{deleted}{is_archived}");
        let after = match request.parameter("cursor") {
            None => 0,
            Some(cursor) => {
                let parts: Vec<&str> = cursor.split('|').collect();
                let given: usize = parts[0].parse().unwrap();
                assert_eq!(parts[1], terms, "a cursor goes with its own filters");
                if given < *self.cursors_from.borrow() {
                    return Answer::refusal(400, &json!({"success": false, "error": "cursor"}));
                }
                parts[2].parse().unwrap()
            }
        };
        let limit: usize = request.parameter("limit").unwrap().parse().unwrap();
        assert!(limit <= 500);
        let now_ms = *self.now_ms.borrow();
        let records = self.records.borrow();
        let mut matches = records.iter().filter(|((of, id), record)| {
            let second = record.updated_ms / SECOND_MS;
            let is_kept = !deleted || now_ms < record.updated_ms + 30 * DAY_MS;
            of == stream
                && *id > after
                && record.is_deleted == deleted
                && (deleted || record.is_archived == is_archived)
                && is_kept
                && since.is_none_or(|since| second >= since)
                && until.is_none_or(|until| second < until)
        });
        let page: Vec<Value> = matches.by_ref().take(limit).map(written).collect();
        let last = page.last().map(|record| record["id"].clone());
        let next = last
            .filter(|_| matches.next().is_some())
            .map(|id| format!("{number}|{terms}|{id}"));
        Answer::json(&json!({
            "success": true, "data": page, "additional_data": {"next_cursor": next}
        }))
    }
}

fn written(((_, id), record): (&(String, u64), &Record)) -> Value {
    json!({
        "id": id,
        "update_time": rfc3339_seconds(record.updated_ms),
        "is_deleted": record.is_deleted,
        "is_archived": record.is_archived,
        "custom_fields": {}
    })
}

/// Strictly `2026-11-22T08:00:00Z`, in seconds since the epoch.
fn moment(text: &str) -> Option<u64> {
    let whole = text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    let at = tidegate_sdk::testing::epoch_ms(text).filter(|_| whole)?;
    Some(at / SECOND_MS)
}

fn fields(path: &str, request: &Request) -> Answer {
    let page = match (path, request.parameter("cursor")) {
        ("/api/v2/personFields", _) => {
            return Answer::refusal(
                403,
                &json!({"success": false, "error": "Scope and URL mismatch", "errorCode": 403}),
            );
        }
        ("/api/v2/dealFields", None) => json!({"success": true, "data": [
            {"field_code": "title", "field_name": "Title", "field_type": "varchar", "is_custom_field": false},
            {"field_code": "0123456789abcdef0123456789abcdef01234567", "field_name": "Contract value",
             "field_type": "monetary", "is_custom_field": true, "options": null}
        ], "additional_data": {"next_cursor": "more"}}),
        ("/api/v2/dealFields", Some("more")) => json!({"success": true, "data": [
            {"field_code": "89abcdef0123456789abcdef0123456789abcdef", "field_name": "Tier",
             "field_type": "enum", "is_custom_field": true,
             "options": [{"id": 21, "label": "Gold", "color": null}, {"id": 22, "label": "Silver", "color": null}]}
        ]}),
        _ => json!({"success": true, "data": []}),
    };
    Answer::json(&page)
}
