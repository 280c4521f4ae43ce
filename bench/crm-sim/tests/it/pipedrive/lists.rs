//! Lists of both versions: order, windows of time, cursors, deleted and archived ones.

use std::collections::BTreeSet;

use crm_sim::pipedrive::{Config, Kind, iso};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{all, call, get, ids, start, unlimited};

fn id(record: &Value) -> u64 {
    record["id"].as_u64().unwrap()
}

/// `2026-01-01T00:00:00Z` of milliseconds.
fn second(time_ms: i64) -> String {
    let text = iso(time_ms);
    format!("{}Z", &text[..19])
}

#[tokio::test]
async fn a_cursor_pages_through_every_live_record_once_and_ends_with_null() {
    let sim = unlimited(950).await;
    sim.delete_count(Kind::Persons, 7, 1_767_300_000_000);
    let records = all(&sim, "/api/v2/persons?limit=100").await;
    let seen: Vec<u64> = records.iter().map(id).collect();
    let truth: Vec<u64> = sim
        .current(Kind::Persons)
        .filter(|record| !record.archived)
        .map(|record| record.id)
        .collect();
    assert_eq!(seen, truth, "in the order of their ids");
    assert_eq!(seen.len(), 943);
}

#[tokio::test]
async fn a_list_by_time_has_every_record_in_order_also_within_one_second() {
    let sim = unlimited(1000).await;
    sim.edit_count(Kind::Persons, 300, 1_767_300_000_000, 1_767_300_001_000);
    for (direction, descending) in [("asc", false), ("desc", true)] {
        let target =
            format!("/api/v2/persons?limit=37&sort_by=update_time&sort_direction={direction}");
        let records = all(&sim, &target).await;
        let mut order: Vec<(String, u64)> = records
            .iter()
            .map(|record| {
                (
                    record["update_time"].as_str().unwrap().to_owned(),
                    id(record),
                )
            })
            .collect();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 1000);
        if descending {
            order.reverse();
        }
        assert!(order.is_sorted());
    }
}

#[tokio::test]
async fn updated_since_is_inclusive_and_updated_until_is_not() {
    let sim = unlimited(1000).await;
    let at_ms = 1_767_300_000_000;
    let edited = sim.edit_count(Kind::Persons, 5, at_ms + 900, at_ms + 900);
    let edited: BTreeSet<u64> = edited.iter().map(|(id, _)| *id).collect();
    for sort in ["id", "update_time"] {
        let (from, until) = (second(at_ms), second(at_ms + 1000));
        let target = |since: &str, until: &str| {
            format!(
                "/api/v2/persons?limit=2&sort_by={sort}&updated_since={since}&updated_until={until}"
            )
        };
        let within = all(&sim, &target(&from, &until)).await;
        assert_eq!(within.iter().map(id).collect::<BTreeSet<_>>(), edited);
        assert_eq!(within.len(), 5, "each once");
        assert!(
            all(&sim, &target(&second(at_ms - 5000), &from))
                .await
                .is_empty()
        );
        assert!(
            all(&sim, &target(&until, &second(at_ms + 9000)))
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn times_with_a_fraction_or_a_space_and_times_of_pipelines_are_refused() {
    let sim = unlimited(10).await;
    for target in [
        "/api/v2/persons?updated_since=2026-01-01T00:00:00.000Z",
        "/api/v2/persons?updated_since=2026-01-01%2000:00:00",
        "/api/v2/persons?updated_until=2026-01-01T00:00:00%2B00:00",
        "/api/v2/pipelines?updated_since=2026-01-01T00:00:00Z",
        "/api/v2/stages?updated_since=2026-01-01T00:00:00Z",
        "/api/v2/persons?limit=501",
        "/api/v2/persons?sort_by=name",
        "/api/v2/persons?custom_fields=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p",
        "/api/v2/persons?cursor=nonsense",
        "/api/v2/deals?status=stalled",
    ] {
        let answer = get(&sim, target).await;
        assert_eq!(answer.status, 400, "{target}");
        let body = answer.json();
        assert_eq!(body["success"], json!(false), "{target}");
        assert_eq!(
            body["code"],
            json!("ERR_SCHEMA_VALIDATION_FAILED"),
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_cursor_holds_only_for_the_parameters_that_it_came_from() {
    let sim = unlimited(10).await;
    let page = get(&sim, "/api/v2/persons?limit=2&sort_by=update_time")
        .await
        .json();
    let cursor = page["additional_data"]["next_cursor"].as_str().unwrap();
    assert!(cursor.starts_with("eyJ"), "JSON under Base64: {cursor}");
    let cursor = cursor.replace('+', "%2B").replace('=', "%3D");
    let with = |query: &str| format!("/api/v2/persons?{query}&cursor={cursor}");
    assert_eq!(
        get(&sim, &with("limit=3&sort_by=update_time")).await.status,
        200
    );
    for changed in ["limit=2", "limit=2&sort_by=update_time&owner_id=1"] {
        assert_eq!(get(&sim, &with(changed)).await.status, 400, "{changed}");
    }
}

#[tokio::test]
async fn a_record_that_changes_while_a_list_is_read_moves_in_it() {
    let sim = unlimited(100).await;
    let target = "/api/v2/persons?limit=60&sort_by=update_time";
    let page = get(&sim, target).await.json();
    let seen = ids(&page)[0];
    sim.edit(Kind::Persons, &[seen], 1_767_300_000_000);
    let cursor = page["additional_data"]["next_cursor"].as_str().unwrap();
    let cursor = cursor.replace('+', "%2B").replace('=', "%3D");
    let rest = get(&sim, &format!("{target}&cursor={cursor}")).await.json();
    assert_eq!(ids(&rest).last(), Some(&seen), "seen a second time");
}

#[tokio::test]
async fn archived_deals_are_listed_apart_and_deleted_ones_for_a_month() {
    let sim = start(Config {
        deals: 400,
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let now_ms = 1_767_300_000_000;
    sim.clock().fix(now_ms);
    let deleted: BTreeSet<u64> = sim
        .delete_count(Kind::Deals, 9, now_ms)
        .into_iter()
        .collect();
    let listed = all(&sim, "/api/v2/deals?limit=500").await;
    let archived = all(&sim, "/api/v2/deals/archived?limit=7").await;
    assert!(!archived.is_empty());
    assert!(
        listed
            .iter()
            .all(|deal| deal["is_archived"] == json!(false))
    );
    assert!(
        archived
            .iter()
            .all(|deal| deal["is_archived"] == json!(true))
    );
    assert_eq!(listed.len() + archived.len() + deleted.len(), 400);
    let gone = all(&sim, "/api/v2/deals?status=deleted&limit=4").await;
    assert_eq!(gone.iter().map(id).collect::<BTreeSet<_>>(), deleted);
    assert!(gone.iter().all(|deal| deal["is_deleted"] == json!(true)));
    let one = gone[0]["id"].as_u64().unwrap();
    assert_eq!(
        get(&sim, &format!("/api/v2/deals/{one}")).await.json()["data"]["is_deleted"],
        json!(true)
    );
    sim.clock().fix(now_ms + 31 * 86_400_000);
    assert!(
        all(&sim, "/api/v2/deals?status=deleted&limit=4")
            .await
            .is_empty()
    );
    assert_eq!(get(&sim, &format!("/api/v2/deals/{one}")).await.status, 404);
}

#[tokio::test]
async fn statuses_owners_and_pipelines_narrow_a_list_of_deals() {
    let sim = unlimited(10).await;
    let every = all(&sim, "/api/v2/deals?limit=500").await;
    for (query, holds) in [
        (
            "status=won,lost",
            &(|deal: &Value| deal["status"] != json!("open")) as &dyn Fn(&Value) -> bool,
        ),
        ("owner_id=12121179", &|deal: &Value| {
            deal["owner_id"] == json!(12_121_179)
        }),
        ("pipeline_id=2", &|deal: &Value| {
            deal["pipeline_id"] == json!(2)
        }),
        ("stage_id=4", &|deal: &Value| deal["stage_id"] == json!(4)),
    ] {
        let found = all(&sim, &format!("/api/v2/deals?limit=11&{query}")).await;
        let expected: Vec<&Value> = every.iter().filter(|deal| holds(deal)).collect();
        assert!(!found.is_empty(), "{query}");
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
}

#[tokio::test]
async fn the_first_version_pages_by_offset_and_says_when_it_ends() {
    let sim = unlimited(250).await;
    let first = get(&sim, "/v1/persons?limit=100").await.json();
    assert_eq!(
        first["additional_data"]["pagination"],
        json!({"start": 0, "limit": 100, "more_items_in_collection": true, "next_start": 100})
    );
    let last = get(&sim, "/api/v1/persons?start=200&limit=100")
        .await
        .json();
    assert_eq!(
        last["additional_data"]["pagination"],
        json!({"start": 200, "limit": 100, "more_items_in_collection": false})
    );
    assert_eq!(last["data"].as_array().unwrap().len(), 50);
    let empty = get(&sim, "/v1/persons?start=250").await.json();
    assert_eq!(empty["data"], Value::Null, "an empty list is null");
}

#[tokio::test]
async fn the_two_versions_show_one_record_in_two_dialects() {
    let sim = unlimited(20).await;
    let key = sim.field_key(Kind::Persons, "monetary_field").unwrap();
    let modern = get(&sim, "/api/v2/persons?limit=20").await.json();
    let modern = modern["data"].as_array().unwrap();
    let record = modern
        .iter()
        .find(|record| !record["custom_fields"][&key].is_null())
        .unwrap();
    let old = get(&sim, &format!("/v1/persons/{}", record["id"]))
        .await
        .json();
    let old = &old["data"];
    assert_eq!(old[&key], record["custom_fields"][&key]["value"]);
    let currency = format!("{key}_currency");
    assert_eq!(old[&currency], record["custom_fields"][&key]["currency"]);
    assert_eq!(old["owner_id"]["value"], record["owner_id"]);
    assert_eq!(old["visible_to"], json!("3"));
    assert_eq!(record["visible_to"], json!(3));
    assert_eq!(old["active_flag"], json!(true));
    assert_eq!(record["is_deleted"], json!(false));
    let time = record["update_time"].as_str().unwrap();
    assert_eq!(
        old["update_time"],
        json!(time.replace('T', " ").replace('Z', ""))
    );
    assert_eq!(old["email"], record["emails"]);
    let only = format!("/api/v2/persons/{}?custom_fields={key}", record["id"]);
    let only = get(&sim, &only).await.json();
    assert_eq!(only["data"]["custom_fields"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn activities_have_no_custom_fields_and_leads_have_ids_and_times_of_their_own() {
    let sim = unlimited(1).await;
    let activity = get(&sim, "/api/v2/activities?limit=1").await.json();
    assert!(activity["data"][0].get("custom_fields").is_none());
    let lead = get(&sim, "/v1/leads?limit=1").await.json();
    let lead = &lead["data"][0];
    assert_eq!(lead["id"].as_str().unwrap().len(), 36);
    assert_eq!(lead["add_time"].as_str().unwrap().len(), 24);
    let read = get(&sim, &format!("/v1/leads/{}", lead["id"].as_str().unwrap())).await;
    assert_eq!(read.json()["data"], *lead);
    assert_eq!(get(&sim, "/api/v2/leads").await.status, 404);
}

#[tokio::test]
async fn recent_changes_reach_back_a_month_and_show_deleted_records() {
    let sim = unlimited(100).await;
    let now_ms = 1_790_000_000_000;
    sim.clock().fix(now_ms);
    let old = sim.edit_count(
        Kind::Persons,
        3,
        now_ms - 40 * 86_400_000,
        now_ms - 40 * 86_400_000,
    );
    let fresh = sim.edit_count(Kind::Persons, 4, now_ms - 5000, now_ms - 1000);
    let deleted = sim.delete_count(Kind::Persons, 1, now_ms);
    let page = get(
        &sim,
        "/v1/recents?since_timestamp=2026-01-01%2000:00:00&items=person",
    )
    .await;
    let page = page.json();
    let found: BTreeSet<u64> = ids(&page).into_iter().collect();
    assert!(fresh.iter().all(|(id, _)| found.contains(id)));
    assert!(
        old.iter()
            .all(|(id, _)| !found.contains(id) || deleted.contains(id))
    );
    let gone = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == deleted[0]);
    assert_eq!(gone.unwrap()["data"]["active_flag"], json!(false));
}

#[tokio::test]
async fn records_of_the_first_version_are_gone_since_it_retired_and_leads_are_not() {
    let sim = start(Config {
        limit_scale: None,
        ..Config::default()
    })
    .await;
    sim.clock().fix(1_785_542_400_000);
    for target in ["/v1/persons", "/v1/deals/3", "/v1/pipelines"] {
        assert_eq!(get(&sim, target).await.status, 410, "{target}");
    }
    for target in ["/v1/leads", "/v1/users", "/api/v2/persons"] {
        assert_eq!(get(&sim, target).await.status, 200, "{target}");
    }
    sim.clock().fix(1_785_542_399_000);
    assert_eq!(get(&sim, "/v1/persons").await.status, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let sim = unlimited(1).await;
    assert_eq!(get(&sim, "/api/v2/companies").await.status, 404);
    assert_eq!(get(&sim, "/api/v2/persons/77").await.status, 404);
    let put = call(
        &sim,
        Method::PUT,
        "/api/v2/persons/1",
        &json!({"name": "x"}),
    )
    .await;
    assert_eq!(put.status, 405, "the second version patches");
}
