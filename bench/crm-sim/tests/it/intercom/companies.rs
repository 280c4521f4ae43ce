//! Companies: numbered pages, and the one scroll.

use std::collections::BTreeSet;

use crm_sim::intercom::{Config, Fault, IntercomSim, Kind, PathKind, Rule, When};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call, check_problem, get, ids, post, start, unlimited};

async fn scroll(sim: &IntercomSim, parameter: &str) -> Value {
    let answer = get(sim, &format!("/companies/scroll?scroll_param={parameter}")).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[tokio::test]
async fn a_scroll_leads_to_each_company_once_and_ends_with_an_empty_page() {
    let sim = start(Config {
        companies: 250,
        ..unlimited()
    })
    .await;
    let mut page = get(&sim, "/companies/scroll").await.json();
    let parameter = page["scroll_param"].as_str().unwrap().to_owned();
    assert!(page["pages"].is_null() && page["total_count"].is_null());
    let mut all = BTreeSet::new();
    let mut pages = 0;
    while !page["data"].as_array().unwrap().is_empty() {
        for id in ids(&page, "data") {
            assert!(all.insert(id));
        }
        pages += 1;
        page = scroll(&sim, &parameter).await;
    }
    assert_eq!((all.len(), pages), (250, 3));
    let after = get(&sim, &format!("/companies/scroll?scroll_param={parameter}")).await;
    assert_eq!(after.status, 404, "the end ends the scroll");
    assert_eq!(
        get(&sim, "/companies/scroll").await.status,
        200,
        "and makes room for the next"
    );
}

#[tokio::test]
async fn a_second_scroll_is_refused_until_the_first_was_idle_for_a_minute() {
    let sim = start(unlimited()).await;
    sim.clock().fix(1_772_685_000_000);
    let first = get(&sim, "/companies/scroll").await.json();
    let parameter = first["scroll_param"].as_str().unwrap();
    let message = "scroll already exists for this workspace";
    sim.clock().advance(50_000);
    check_problem(
        &get(&sim, "/companies/scroll").await,
        400,
        "scroll_exists",
        message,
    );
    scroll(&sim, parameter).await;
    sim.clock().advance(59_999);
    check_problem(
        &get(&sim, "/companies/scroll").await,
        400,
        "scroll_exists",
        message,
    );
    sim.clock().advance(1);
    assert_eq!(get(&sim, "/companies/scroll").await.status, 200);
    let expired = get(&sim, &format!("/companies/scroll?scroll_param={parameter}")).await;
    assert_eq!(expired.status, 404);
    let counters = sim.counters();
    assert_eq!((counters.scrolls_opened, counters.scrolls_refused), (2, 2));
}

#[tokio::test]
async fn a_scroll_that_broke_off_must_begin_anew() {
    let sim = start(Config {
        companies: 250,
        ..unlimited()
    })
    .await;
    let first = get(&sim, "/companies/scroll").await.json();
    let parameter = first["scroll_param"].as_str().unwrap();
    sim.install_fault(Rule {
        path: Some(PathKind::Scroll),
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::Status(500),
    });
    let target = format!("/companies/scroll?scroll_param={parameter}");
    let message =
        "Request failed due to an internal network error. Please restart the scroll operation.";
    check_problem(&get(&sim, &target).await, 500, "server_error", message);
    assert_eq!(get(&sim, &target).await.status, 404, "no retry in place");
    let again = get(&sim, "/companies/scroll").await.json();
    assert_eq!(again["data"], first["data"]);
}

#[tokio::test]
async fn a_page_whose_answer_got_lost_is_not_repeated() {
    let sim = start(Config {
        companies: 250,
        ..unlimited()
    })
    .await;
    let first = get(&sim, "/companies/scroll").await.json();
    let parameter = first["scroll_param"].as_str().unwrap();
    sim.install_fault(Rule {
        path: Some(PathKind::Scroll),
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::Cut(500),
    });
    let target = format!("/companies/scroll?scroll_param={parameter}");
    assert!(get(&sim, &target).await.broken);
    assert_eq!(ids(&scroll(&sim, parameter).await, "data").len(), 50);
}

#[tokio::test]
async fn numbered_pages_carry_addresses_and_end_at_the_cap() {
    let config = Config {
        companies: 130,
        companies_listed_max: 100,
        ..unlimited()
    };
    let sim = start(config).await;
    let mut target = "/companies?per_page=50".to_owned();
    let mut all = BTreeSet::new();
    loop {
        let answer = get(&sim, &target).await;
        if answer.status == 400 {
            break;
        }
        let page = answer.json();
        all.extend(ids(&page, "data"));
        let next = page["pages"]["next"].as_str().unwrap();
        target = next.strip_prefix(sim.base_url()).unwrap().to_owned();
    }
    assert_eq!(all.len(), 100, "what lies beyond is only in the scroll");
    let last = post(&sim, "/companies/list?per_page=60&page=1", &Value::Null)
        .await
        .json();
    assert_eq!(last["pages"]["total_pages"], 3);
    let sim = start(Config {
        companies: 10,
        ..unlimited()
    })
    .await;
    let only = get(&sim, "/companies").await.json();
    assert!(only["pages"]["next"].is_null() && only["pages"].get("next").is_some());
}

#[tokio::test]
async fn a_company_is_found_by_its_own_number_and_hidden_until_somebody_belongs_to_it() {
    let sim = start(unlimited()).await;
    let made = post(
        &sim,
        "/companies",
        &json!({"company_id": "acme", "name": "Acme"}),
    )
    .await
    .json();
    let again = post(
        &sim,
        "/companies",
        &json!({"company_id": "acme", "name": "Acme 2"}),
    )
    .await
    .json();
    assert_eq!(
        (&again["id"], &again["name"]),
        (&made["id"], &json!("Acme 2"))
    );
    let found = get(&sim, "/companies?company_id=acme").await.json();
    assert_eq!(found["id"], made["id"]);
    let hidden =
        |page: Value| !ids(&page, "data").contains(&made["id"].as_str().unwrap().to_owned());
    assert!(hidden(get(&sim, "/companies?per_page=60").await.json()));
    let contact = ids(&get(&sim, "/contacts").await.json(), "data").remove(0);
    let attached = post(
        &sim,
        &format!("/contacts/{contact}/companies"),
        &json!({"id": made["id"]}),
    )
    .await;
    assert_eq!(attached.json()["user_count"], 1);
    assert!(!hidden(get(&sim, "/companies?per_page=60").await.json()));
    let members = get(
        &sim,
        &format!("/companies/{}/contacts", made["id"].as_str().unwrap()),
    )
    .await
    .json();
    assert_eq!(ids(&members, "data"), [contact]);
    check_problem(
        &get(&sim, "/companies?company_id=none").await,
        404,
        "company_not_found",
        "Company Not Found",
    );
}

#[tokio::test]
async fn members_and_companies_agree_and_the_deleted_are_in_neither() {
    let sim = start(unlimited()).await;
    let company = ids(&get(&sim, "/companies").await.json(), "data").remove(0);
    let target = format!("/companies/{company}");
    let members = get(&sim, &format!("{target}/contacts")).await.json();
    let one = get(&sim, &target).await.json();
    assert_eq!(one["user_count"], members["total_count"]);
    let member = ids(&members, "data").remove(0);
    let companies = get(&sim, &format!("/contacts/{member}/companies"))
        .await
        .json();
    assert!(ids(&companies, "data").contains(&company));
    let gone = call(&sim, Method::DELETE, &target, &Value::Null)
        .await
        .json();
    assert_eq!(
        gone,
        json!({"id": company, "object": "company", "deleted": true})
    );
    let companies = get(&sim, &format!("/contacts/{member}/companies"))
        .await
        .json();
    assert!(!ids(&companies, "data").contains(&company));
    assert_eq!(get(&sim, &target).await.status, 404);
    assert_eq!(sim.live_count(Kind::Companies), 199);
}
