//! A CRM with contacts only, just large enough to page.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use tidegate_sdk::{Payload, Request, Target, rfc3339, testing::Answer};

#[derive(Clone)]
pub(super) struct Contact {
    pub(super) id: u64,
    pub(super) modified: u64,
    pub(super) archived: Option<u64>,
    /// Ids of the contacts that are a part of it.
    pub(super) merged: String,
}

impl Contact {
    fn written(&self) -> Value {
        let modified = rfc3339(self.modified);
        let mut record = json!({
            "id": self.id.to_string(),
            "properties": {"lastmodifieddate": modified, "hs_object_id": self.id.to_string(),
                           "hs_merged_object_ids": (!self.merged.is_empty()).then_some(&self.merged)},
            "createdAt": "2020-01-01T00:00:00.000Z",
            "updatedAt": modified,
            "archived": self.archived.is_some()
        });
        if let Some(at_ms) = self.archived {
            record["archivedAt"] = json!(rfc3339(at_ms));
        }
        record
    }
}

/// Shared, so that a test can edit while the connector reads.
#[derive(Clone, Default)]
pub(super) struct Crm {
    pub(super) contacts: Rc<RefCell<Vec<Contact>>>,
    /// Added to the number of matches that a search reports.
    pub(super) matches_more: Rc<RefCell<u64>>,
    pub(super) searches: Rc<RefCell<u32>>,
    /// Records of a search page, at most; short pages are legal.
    pub(super) search_page: Option<usize>,
    /// Search finds archived contacts, which it does not show.
    pub(super) lags: Rc<RefCell<bool>>,
    /// Companies of contacts, as pages of a batch show them.
    pub(super) companies: Rc<RefCell<BTreeMap<u64, Vec<u64>>>>,
}

impl Crm {
    /// `count` contacts with ids from 1, modified one second apart from `modified`.
    pub(super) fn of(count: u64, modified: u64) -> Self {
        let contact = |id| Contact {
            id,
            modified: modified + (id - 1) * 1_000,
            archived: None,
            merged: String::new(),
        };
        let crm = Self::default();
        crm.contacts.borrow_mut().extend((1..=count).map(contact));
        crm
    }

    pub(super) fn edit(&self, id: u64, change: impl FnOnce(&mut Contact)) {
        let mut contacts = self.contacts.borrow_mut();
        change(
            contacts
                .iter_mut()
                .find(|contact| contact.id == id)
                .unwrap(),
        );
    }

    pub(super) fn remote(&self) -> impl FnMut(&Request) -> Answer + 'static {
        let crm = self.clone();
        move |request| crm.answer(request)
    }

    fn answer(&self, request: &Request) -> Answer {
        let Target::Endpoint {
            endpoint,
            path,
            query,
        } = &request.target
        else {
            unreachable!()
        };
        match (endpoint.as_str(), path.as_str()) {
            ("schema", "/crm/v3/properties/contacts") => Answer::json(&json!({"results": [
                {"name": "email", "type": "string"},
                {"name": "lastmodifieddate", "type": "datetime"},
                {"name": "birthday", "type": "date"},
                {"name": "opted_out", "type": "bool"},
                {"name": "score", "type": "number"},
                {"name": "stage", "type": "enumeration"}
            ]})),
            ("schema", "/crm/v3/properties/companies") => Answer::status(403),
            ("schema", "/crm/v3/properties/deals" | "/crm/v3/properties/tickets") => {
                Answer::json(&json!({"results": []}))
            }
            ("schema", "/crm/v3/schemas") => Answer::json(&json!({"results": [own_type()]})),
            ("api", "/crm/v3/owners") => self.owners(query),
            ("api", "/crm/v3/pipelines/deals") => {
                Answer::json(&json!({"results": [{"id": "default", "stages": [{"id": "won"}]}]}))
            }
            ("api", "/crm/v3/objects/contacts/batch/read") => self.batch(request),
            ("api", "/crm/v4/associations/contacts/companies/batch/read") => {
                self.associations(request)
            }
            ("api", "/crm/v3/objects/deals") => self.list(query),
            ("api", "/crm/v3/objects/deals/search") => self.search(request),
            ("api", "/crm/v3/objects/deals/batch/read") => self.batch(request),
            ("schema", "/account-info/v3/details") => Answer::json(&json!({"portalId": 1})),
            ("api", "/crm/v3/objects/contacts") => self.list(query),
            ("api", "/crm/v3/objects/contacts/search") => self.search(request),
            _ => Answer::status(404),
        }
    }

    fn list(&self, query: &[(String, String)]) -> Answer {
        let parameter = |name: &str| {
            query
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        let archived = parameter("archived") == Some("true");
        let limit: usize = parameter("limit").unwrap().parse().unwrap();
        let start: usize = parameter("after").unwrap_or("0").parse().unwrap();
        let contacts = self.contacts.borrow();
        let listed: Vec<&Contact> = contacts
            .iter()
            .filter(|contact| contact.archived.is_some() == archived)
            .collect();
        let page = listed
            .iter()
            .skip(start)
            .take(limit)
            .map(|contact| contact.written());
        let mut body = json!({"results": page.collect::<Vec<_>>()});
        if start + limit < listed.len() {
            body["paging"] = json!({"next": {"after": (start + limit).to_string()}});
        }
        Answer::json(&body)
    }

    /// Two pages of owners, and one who left.
    fn owners(&self, query: &[(String, String)]) -> Answer {
        let has = |name: &str, value: &str| {
            query
                .iter()
                .any(|(known, given)| known == name && given == value)
        };
        Answer::json(&match (has("archived", "true"), has("after", "1")) {
            (true, _) => json!({"results": [{"id": "9", "archived": true}]}),
            (_, true) => json!({"results": [{"id": "2", "archived": false}]}),
            _ => json!({"results": [{"id": "1"}], "paging": {"next": {"after": "1"}}}),
        })
    }

    fn inputs(request: &Request) -> (Value, Vec<Value>) {
        let Payload::Json(body) = &request.payload else {
            unreachable!()
        };
        let body: Value = serde_json::from_str(body).unwrap();
        let inputs = body["inputs"].as_array().unwrap().clone();
        assert!(inputs.len() <= 100);
        (body, inputs)
    }

    fn batch(&self, request: &Request) -> Answer {
        let (body, inputs) = Self::inputs(request);
        let contacts = self.contacts.borrow();
        let live = contacts.iter().filter(|one| one.archived.is_none());
        let wanted = live.filter(|one| inputs.contains(&json!({"id": one.id.to_string()})));
        let mut results: Vec<Value> = wanted.map(Contact::written).collect();
        for name in body["propertiesWithHistory"].as_array().unwrap() {
            assert!(inputs.len() <= 50);
            for result in &mut results {
                let history = json!([{"value": "won"}, {"value": "lost"}]);
                result["propertiesWithHistory"] = json!({name.as_str().unwrap(): history});
            }
        }
        // In no order of the inputs.
        results.reverse();
        Answer::json(&json!({"status": "COMPLETE", "results": results}))
    }

    /// Pages of two, and an error for who has none.
    fn associations(&self, request: &Request) -> Answer {
        let (_, inputs) = Self::inputs(request);
        let companies = self.companies.borrow();
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for input in inputs {
            let id: u64 = input["id"].as_str().unwrap().parse().unwrap();
            let after: usize = input["after"].as_str().unwrap_or("0").parse().unwrap();
            let Some(all) = companies.get(&id) else {
                errors.push(json!({"category": "OBJECT_NOT_FOUND"}));
                continue;
            };
            let page: Vec<Value> = all
                .iter()
                .skip(after)
                .take(2)
                .map(|to| json!({"toObjectId": to, "associationTypes": []}))
                .collect();
            let mut result = json!({"from": {"id": id.to_string()}, "to": page});
            if after + 2 < all.len() {
                result["paging"] = json!({"next": {"after": (after + 2).to_string()}});
            }
            results.push(result);
        }
        let status = if errors.is_empty() { 200 } else { 207 };
        let body = json!({"status": "COMPLETE", "results": results, "errors": errors});
        Answer::json(&body).with_status(status)
    }

    fn search(&self, request: &Request) -> Answer {
        assert_eq!(request.bucket.as_deref(), Some("search"));
        *self.searches.borrow_mut() += 1;
        let Payload::Json(body) = &request.payload else {
            unreachable!()
        };
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["sorts"][0]["propertyName"], "hs_object_id");
        let lags = *self.lags.borrow();
        let offset: usize = match &body["after"] {
            Value::Null => 0,
            after => after.as_str().unwrap().parse().unwrap(),
        };
        assert!(offset == 0 || lags, "offsets skip records that move");
        let filters = body["filterGroups"][0]["filters"].as_array().unwrap();
        let limit = body["limit"].as_u64().unwrap() as usize;
        let contacts = self.contacts.borrow();
        let mut matches: Vec<&Contact> = contacts
            .iter()
            .filter(|contact| lags || contact.archived.is_none())
            .filter(|contact| filters.iter().all(|filter| passes(contact, filter)))
            .collect();
        matches.sort_by_key(|contact| contact.id);
        let limit = self.search_page.unwrap_or(limit);
        let page = matches.iter().skip(offset).take(limit);
        let page = page.filter(|contact| contact.archived.is_none());
        let asked = body["properties"].as_array().unwrap();
        let tells_merged = asked.contains(&json!("hs_merged_object_ids"));
        let shown = |contact: &&Contact| {
            let mut shown = contact.written();
            if !tells_merged {
                shown["properties"]["hs_merged_object_ids"].take();
            }
            shown
        };
        let mut answer = json!({
            "total": matches.len() as u64 + *self.matches_more.borrow(),
            "results": page.map(shown).collect::<Vec<_>>()
        });
        if offset + limit < matches.len() {
            answer["paging"] = json!({"next": {"after": (offset + limit).to_string()}});
        }
        Answer::json(&answer)
    }
}

fn passes(contact: &Contact, filter: &Value) -> bool {
    let bound: u64 = filter["value"].as_str().unwrap().parse().unwrap();
    let value = match filter["propertyName"].as_str().unwrap() {
        "lastmodifieddate" | "hs_lastmodifieddate" => contact.modified,
        "hs_object_id" => contact.id,
        other => panic!("contacts have no property {other}"),
    };
    match filter["operator"].as_str().unwrap() {
        "GTE" => value >= bound,
        "LT" => value < bound,
        "GT" => value > bound,
        other => panic!("unknown operator {other}"),
    }
}

/// A type of the account's own, associated with contacts in both directions.
fn own_type() -> Value {
    let association = |from: &str, to: &str| json!({"fromObjectTypeId": from, "toObjectTypeId": to, "name": "machine_to_contact"});
    json!({
        "objectTypeId": "2-7", "fullyQualifiedName": "p1_machine", "name": "machine",
        "properties": [{"name": "hours", "type": "number"}],
        "associations": [association("2-7", "0-1"), association("0-1", "2-7"), association("2-7", "0-27")]
    })
}
