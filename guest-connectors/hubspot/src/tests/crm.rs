//! A CRM with contacts only, just large enough to page.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Value, json};
use tidegate_sdk::{Payload, Request, Target, rfc3339, testing::Answer};

#[derive(Clone)]
pub(super) struct Contact {
    pub(super) id: u64,
    pub(super) modified: u64,
    pub(super) archived: Option<u64>,
}

impl Contact {
    fn written(&self) -> Value {
        let modified = rfc3339(self.modified);
        let mut record = json!({
            "id": self.id.to_string(),
            "properties": {"lastmodifieddate": modified, "hs_object_id": self.id.to_string()},
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
}

impl Crm {
    /// `count` contacts with ids from 1, modified one second apart from `modified`.
    pub(super) fn of(count: u64, modified: u64) -> Self {
        let contact = |id| Contact {
            id,
            modified: modified + (id - 1) * 1_000,
            archived: None,
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
            ("schema", "/crm/v3/properties/deals") => Answer::json(&json!({"results": []})),
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

    fn search(&self, request: &Request) -> Answer {
        assert_eq!(request.bucket.as_deref(), Some("search"));
        *self.searches.borrow_mut() += 1;
        let Payload::Json(body) = &request.payload else {
            unreachable!()
        };
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["sorts"][0]["propertyName"], "hs_object_id");
        assert_eq!(body.get("after"), None, "offsets skip records that move");
        let filters = body["filterGroups"][0]["filters"].as_array().unwrap();
        let limit = body["limit"].as_u64().unwrap() as usize;
        let contacts = self.contacts.borrow();
        let mut matches: Vec<&Contact> = contacts
            .iter()
            .filter(|contact| contact.archived.is_none())
            .filter(|contact| filters.iter().all(|filter| passes(contact, filter)))
            .collect();
        matches.sort_by_key(|contact| contact.id);
        let page = matches.iter().take(self.search_page.unwrap_or(limit));
        Answer::json(&json!({
            "total": matches.len() as u64 + *self.matches_more.borrow(),
            "results": page.map(|contact| contact.written()).collect::<Vec<_>>()
        }))
    }
}

fn passes(contact: &Contact, filter: &Value) -> bool {
    let bound: u64 = filter["value"].as_str().unwrap().parse().unwrap();
    let value = match filter["propertyName"].as_str().unwrap() {
        "lastmodifieddate" => contact.modified,
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
