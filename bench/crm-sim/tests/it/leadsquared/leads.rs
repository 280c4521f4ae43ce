//! Reading leads: spans, pages, lookups, and what a lead that is gone looks like.

use std::collections::BTreeSet;

use crm_sim::leadsquared::{Kind, LeadSquaredSim};
use serde_json::{Value, json};

use super::client::{
    EVER, MODIFIED, check_problem, get, modified, post, start, unlimited, unlisted,
};

const LEADS: &str = "LeadManagement.svc/Leads.Get";

async fn page(sim: &LeadSquaredSim, body: &Value) -> Vec<Value> {
    let answer = post(sim, MODIFIED, body).await;
    let page = answer.json();
    assert_eq!(answer.status, 200, "{page}");
    page["Leads"]
        .as_array()
        .unwrap()
        .iter()
        .map(unlisted)
        .collect()
}

#[tokio::test]
async fn pages_by_offset_lead_to_every_lead_as_long_as_none_changes() {
    let sim = start(unlimited()).await;
    let mut all = BTreeSet::new();
    let mut numbers = Vec::new();
    for number in 1.. {
        let leads = page(&sim, &modified(EVER.0, EVER.1, number, 300)).await;
        for lead in &leads {
            assert!(all.insert(lead["ProspectID"].as_str().unwrap().to_owned()));
            numbers.push(
                lead["ProspectAutoId"]
                    .as_str()
                    .unwrap()
                    .parse::<u64>()
                    .unwrap(),
            );
        }
        if leads.len() < 300 {
            break;
        }
    }
    assert_eq!(all.len(), 1000);
    assert!(numbers.is_sorted(), "numbers sort by their size");
}

#[tokio::test]
async fn a_lead_that_changes_pulls_another_over_the_border_of_a_page() {
    let sim = start(unlimited()).await;
    let span = |number| modified(EVER.0, "2026-01-01 00:00:00", number, 300);
    let first = page(&sim, &span(1)).await;
    let moved = Kind::Leads
        .parse_id(first[0]["ProspectID"].as_str().unwrap())
        .unwrap();
    sim.edit(Kind::Leads, &[moved], 1_772_685_000_000);
    let mut ids: BTreeSet<String> = first
        .iter()
        .map(|lead| lead["ProspectID"].as_str().unwrap().to_owned())
        .collect();
    for number in 2..=4 {
        let leads = page(&sim, &span(number)).await;
        ids.extend(
            leads
                .iter()
                .map(|lead| lead["ProspectID"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(ids.len(), 999, "the first of the second page went unseen");
}

#[tokio::test]
async fn spans_are_utc_seconds_with_both_ends_within() {
    let sim = start(unlimited()).await;
    let ids: Vec<u64> = sim
        .current(Kind::Leads)
        .take(4)
        .map(|version| version.id)
        .collect();
    // 2026-03-05 04:30:00 UTC.
    for (id, at_s) in ids.iter().zip([-1, 0, 60, 61]) {
        sim.edit(Kind::Leads, &[*id], (1_772_685_000 + at_s) * 1000);
    }
    let leads = page(
        &sim,
        &modified("2026-03-05 04:30:00", "2026-03-05 04:31:00", 1, 10),
    )
    .await;
    let times: BTreeSet<&str> = leads
        .iter()
        .map(|lead| lead["ModifiedOn"].as_str().unwrap())
        .collect();
    assert_eq!(
        times,
        BTreeSet::from(["2026-03-05 04:30:00", "2026-03-05 04:31:00"])
    );
    for date in ["2026-03-05T04:30:00Z", "2026-03-05", "1772685000"] {
        let body = modified(date, "2026-03-05 04:31:00", 1, 10);
        check_problem(
            &post(&sim, MODIFIED, &body).await,
            500,
            "MXInvalidInputException",
        );
    }
}

#[tokio::test]
async fn pages_count_from_one_and_have_caps() {
    let sim = start(unlimited()).await;
    for (index, size) in [(0, 10), (1, 5001), (1, 0)] {
        let body = modified(EVER.0, EVER.1, index, size);
        check_problem(
            &post(&sim, MODIFIED, &body).await,
            500,
            "MXInvalidInputException",
        );
    }
    let body = |size: u64| {
        json!({
            "Parameter": {"LookupName": "ProspectStage", "LookupValue": "Customer", "SqlOperator": "="},
            "Paging": {"PageIndex": 1, "PageSize": size},
        })
    };
    check_problem(
        &post(&sim, LEADS, &body(1001)).await,
        500,
        "MXInvalidInputException",
    );
    assert_eq!(post(&sim, LEADS, &body(1000)).await.status, 200);
    let beyond = modified(EVER.0, EVER.1, 99, 1000);
    assert!(page(&sim, &beyond).await.is_empty());
}

#[tokio::test]
async fn a_lookup_answers_with_a_bare_list_of_the_columns_it_names() {
    let sim = start(unlimited()).await;
    let body = json!({
        "Parameter": {"LookupName": "LeadType", "LookupValue": "OT_1", "SqlOperator": "="},
        "Columns": {"Include_CSV": "ProspectID, FirstName"},
        "Sorting": {"ColumnName": "CreatedOn", "Direction": "1"},
        "Paging": {"PageIndex": 1, "PageSize": 1000},
    });
    let contacts = post(&sim, LEADS, &body).await.json();
    let contacts = contacts.as_array().unwrap();
    assert!(
        (250..420).contains(&contacts.len()),
        "one type in three: {}",
        contacts.len()
    );
    assert_eq!(contacts[0].as_object().unwrap().len(), 2);
    let since = json!({
        "Parameter": {"LookupName": "ModifiedOn", "LookupValue": "2025-12-01 00:00:00", "SqlOperator": ">"},
        "Paging": {"PageIndex": 1, "PageSize": 1000},
    });
    let recent = post(&sim, LEADS, &since).await.json();
    let truth = sim
        .current(Kind::Leads)
        .filter(|version| version.modified_ms > 1_764_547_200_000);
    assert_eq!(recent.as_array().unwrap().len(), truth.count());
    for parameter in [
        json!({"LookupName": "Shoe", "LookupValue": "1", "SqlOperator": "="}),
        json!({"LookupName": "Phone", "LookupValue": "1", "SqlOperator": "LIKE"}),
    ] {
        let answer = post(&sim, LEADS, &json!({"Parameter": parameter})).await;
        check_problem(&answer, 500, "MXInvalidInputException");
    }
}

#[tokio::test]
async fn all_values_are_texts_and_empty_ones_are_null_or_empty() {
    let sim = start(unlimited()).await;
    let leads = page(&sim, &modified(EVER.0, EVER.1, 1, 200)).await;
    let mut empty = BTreeSet::new();
    for lead in &leads {
        for (name, value) in lead.as_object().unwrap() {
            assert!(value.is_string() || value.is_null(), "{name}: {value}");
            if value.is_null() || value == "" {
                empty.insert(value.to_string());
            }
        }
        assert!(["0", "1"].contains(&lead["DoNotEmail"].as_str().unwrap()));
    }
    assert_eq!(
        empty,
        BTreeSet::from(["\"\"".to_owned(), "null".to_owned()])
    );
}

#[tokio::test]
async fn one_lead_is_a_list_of_one_and_none_is_an_empty_list() {
    let sim = start(unlimited()).await;
    let id = sim.current(Kind::Leads).next().unwrap().id;
    let target = format!(
        "LeadManagement.svc/Leads.GetById?id={}",
        Kind::Leads.wire_id(id)
    );
    let lead = get(&sim, &target).await.json();
    let truth: Value = serde_json::from_str(&sim.record_json(Kind::Leads, id).unwrap()).unwrap();
    assert_eq!(lead, json!([truth]));
    let email = truth["EmailAddress"].as_str().unwrap();
    let by_email = get(
        &sim,
        &format!("LeadManagement.svc/Leads.GetByEmailaddress?emailaddress={email}"),
    )
    .await;
    assert_eq!(by_email.json(), lead);
    let phone = truth["Phone"]
        .as_str()
        .unwrap()
        .replace('+', "%2B")
        .replace(' ', "%20");
    let by_phone = get(
        &sim,
        &format!("LeadManagement.svc/RetrieveLeadByPhoneNumber?phone={phone}"),
    )
    .await;
    assert_eq!(by_phone.json(), lead);
    let by_word = get(
        &sim,
        &format!("LeadManagement.svc/Leads.GetByQuickSearch?key={email}"),
    )
    .await;
    assert_eq!(by_word.json(), lead);
    sim.delete(Kind::Leads, &[id], 1_772_685_000_000);
    let gone = get(&sim, &target).await;
    assert_eq!((gone.status, gone.json()), (200, json!([])));
    assert_eq!(
        page(&sim, &modified("2026-01-01 00:00:00", EVER.1, 1, 10))
            .await
            .len(),
        0,
        "a deletion shows nowhere"
    );
}

#[tokio::test]
async fn metadata_has_a_dialect_of_dates_of_its_own() {
    let sim = start(unlimited()).await;
    let fields = get(&sim, "LeadManagement.svc/LeadsMetaData.Get")
        .await
        .json();
    let fields = fields.as_array().unwrap();
    assert!(
        fields
            .iter()
            .all(|field| field["CreatedOn"] == "/Date(1417453996000+0000)/")
    );
    let stage = get(
        &sim,
        "LeadManagement.svc/LeadsMetaData.Get?schemaName=ProspectStage",
    )
    .await
    .json();
    assert_eq!(stage[0]["Options"][0], json!({"Value": "Prospect"}));
    let bare = get(
        &sim,
        "LeadManagement.svc/LeadsMetaData.Get?excludeOptionSets=1",
    )
    .await
    .json();
    assert!(bare[0].get("Options").is_none());
}

#[tokio::test]
async fn what_is_no_json_is_a_400_and_what_is_no_path_a_page() {
    let sim = start(unlimited()).await;
    let answer = post(&sim, MODIFIED, &Value::String("x".to_owned())).await;
    assert_eq!(answer.status, 500, "a text has no parameters");
    let answer = post(
        &sim,
        "LeadManagement.svc/Lead.Create",
        &json!({"EmailAddress": "x"}),
    )
    .await;
    assert_eq!(answer.status, 400);
    let answer = get(&sim, "LeadManagement.svc/Leads.All").await;
    assert!(answer.status == 404 && answer.body.starts_with(b"<html>"));
}
