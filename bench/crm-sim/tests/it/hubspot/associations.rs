//! Associations: what is generated, what writes change, and every version's form of it.

use std::collections::BTreeSet;

use crm_sim::hubspot::{Config, CrmSim, CustomType, Kind};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call, get, get_as, post, start, unlimited};

/// The associated ids of a page of version 4.
fn linked(page: &Value) -> Vec<u64> {
    let results = page["results"].as_array().unwrap();
    let ids = results.iter().map(|one| one["toObjectId"].as_u64().unwrap());
    ids.collect()
}

/// A contact with exactly one company, and that company.
fn pair(sim: &CrmSim) -> (u64, u64) {
    let mut found = sim.associations(Kind::Contacts, Kind::Companies);
    let (contact, companies) = found.find(|(_, companies)| companies.len() == 1).unwrap();
    (contact, *companies.keys().next().unwrap())
}

async fn companies_of(sim: &CrmSim, contact: u64) -> Value {
    let path = format!("/crm/v4/objects/contacts/{contact}/associations/companies");
    get(sim, &path).await.json()
}

#[tokio::test]
async fn every_version_shows_the_same_association_in_its_own_form() {
    let sim = unlimited(100).await;
    let (contact, company) = pair(&sim);
    let modern = companies_of(&sim, contact).await;
    assert_eq!(
        modern["results"],
        json!([{"toObjectId": company, "associationTypes": [
            {"category": "HUBSPOT_DEFINED", "typeId": 1, "label": "Primary"},
            {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": null},
        ]}])
    );
    let by_date = format!("/crm/objects/2026-03/0-1/{contact}/associations/0-2");
    assert_eq!(get(&sim, &by_date).await.json(), modern);
    let named = json!([
        {"id": company.to_string(), "type": "contact_to_company"},
        {"id": company.to_string(), "type": "contact_to_company_unlabeled"},
    ]);
    let classic = format!("/crm/v3/objects/contacts/{contact}/associations/COMPANY");
    assert_eq!(get(&sim, &classic).await.json()["results"], named);
    let read = format!("/crm/v3/objects/contacts/{contact}?associations=companies,deals");
    let read = get(&sim, &read).await.json();
    assert_eq!(read["associations"]["companies"]["results"], named);
    let legacy = format!("/crm-associations/v1/associations/{contact}/HUBSPOT_DEFINED/1");
    assert_eq!(
        get(&sim, &legacy).await.json(),
        json!({"results": [company], "hasMore": false, "offset": company})
    );
    let list = get(&sim, "/crm/v3/objects/contacts?limit=100&associations=company").await;
    let list = list.json();
    let mut listed = list["results"].as_array().unwrap().iter();
    let found = listed.find(|one| one["id"] == contact.to_string()).unwrap();
    assert_eq!(found["associations"]["companies"]["results"], named);
}

#[tokio::test]
async fn both_ends_agree_on_who_is_associated() {
    let sim = unlimited(300).await;
    for (from, to) in [
        (Kind::Contacts, Kind::Companies),
        (Kind::Deals, Kind::Contacts),
        (Kind::Tickets, Kind::Contacts),
    ] {
        let edges = |from, to| -> BTreeSet<(u64, u64)> {
            let all = sim.associations(from, to);
            all.flat_map(|(id, ends)| ends.into_keys().map(move |end| (id, end)))
                .collect()
        };
        let there = edges(from, to);
        let back = edges(to, from).into_iter().map(|(to, from)| (from, to));
        assert_eq!(there, back.collect(), "{from} and {to}");
        assert!(there.len() > 50, "{from} to {to}: {}", there.len());
    }
}

#[tokio::test]
async fn a_batch_names_the_records_without_associations_as_errors_of_a_207() {
    let sim = unlimited(100).await;
    let known: Vec<u64> = sim
        .associations(Kind::Contacts, Kind::Companies)
        .map(|(id, _)| id)
        .collect();
    let all = sim.current(Kind::Contacts).map(|one| one.id);
    let alone = all.clone().find(|id| !known.contains(id)).unwrap();
    let inputs: Vec<Value> = [known[0], alone, 1]
        .iter()
        .map(|id| json!({"id": id.to_string()}))
        .collect();
    let path = "/crm/v4/associations/contacts/companies/batch/read";
    let answer = post(&sim, path, &json!({ "inputs": inputs })).await;
    assert_eq!(answer.status, 207);
    let answer = answer.json();
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);
    assert_eq!(answer["results"][0]["from"]["id"], known[0].to_string());
    assert_eq!(answer["numErrors"], 2);
    let error = &answer["errors"][0];
    assert_eq!(error["subCategory"], "crm.associations.NO_ASSOCIATIONS_FOUND");
    assert_eq!(error["context"]["fromObjectId"], json!([alone.to_string()]));
    let only = post(&sim, path, &json!({"inputs": [{"id": known[0].to_string()}]})).await;
    assert_eq!(only.status, 200);
}

#[tokio::test]
async fn pages_of_many_associations_hold_each_once() {
    let sim = start(Config {
        contacts: 400,
        companies: 3,
        association_page_max: 7,
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let (company, expected) = sim
        .associations(Kind::Companies, Kind::Contacts)
        .max_by_key(|(_, contacts)| contacts.len())
        .unwrap();
    let expected: Vec<u64> = expected.into_keys().collect();
    assert!(expected.len() > 50);
    let (mut single, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!(
            "/crm/v4/objects/companies/{company}/associations/contacts?limit=500&after={after}"
        );
        let page = get(&sim, &path).await.json();
        let ids = linked(&page);
        assert!(ids.len() <= 7);
        single.extend(ids);
        match page["paging"]["next"]["after"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(single, expected);
    let (mut batched, mut input) = (Vec::new(), json!({"id": company.to_string()}));
    loop {
        let path = "/crm/v4/associations/companies/contacts/batch/read";
        let answer = post(&sim, path, &json!({"inputs": [input]})).await.json();
        let ends = answer["results"][0]["to"].as_array().unwrap();
        batched.extend(ends.iter().map(|end| end["toObjectId"].as_u64().unwrap()));
        match &answer["results"][0]["paging"]["next"]["after"] {
            Value::Null => break,
            next => input = json!({"id": company.to_string(), "after": next}),
        }
    }
    assert_eq!(batched, expected);
}

#[tokio::test]
async fn writes_change_both_directions_and_leave_the_records_own_time_alone() {
    let sim = unlimited(100).await;
    let (contact, company) = pair(&sim);
    let before = sim.versions_of(Kind::Contacts, contact);
    let pair_path = format!("/crm/v4/objects/contacts/{contact}/associations/companies/{company}");
    let gone = call(&sim, Method::DELETE, &pair_path, &json!({})).await;
    assert_eq!(gone.status, 204);
    assert_eq!(linked(&companies_of(&sim, contact).await), []);

    let primary = json!([{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]);
    let put = call(&sim, Method::PUT, &pair_path, &primary).await;
    assert_eq!(put.status, 201);
    assert_eq!(
        put.json(),
        json!({"fromObjectTypeId": "0-1", "fromObjectId": contact, "toObjectTypeId": "0-2",
               "toObjectId": company, "labels": ["Primary"]})
    );
    let labels_path = "/crm/v4/associations/contacts/companies/batch/labels/archive";
    let inputs = json!({"inputs": [{"from": {"id": contact.to_string()},
        "to": {"id": company.to_string()}, "types": primary}]});
    assert_eq!(post(&sim, labels_path, &inputs).await.status, 204);
    let left = companies_of(&sim, contact).await;
    let types = &left["results"][0]["associationTypes"];
    assert_eq!(types, &json!([{"category": "HUBSPOT_DEFINED", "typeId": 279, "label": null}]));

    let back = format!("/crm/v4/objects/companies/{company}/associations/contacts");
    assert!(linked(&get(&sim, &back).await.json()).contains(&contact));
    assert_eq!(sim.versions_of(Kind::Contacts, contact), before);

    let foreign = json!([{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}]);
    assert_eq!(call(&sim, Method::PUT, &pair_path, &foreign).await.status, 400);
}

#[tokio::test]
async fn a_batch_associates_what_exists_and_names_the_rest() {
    let sim = unlimited(50).await;
    let deal = sim.current(Kind::Deals).next().unwrap().id;
    let contact = sim.create(Kind::Contacts, 1, 1_700_000_000_000)[0];
    let input = |to: u64| {
        json!({"from": {"id": deal.to_string()}, "to": {"id": to.to_string()},
               "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}]})
    };
    let path = "/crm/v4/associations/deals/contacts/batch/create";
    let answer = post(&sim, path, &json!({"inputs": [input(contact), input(5)]})).await;
    assert_eq!(answer.status, 207);
    assert_eq!(answer.json()["numErrors"], 1);
    assert_eq!(answer.json()["results"][0]["toObjectId"], contact);
    let deals = sim.associations(Kind::Contacts, Kind::Deals);
    assert!(deals.into_iter().any(|(id, ends)| id == contact && ends.contains_key(&deal)));

    let classic = json!({"inputs": [{"from": {"id": deal.to_string()},
        "to": {"id": contact.to_string()}, "type": "deal_to_contact"}]});
    let archived = "/crm/v3/associations/deals/contacts/batch/archive";
    assert_eq!(post(&sim, archived, &classic).await.status, 204);
    let deals = sim.associations(Kind::Contacts, Kind::Deals);
    assert!(deals.into_iter().all(|(id, _)| id != contact));
    let created = post(&sim, "/crm/v3/associations/deals/contacts/batch/create", &classic).await;
    assert_eq!((created.status, &created.json()["status"]), (201, &json!("PENDING")));
}

#[tokio::test]
async fn a_record_is_created_with_its_associations_or_not_at_all() {
    let sim = unlimited(20).await;
    let company = sim.current(Kind::Companies).next().unwrap().id;
    let body = |to: u64| {
        json!({"properties": {"firstname": "Ada"}, "associations": [{
            "to": {"id": to.to_string()},
            "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}],
        }]})
    };
    let created = post(&sim, "/crm/v3/objects/contacts", &body(company)).await;
    assert_eq!(created.status, 201);
    let id = created.json()["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(linked(&companies_of(&sim, id).await), [company]);
    let count = sim.live_count(Kind::Contacts);
    let refused = post(&sim, "/crm/v3/objects/contacts", &body(3)).await;
    assert_eq!(refused.status, 400);
    assert_eq!(sim.live_count(Kind::Contacts), count);
}

#[tokio::test]
async fn associations_of_an_archived_record_are_not_shown() {
    let sim = unlimited(100).await;
    let (contact, company) = pair(&sim);
    sim.archive(Kind::Companies, &[company], 1_800_000_000_000);
    assert_eq!(linked(&companies_of(&sim, contact).await), []);
    sim.archive(Kind::Contacts, &[contact], 1_800_000_000_000);
    let path = format!("/crm/v4/objects/contacts/{contact}/associations/companies");
    assert_eq!(get(&sim, &path).await.status, 404);
}

#[tokio::test]
async fn both_kinds_of_an_association_must_be_granted() {
    let sim = start(Config {
        custom_types: vec![CustomType::machines(20)],
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let token = sim.issue_tokens_for(&["crm.objects.contacts.read"]).access_token;
    let contact = sim.current(Kind::Contacts).next().unwrap().id;
    let path = format!("/crm/v4/objects/contacts/{contact}/associations/companies");
    let refused = get_as(&sim, &token, &path).await;
    assert_eq!(refused.status, 403);
    let scopes = &refused.json()["errors"][0]["context"]["requiredGranularScopes"];
    assert_eq!(scopes, &json!(["crm.objects.companies.read"]));
}

#[tokio::test]
async fn labels_are_listed_with_their_numbers() {
    let sim = unlimited(1).await;
    let labels = get(&sim, "/crm/v4/associations/companies/companies/labels").await.json();
    let numbers = labels["results"].as_array().unwrap().iter();
    let mut numbers: Vec<(u64, &Value)> = numbers
        .map(|label| (label["typeId"].as_u64().unwrap(), &label["label"]))
        .collect();
    numbers.sort_by_key(|(number, _)| *number);
    let expected = [
        (13, json!("Child Company")),
        (14, json!("Parent Company")),
        (450, Value::Null),
    ];
    assert!(numbers.iter().zip(&expected).all(|(one, (number, label))| one == &(*number, label)));
    assert_eq!(numbers.len(), 3);
}
