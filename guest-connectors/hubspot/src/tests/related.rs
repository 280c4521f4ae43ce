//! Associations, stages, owners and pipelines.

use super::*;
use serde_json::json;
use tidegate_sdk::{Directive, testing::Answer};

const LIST: Slice = Slice::List { until: NOW_MS };

fn job(stream: &str) -> Job {
    Job::new(stream)
}

/// The associations that were emitted, each once; panics where one was emitted twice.
fn edges(emitted: &[Emitted]) -> Vec<(u64, u64)> {
    let mut edges: Vec<(u64, u64)> = emitted
        .iter()
        .flat_map(|row| {
            let from = row.record["from"]["id"].as_str().unwrap().parse().unwrap();
            let to = row.record["to"].as_array().unwrap().iter();
            to.map(move |end| (from, end["toObjectId"].as_u64().unwrap()))
                .collect::<Vec<_>>()
        })
        .collect();
    edges.sort_unstable();
    let count = edges.len();
    edges.dedup();
    assert_eq!(edges.len(), count);
    edges
}

#[test]
fn every_association_of_every_record_lands_under_a_key_of_its_own() {
    let crm = Crm::of(250, NOW_MS - 60 * MINUTE_MS);
    let expected: Vec<(u64, u64)> = (1..=250)
        .filter(|id| id % 3 != 0)
        .flat_map(|id| (0..id % 8).map(move |step| (id, 1_000 + step)))
        .collect();
    for (id, company) in &expected {
        crm.companies
            .borrow_mut()
            .entry(*id)
            .or_default()
            .push(*company);
    }
    let memory = memory(&crm);
    let ended = memory.run::<HubSpot>(&job("contacts-to-companies"), &LIST);
    assert_eq!(ended_at(ended.unwrap()), NOW_MS);
    let emitted = memory.emitted();
    assert_eq!(edges(&emitted), expected);
    let mut keys: Vec<&String> = emitted.iter().map(|row| &row.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), emitted.len());
    assert_eq!(
        memory.saves().len(),
        2,
        "after each page of the list but the last"
    );
}

#[test]
fn associations_go_on_where_the_last_call_stopped() {
    let crm = Crm::of(150, NOW_MS - 60 * MINUTE_MS);
    for id in 1..=150 {
        crm.companies.borrow_mut().insert(id, vec![7, 8, 9]);
    }
    let memory = memory(&crm).directing([Directive::YieldSoon]);
    let stream = job("contacts-to-companies");
    let outcome = memory.call::<HubSpot>(&stream, &LIST).unwrap();
    assert!(matches!(outcome, Outcome::More));
    let rest = Job {
        state: memory.saves().pop(),
        ..stream
    };
    ended_at(memory.run::<HubSpot>(&rest, &LIST).unwrap());
    assert_eq!(edges(&memory.emitted()).len(), 450);
}

#[test]
fn a_page_of_associations_that_repeats_is_a_protocol_failure() {
    let memory = MemoryHost::new(|request| match request.path() {
        "/crm/v3/objects/contacts" => Answer::json(&json!({"results": [{"id": "1"}]})),
        _ => Answer::json(&json!({"results": [
            {"from": {"id": "1"}, "to": [{"toObjectId": 2}], "paging": {"next": {"after": "2"}}}
        ]})),
    })
    .blind(&HubSpot::manifest());
    let ended = memory.run::<HubSpot>(&job("contacts-to-companies"), &LIST);
    assert!(matches!(ended, Err(Failure::Protocol(_))));
}

#[test]
fn changed_records_land_with_the_stages_that_a_search_does_not_tell() {
    let crm = Crm::of(450, NOW_MS - 60 * MINUTE_MS);
    let memory = memory(&crm);
    let hour = Slice::Window {
        since: NOW_MS - 60 * MINUTE_MS,
        until: NOW_MS,
    };
    ended_at(memory.run::<HubSpot>(&job("deals-stages"), &hour).unwrap());
    let emitted = memory.emitted();
    assert_eq!(ids(&emitted), (1..=450).collect::<Vec<_>>());
    for row in &emitted {
        let stages = &row.record["propertiesWithHistory"]["dealstage"];
        assert_eq!(stages.as_array().map(Vec::len), Some(2));
    }
    let saved: Vec<Value> = memory.saves();
    let key = |id: &str| {
        let position = Position::Key(id.to_owned());
        state(&Cursor {
            until: NOW_MS,
            position,
        })
        .unwrap()
    };
    assert_eq!(saved, [key("200"), key("400"), key("450")]);
}

#[test]
fn a_list_with_stages_asks_for_no_more_than_comes_with_earlier_values() {
    let crm = Crm::of(120, NOW_MS - 60 * MINUTE_MS);
    let memory = memory(&crm);
    ended_at(memory.run::<HubSpot>(&job("deals-stages"), &LIST).unwrap());
    assert_eq!(ids(&memory.emitted()), (1..=120).collect::<Vec<_>>());
    for request in memory.requests() {
        let tidegate_sdk::Target::Endpoint { query, .. } = &request.target else {
            unreachable!()
        };
        let asks = |name: &str, value: &str| {
            query
                .iter()
                .any(|(known, given)| known == name && given == value)
        };
        assert!(asks("limit", "50") && asks("propertiesWithHistory", "dealstage"));
    }
}

#[test]
fn owners_land_with_those_who_left_and_pipelines_with_their_stages() {
    let memory = memory(&Crm::default());
    ended_at(memory.run::<HubSpot>(&job("owners"), &LIST).unwrap());
    let gone = Slice::Archived {
        floor: 0,
        until: NOW_MS,
    };
    ended_at(memory.run::<HubSpot>(&job("owners"), &gone).unwrap());
    let emitted = memory.emitted();
    assert_eq!(ids(&emitted), [1, 2, 9]);
    assert!(emitted.iter().all(|row| row.change == Change::Upsert));

    let pipelines = self::memory(&Crm::default());
    ended_at(
        pipelines
            .run::<HubSpot>(&job("deals-pipelines"), &LIST)
            .unwrap(),
    );
    assert_eq!(pipelines.emitted()[0].record["stages"][0]["id"], "won");
}
