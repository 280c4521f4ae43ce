//! A LeadSquared account, just large enough to page by offset, as the real one does.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use tidegate_sdk::{
    Request, date_time,
    testing::{Answer, epoch_ms},
};

/// What a test does to the account before a request is answered.
pub(super) type Before = Box<dyn FnMut(&mut Account, usize)>;

/// Shared, so that a test can edit while the connector reads.
#[derive(Clone, Default)]
pub(super) struct Account {
    /// Seconds of the last change, by kind and number.
    pub(super) records: Rc<RefCell<BTreeMap<(&'static str, u64), u64>>>,
    pub(super) requests: Rc<RefCell<usize>>,
    pub(super) before: Rc<RefCell<Option<Before>>>,
    /// RecordCount is that of the page.
    pub(super) counts_pages: bool,
    pub(super) date: Option<&'static str>,
    pub(super) has_no_opportunities: bool,
}

impl Account {
    pub(super) fn put(&self, kind: &'static str, number: u64, modified_s: u64) {
        self.records.borrow_mut().insert((kind, number), modified_s);
    }

    /// What a perfect copy holds.
    pub(super) fn truth(&self, kind: &str) -> BTreeMap<String, String> {
        let records = self.records.borrow();
        records
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|((_, number), modified_s)| (id(*number), date_time(modified_s * 1_000)))
            .collect()
    }

    /// Calls this before every answer, with the number of the request from 1.
    pub(super) fn before(&self, act: impl FnMut(&mut Account, usize) + 'static) {
        *self.before.borrow_mut() = Some(Box::new(act));
    }

    pub(super) fn remote(&self) -> impl FnMut(&Request) -> Answer + 'static {
        let account = self.clone();
        move |request| {
            let mut account = account.clone();
            let number = {
                let mut requests = account.requests.borrow_mut();
                *requests += 1;
                *requests
            };
            let act = account.before.borrow_mut().take();
            if let Some(mut act) = act {
                act(&mut account, number);
                account.before.borrow_mut().get_or_insert(act);
            }
            let answer = account.answer(request);
            match account.date {
                Some(date) => answer.header("date", date),
                None => answer,
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        let body = request.document();
        match request.path() {
            "/LeadManagement.svc/LeadsMetaData.Get" => Answer::json(&json!([
                {"SchemaName": "ProspectID", "DisplayName": "Lead Id", "DataType": "Text"},
                {"SchemaName": "ModifiedOn", "DisplayName": "Modified On", "DataType": "DateTime",
                 "CreatedOn": "/Date(1417453996000+0000)/"},
                {"SchemaName": "mx_City", "DisplayName": "City", "DataType": "Select"},
                {"SchemaName": "mx_Budget", "DisplayName": "Budget", "DataType": "Number"}
            ])),
            "/ProspectActivity.svc/ActivityTypes.Get" => Answer::json(&json!([
                {"ActivityEvent": 22, "ActivityEventName": "Outbound Phone Call", "EventType": 2},
                {"ActivityEvent": "201", "ActivityEventName": "Visit", "EventType": 2}
            ])),
            "/OpportunityManagement.svc/GetOpportunityTypeMetadata" => {
                if request.parameter("code") != Some("12000") || self.has_no_opportunities {
                    let name = "MXInvalidInputException";
                    let error = json!({"Status": "Error", "ExceptionType": name});
                    return Answer::refusal(500, &error);
                }
                Answer::json(&json!({"EventCode": 12000, "Fields": [
                    {"SchemaName": "Status", "DisplayName": "Status", "DataType": "SearchableDropdown"},
                    {"SchemaName": "mx_Custom_8", "DisplayName": "Expected value", "DataType": "Number"}
                ]}))
            }
            "/UserManagement.svc/Users.Get" => Answer::json(
                &json!([{"ID": "u-1", "StatusCode": 0}, {"ID": "u-2", "StatusCode": 1}]),
            ),
            "/LeadManagement.svc/Leads.RecentlyModified" => {
                assert_eq!(
                    body["Sorting"],
                    json!({"ColumnName": "ProspectAutoId", "Direction": "0"})
                );
                let columns = body["Columns"]["Include_CSV"].as_str().unwrap();
                let (page, count) = self.window("lead", &body);
                let lead = |(number, modified_s): &(u64, u64)| {
                    let all = [
                        ("ProspectID", id(*number)),
                        ("ProspectAutoId", number.to_string()),
                        ("ModifiedOn", date_time(modified_s * 1_000)),
                        ("mx_City", String::new()),
                    ];
                    let shown = all
                        .iter()
                        .filter(|(name, _)| columns.split(',').any(|one| one == *name));
                    let shown: Vec<Value> = shown
                        .map(|(name, value)| json!({"Attribute": name, "Value": value}))
                        .collect();
                    json!({"LeadPropertyList": shown})
                };
                let leads: Vec<Value> = page.iter().map(lead).collect();
                Answer::json(&json!({"RecordCount": count, "Leads": leads}))
            }
            "/ProspectActivity.svc/CustomActivity/RetrieveByActivityEvent" => {
                let kind = match body["Parameter"]["ActivityEvent"].as_i64().unwrap() {
                    22 => "call",
                    201 => "visit",
                    other => panic!("{other} is no type of activity"),
                };
                let (page, count) = self.window(kind, &body);
                Answer::json(&json!({"RecordCount": count, "List": shown(&page)}))
            }
            "/OpportunityManagement.svc/Retrieve/BySearchParameter" => {
                assert_eq!(
                    body["Sorting"],
                    json!({"ColumnName": "ModifiedOn", "Direction": 1})
                );
                let search: Value =
                    serde_json::from_str(body["AdvancedSearch"].as_str().unwrap()).unwrap();
                assert_eq!(search["Conditions"][0]["RowCondition"][0]["RSO"], "12000");
                let mut all = self.of("opportunity");
                all.sort_unstable_by_key(|(number, modified_s)| (u64::MAX - modified_s, *number));
                let (page, count) = self.page(&all, &body);
                let mut list = shown(&page);
                for one in &mut list {
                    one["OpportunityId"] = one["ProspectActivityId"].take();
                }
                Answer::json(&json!({"RecordCount": count, "List": list}))
            }
            path => panic!("there is no {path}"),
        }
    }

    fn of(&self, kind: &str) -> Vec<(u64, u64)> {
        let records = self.records.borrow();
        records
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|((_, number), modified_s)| (*number, *modified_s))
            .collect()
    }

    /// Both bounds are inclusive; in the order of numbers.
    fn window(&self, kind: &str, body: &Value) -> (Vec<(u64, u64)>, usize) {
        let bound = |name: &str| {
            let text = body["Parameter"][name].as_str().unwrap();
            assert_eq!(text.len(), "2026-11-22 08:00:00".len());
            epoch_ms(text).unwrap() / 1_000
        };
        let (from, to) = (bound("FromDate"), bound("ToDate"));
        let mut all = self.of(kind);
        all.retain(|(_, modified_s)| (from..=to).contains(modified_s));
        self.page(&all, body)
    }

    fn page(&self, all: &[(u64, u64)], body: &Value) -> (Vec<(u64, u64)>, usize) {
        let paging = |name: &str| body["Paging"][name].as_u64().unwrap() as usize;
        let (index, size) = (paging("PageIndex"), paging("PageSize"));
        assert!(index >= 1 && size <= 5_000);
        let page: Vec<(u64, u64)> = all
            .iter()
            .skip((index - 1) * size)
            .take(size)
            .copied()
            .collect();
        let count = if self.counts_pages {
            page.len()
        } else {
            all.len()
        };
        (page, count)
    }
}

fn shown(page: &[(u64, u64)]) -> Vec<Value> {
    let record = |(number, modified_s): &(u64, u64)| json!({"ProspectActivityId": id(*number), "ModifiedOn": date_time(modified_s * 1_000)});
    page.iter().map(record).collect()
}

fn id(number: u64) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}
