//! An Intercom workspace, just large enough to page: lists by token, newest first;
//! search that knows days of its own zone and shows changes late; one scroll at a time.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use tidegate_sdk::{HttpFault, Request, testing::Answer};

use super::{DAY_S, NOW_S};

/// India: midnight is at half past six in the evening before, UTC.
const ZONE_S: u64 = 19_800;
/// Companies on a page of a scroll.
const SCROLL_PAGE: usize = 100;

/// What a test does to the workspace before a request is answered.
type Before = Box<dyn FnMut(&mut Workspace, usize)>;

#[derive(Default)]
pub(super) struct Scroll {
    /// Snapshot of ids that are still to come, and the parameter.
    open: Option<(String, Vec<u64>)>,
    begun: u64,
}

/// Shared, so that a test can edit while the connector reads.
#[derive(Clone, Default)]
pub(super) struct Workspace {
    /// Time of update by id.
    records: Rc<RefCell<BTreeMap<u64, u64>>>,
    deleted: Rc<RefCell<BTreeMap<u64, u64>>>,
    pub(super) scroll: Rc<RefCell<Scroll>>,
    pub(super) now_s: Rc<RefCell<u64>>,
    /// Search shows only what was updated before it.
    pub(super) indexed_s: Rc<RefCell<Option<u64>>>,
    /// The next scroll pages are answered so, and are lost.
    pub(super) scroll_faults: Rc<RefCell<Vec<Answer>>>,
    /// Requests whose answer is lost on the way, by number.
    pub(super) lost_pages: Rc<RefCell<Vec<usize>>>,
    pub(super) scroll_requests: Rc<RefCell<usize>>,
    pub(super) requests: Rc<RefCell<usize>>,
    before: Rc<RefCell<Option<Before>>>,
}

impl Workspace {
    /// `count` records with ids from 1, in ties of four.
    pub(super) fn of(count: u64, updated_s: u64) -> Self {
        let workspace = Self::default();
        *workspace.now_s.borrow_mut() = NOW_S;
        for id in 1..=count {
            workspace.put(id, updated_s + id / 4);
        }
        workspace
    }

    pub(super) fn put(&self, id: u64, updated_s: u64) {
        self.records.borrow_mut().insert(id, updated_s);
    }

    pub(super) fn delete(&self, id: u64, deleted_s: u64) {
        self.records.borrow_mut().remove(&id);
        self.deleted.borrow_mut().insert(id, deleted_s);
    }

    /// What a perfect copy holds.
    pub(super) fn truth(&self) -> BTreeMap<u64, u64> {
        self.records.borrow().clone()
    }

    /// Calls this before every answer, with the number of the request from 1.
    pub(super) fn before(&self, act: impl FnMut(&mut Workspace, usize) + 'static) {
        *self.before.borrow_mut() = Some(Box::new(act));
    }

    pub(super) fn remote(&self) -> impl FnMut(&Request) -> Answer + 'static {
        let workspace = self.clone();
        move |request| {
            let mut workspace = workspace.clone();
            let number = {
                let mut requests = workspace.requests.borrow_mut();
                *requests += 1;
                *requests
            };
            let act = workspace.before.borrow_mut().take();
            if let Some(mut act) = act {
                act(&mut workspace, number);
                workspace.before.borrow_mut().get_or_insert(act);
            }
            let version = ("intercom-version".to_owned(), "2.16".to_owned());
            assert!(request.headers.contains(&version));
            workspace.answer(request)
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        match request.path() {
            "/me" => Answer::json(&json!({"type": "admin", "app": {"region": "EU"}})),
            "/data_attributes" => attributes(request),
            "/admins" => Answer::json(&json!({"type": "admin.list", "admins": [{"id": "7"}]})),
            "/teams" => Answer::json(&json!({"type": "team.list", "teams": []})),
            "/tags" => Answer::json(&json!({"type": "list", "data": [{"id": "1"}, {"id": "2"}]})),
            "/contacts" => self.list("data", request),
            "/conversations" => self.list("conversations", request),
            "/contacts/search" => self.search("data", request),
            "/conversations/search" => self.search("conversations", request),
            "/conversations/deleted" => self.deletions(request),
            "/companies/scroll" => self.scroll(request),
            "/companies" => {
                let count = self.records.borrow().len();
                Answer::json(&json!({"type": "list", "data": [], "total_count": count}))
            }
            path => {
                let id = path.strip_prefix("/conversations/").unwrap();
                let id: u64 = id.parse().unwrap();
                match self.records.borrow().get(&id) {
                    Some(updated_s) => {
                        let mut whole = written(id, *updated_s);
                        whole["conversation_parts"] = json!({"conversation_parts": [{"id": "1"}]});
                        Answer::json(&whole)
                    }
                    None => refusal(404, "conversation_not_found"),
                }
            }
        }
    }

    /// Newest id first; the token is the id before.
    fn list(&self, at: &str, request: &Request) -> Answer {
        let per_page: usize = request.parameter("per_page").unwrap().parse().unwrap();
        assert!(per_page <= 150);
        let before = request.parameter("starting_after");
        let before: u64 = before.map_or(u64::MAX, |id| id.parse().unwrap());
        let records = self.records.borrow();
        let mut listed = records.range(..before).rev();
        let page: Vec<(u64, u64)> = listed
            .by_ref()
            .take(per_page)
            .map(|(id, updated_s)| (*id, *updated_s))
            .collect();
        let next = page.last().filter(|_| listed.next().is_some());
        paged(at, &page, next.map(|(id, _)| id.to_string()))
    }

    /// By time of update and id; the token is the pair before.
    fn search(&self, at: &str, request: &Request) -> Answer {
        let body = request.document();
        assert_eq!(
            body["sort"],
            json!({"field": "updated_at", "order": "ascending"})
        );
        let per_page = body["pagination"]["per_page"].as_u64().unwrap() as usize;
        let after = match body["pagination"].get("starting_after") {
            Some(token) => {
                let (time, id) = token.as_str().unwrap().split_once('.').unwrap();
                (time.parse().unwrap(), id.parse().unwrap())
            }
            None => (0, 0),
        };
        let indexed_s = self.indexed_s.borrow().unwrap_or(u64::MAX);
        let mut found: Vec<(u64, u64)> = self
            .records
            .borrow()
            .iter()
            .filter(|(_, updated_s)| **updated_s < indexed_s && passes(&body["query"], **updated_s))
            .map(|(id, updated_s)| (*updated_s, *id))
            .filter(|place| *place > after)
            .collect();
        found.sort_unstable();
        let page: Vec<(u64, u64)> = found
            .iter()
            .take(per_page)
            .map(|(updated_s, id)| (*id, *updated_s))
            .collect();
        let next = page.last().filter(|_| found.len() > per_page);
        paged(
            at,
            &page,
            next.map(|(id, updated_s)| format!("{updated_s}.{id}")),
        )
    }

    fn deletions(&self, request: &Request) -> Answer {
        let number = |name: &str| -> usize { request.parameter(name).unwrap().parse().unwrap() };
        let (page, per_page) = (number("page"), number("per_page"));
        assert_eq!(request.parameter("order"), Some("desc"));
        let mut deleted: Vec<(u64, u64)> = self
            .deleted
            .borrow()
            .iter()
            .map(|(id, deleted_s)| (*deleted_s, *id))
            .collect();
        deleted.sort_unstable_by(|one, other| other.cmp(one));
        let shown = deleted.iter().skip((page - 1) * per_page).take(per_page);
        let shown: Vec<Value> = shown
            .map(|(deleted_s, id)| json!({"id": id.to_string(), "deleted_at": deleted_s}))
            .collect();
        let next = (page * per_page < deleted.len()).then_some("https://api.intercom.io/next");
        Answer::json(&json!({"conversations": shown, "pages": {"next": next}}))
    }

    fn scroll(&self, request: &Request) -> Answer {
        *self.scroll_requests.borrow_mut() += 1;
        let mut scroll = self.scroll.borrow_mut();
        match (request.parameter("scroll_param"), &scroll.open) {
            (None, Some(_)) => return refusal(400, "scroll_exists"),
            (None, None) => {
                scroll.begun += 1;
                let ids = self.records.borrow().keys().copied().collect();
                scroll.open = Some((format!("scroll-{}", scroll.begun), ids));
            }
            (Some(parameter), Some((open, _))) if parameter == open => {}
            _ => return refusal(404, "not_found"),
        }
        if let Some(fault) = self.scroll_faults.borrow_mut().pop() {
            scroll.open = None;
            return fault;
        }
        let number = *self.scroll_requests.borrow();
        let is_lost = self.lost_pages.borrow().contains(&number);
        let (parameter, ids) = scroll.open.as_mut().unwrap();
        let page: Vec<u64> = ids.drain(..SCROLL_PAGE.min(ids.len())).collect();
        if is_lost {
            return Answer::fault(HttpFault::Protocol("the body was cut".to_owned()));
        }
        let parameter = parameter.clone();
        if page.is_empty() {
            scroll.open = None;
        }
        let records = self.records.borrow();
        let shown: Vec<Value> = page.iter().map(|id| written(*id, records[id])).collect();
        Answer::json(&json!({
            "type": "list", "data": shown, "pages": null, "total_count": null,
            "scroll_param": parameter
        }))
    }
}

impl Scroll {
    /// Somebody else's.
    pub(super) fn take(&mut self) {
        self.open = Some(("theirs".to_owned(), Vec::new()));
    }

    pub(super) fn expire(&mut self) {
        self.open = None;
    }
}

fn written(id: u64, updated_s: u64) -> Value {
    json!({"type": "x", "id": id.to_string(), "updated_at": updated_s})
}

fn paged(at: &str, page: &[(u64, u64)], next: Option<String>) -> Answer {
    let shown: Vec<Value> = page
        .iter()
        .map(|(id, updated_s)| written(*id, *updated_s))
        .collect();
    let mut body = json!({"type": "list", "total_count": 1, "pages": {"type": "pages"}});
    body[at] = json!(shown);
    if let Some(next) = next {
        body["pages"]["next"] = json!({"page": 2, "starting_after": next});
    }
    Answer::json(&body)
}

pub(super) fn refusal(status: u16, code: &str) -> Answer {
    let error = json!({"type": "error.list", "errors": [{"code": code, "message": "..."}]});
    Answer::refusal(status, &error)
}

fn day(at_s: u64) -> u64 {
    (at_s + ZONE_S) / DAY_S
}

/// Times are compared by the day; ">=" and "<=" are refused.
fn passes(query: &Value, updated_s: u64) -> bool {
    let of_all = |value: &Value| -> Vec<bool> {
        let filters = value.as_array().unwrap().iter();
        filters.map(|filter| passes(filter, updated_s)).collect()
    };
    let value = &query["value"];
    match query["operator"].as_str().unwrap() {
        "AND" => of_all(value).into_iter().all(|passes| passes),
        "OR" => of_all(value).into_iter().any(|passes| passes),
        operator => {
            assert_eq!(query["field"], "updated_at");
            let bound = day(value.as_u64().unwrap());
            match operator {
                ">" => day(updated_s) > bound,
                "<" => day(updated_s) < bound,
                "=" => day(updated_s) == bound,
                other => panic!("times cannot be compared by {other}"),
            }
        }
    }
}

fn attributes(request: &Request) -> Answer {
    let model = request.parameter("model").unwrap();
    let mut data = vec![json!({
        "type": "data_attribute", "name": "name", "full_name": "name", "label": "Name",
        "data_type": "string", "custom": false, "model": model
    })];
    if model == "contact" {
        for (name, kind) in [("tier", "string"), ("score", "float"), ("since", "date")] {
            data.push(json!({
                "type": "data_attribute", "name": name, "label": format!("The {name}"),
                "full_name": format!("custom_attributes.{name}"), "data_type": kind,
                "custom": true, "model": model
            }));
        }
    }
    Answer::json(&json!({"type": "list", "data": data}))
}
