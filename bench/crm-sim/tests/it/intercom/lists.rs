//! Cursor lists of contacts, and what a contact carries.

use std::collections::BTreeSet;

use crm_sim::intercom::{Config, Kind};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call_as, check_problem, get, ids, list_all, start, unlimited};

#[tokio::test]
async fn the_cursors_of_contacts_lead_to_each_live_one_once() {
    let sim = start(unlimited()).await;
    sim.create(Kind::Contacts, 30, 1_700_000_000_000);
    sim.delete_count(Kind::Contacts, 20, 1_700_000_000_000);
    let listed = list_all(&sim, "/contacts", "data").await;
    let live = sim
        .current(Kind::Contacts)
        .filter(|version| !version.archived);
    let live: BTreeSet<String> = live
        .map(|version| Kind::Contacts.wire_id(version.id))
        .collect();
    assert_eq!(live.len(), 1010);
    assert_eq!(listed, live);
}

#[tokio::test]
async fn the_last_page_lacks_next_and_an_empty_list_has_no_pages() {
    let sim = start(Config {
        contacts: 3,
        ..unlimited()
    })
    .await;
    let page = get(&sim, "/contacts?per_page=150").await.json();
    let pages = json!({"type": "pages", "page": 1, "per_page": 150, "total_pages": 1});
    assert_eq!((&page["pages"], &page["total_count"]), (&pages, &json!(3)));
    let sim = start(Config {
        contacts: 0,
        ..unlimited()
    })
    .await;
    let page = get(&sim, "/contacts").await.json();
    let pages = json!({"type": "pages", "page": 1, "per_page": 50, "total_pages": 0});
    assert_eq!(
        page,
        json!({"type": "list", "data": [], "total_count": 0, "pages": pages})
    );
}

#[tokio::test]
async fn page_sizes_and_cursors_that_are_none_are_refused() {
    let sim = start(unlimited()).await;
    for target in [
        "/contacts?per_page=151",
        "/contacts?per_page=0",
        "/conversations?per_page=151",
        "/companies?per_page=61",
    ] {
        let answer = get(&sim, target).await;
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(answer.json()["errors"][0]["code"], "parameter_invalid");
    }
    let message = "Invalid starting_after param. Please try again using a starting_after value from a paginated response";
    let answer = get(&sim, "/contacts?starting_after=WzEsMl0%3D").await;
    check_problem(&answer, 400, "client_error", message);
}

#[tokio::test]
async fn times_are_whole_seconds_and_leads_have_ids_that_the_api_gave() {
    let sim = start(unlimited()).await;
    let page = get(&sim, "/contacts?per_page=150").await.json();
    let mut leads = 0;
    for contact in page["data"].as_array().unwrap() {
        let id = Kind::Contacts
            .parse_id(contact["id"].as_str().unwrap())
            .unwrap();
        let truth = sim.versions_of(Kind::Contacts, id)[0];
        assert_eq!(contact["updated_at"], truth.modified_ms / 1000);
        assert_eq!(truth.modified_ms % 1000, 0);
        let external_id = contact["external_id"].as_str().unwrap();
        match contact["role"].as_str().unwrap() {
            "lead" => {
                leads += 1;
                assert_eq!(external_id.len(), 36);
            }
            role => assert!(role == "user" && external_id.starts_with("user-")),
        }
    }
    assert!(leads > 10);
}

#[tokio::test]
async fn a_contact_shows_ten_of_its_tags_and_companies_and_says_that_there_are_more() {
    let sim = start(unlimited()).await;
    let mut seen = BTreeSet::new();
    for id in list_all(&sim, "/contacts", "data").await {
        let contact = get(&sim, &format!("/contacts/{id}")).await.json();
        for name in ["tags", "companies"] {
            let stubs = &contact[name];
            let shown = stubs["data"].as_array().unwrap().len();
            if stubs["has_more"] == false {
                assert_eq!(stubs["total_count"], shown);
                continue;
            }
            assert_eq!(shown, 10);
            let all = get(&sim, stubs["url"].as_str().unwrap()).await.json();
            assert_eq!(stubs["total_count"], all["data"].as_array().unwrap().len());
            seen.insert(name);
        }
        if seen.len() == 2 {
            return;
        }
    }
    panic!("no contact has many of both: {seen:?}");
}

#[tokio::test]
async fn catalogs_come_unpaged_under_keys_of_their_own() {
    let sim = start(unlimited()).await;
    let expected = [
        ("/admins", "admin.list", "admins", 12),
        ("/teams", "team.list", "teams", 4),
        ("/tags", "list", "data", 17),
        ("/segments", "segment.list", "segments", 1),
    ];
    for (target, name, key, count) in expected {
        let list = get(&sim, target).await.json();
        assert_eq!(list["type"], name, "{target}");
        assert_eq!(ids(&list, key).len(), count, "{target}");
    }
    let admin = ids(&get(&sim, "/admins").await.json(), "admins").remove(3);
    let one = get(&sim, &format!("/admins/{admin}")).await.json();
    assert_eq!(one["id"], admin);
    check_problem(
        &get(&sim, "/admins/1").await,
        404,
        "admin_not_found",
        "Admin not found",
    );
}

#[tokio::test]
async fn only_attributes_that_the_workspace_defined_have_ids() {
    let sim = start(unlimited()).await;
    for (model, name, data_type) in [
        ("contact", "decimal_field", "float"),
        ("company", "paid_subscriber", "boolean"),
    ] {
        let list = get(&sim, &format!("/data_attributes?model={model}"))
            .await
            .json();
        let attributes = list["data"].as_array().unwrap();
        for attribute in attributes {
            assert_eq!(
                attribute["custom"].as_bool().unwrap(),
                attribute["id"].is_u64()
            );
            assert_eq!(attribute["model"], model);
        }
        let custom = attributes
            .iter()
            .find(|attribute| attribute["name"] == name)
            .unwrap();
        assert_eq!(custom["full_name"], format!("custom_attributes.{name}"));
        assert_eq!(custom["data_type"], data_type);
    }
    let answer = call_as(
        &sim,
        "2.16",
        Method::GET,
        "/data_attributes?model=conversation",
        &Value::Null,
    );
    assert_eq!(answer.await.status, 400);
}
