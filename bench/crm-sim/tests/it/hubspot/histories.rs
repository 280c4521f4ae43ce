//! Earlier values, upserts, pages of owners.

use crm_sim::hubspot::{Config, Kind};
use serde_json::{Value, json};

use super::client::{get, post, start, unlimited};

#[tokio::test]
async fn a_deal_shows_the_stages_that_it_went_through_newest_first() {
    let sim = start(Config {
        deals: 100,
        limit_scale: None,
        ..Config::default()
    })
    .await;
    let target =
        "/crm/v3/objects/deals?limit=50&properties=dealstage&propertiesWithHistory=dealstage";
    let page = get(&sim, target).await.json();
    let deals = page["results"].as_array().unwrap();
    let mut longest = 0;
    for deal in deals {
        let history = deal["propertiesWithHistory"]["dealstage"]
            .as_array()
            .unwrap();
        let times: Vec<&str> = history
            .iter()
            .map(|revision| revision["timestamp"].as_str().unwrap())
            .collect();
        assert!(
            times.is_sorted_by(|later, earlier| later >= earlier),
            "{times:?}"
        );
        let current = deal["properties"]["dealstage"].as_str().unwrap_or("");
        assert_eq!(history[0]["value"], json!(current));
        longest = longest.max(history.len());
    }
    assert!(longest > 2, "some deal went through several stages");
    let id: u64 = deals[0]["id"].as_str().unwrap().parse().unwrap();
    let at_ms = 1_790_000_000_000;
    sim.set_property(Kind::Deals, id, "dealstage", Some("closedwon"), at_ms);
    let one = format!("/crm/v3/objects/deals/{id}?propertiesWithHistory=dealstage");
    let one = get(&sim, &one).await.json();
    let history = &one["propertiesWithHistory"]["dealstage"];
    assert_eq!(history[0]["value"], json!("closedwon"));
    let body = json!({"inputs": [{"id": id.to_string()}], "propertiesWithHistory": ["dealstage"]});
    let batch = post(&sim, "/crm/v3/objects/deals/batch/read", &body)
        .await
        .json();
    assert_eq!(
        batch["results"][0]["propertiesWithHistory"]["dealstage"],
        *history
    );
}

#[tokio::test]
async fn pages_with_histories_hold_no_more_than_fifty_records() {
    let sim = unlimited(10).await;
    let with =
        |limit: u32| format!("/crm/v3/objects/contacts?limit={limit}&propertiesWithHistory=email");
    assert_eq!(get(&sim, &with(51)).await.status, 400);
    assert_eq!(get(&sim, &with(50)).await.status, 200);
}

#[tokio::test]
async fn an_upsert_updates_what_it_finds_creates_the_rest_and_says_which() {
    let sim = unlimited(10).await;
    let known = get(&sim, "/crm/v3/objects/contacts?limit=1&properties=email")
        .await
        .json();
    let known = &known["results"][0]["properties"]["email"];
    let body = json!({"inputs": [
        {"id": known, "idProperty": "email", "properties": {"firstname": "Known"}},
        {"id": "new@example.org", "idProperty": "email", "properties": {"firstname": "New"}},
    ]});
    for created in [1, 0] {
        let answer = post(&sim, "/crm/v3/objects/contacts/batch/upsert", &body).await;
        assert_eq!(answer.status, 200);
        let answer = answer.json();
        let results: &Vec<Value> = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        let new = results.iter().filter(|result| result["new"] == json!(true));
        assert_eq!(new.count(), created);
    }
    assert_eq!(sim.live_count(Kind::Contacts), 11);
    let twice = json!({"inputs": [
        {"id": "a@example.org", "idProperty": "email", "properties": {}},
        {"id": "A@example.org", "idProperty": "email", "properties": {}},
    ]});
    let refused = post(&sim, "/crm/v3/objects/contacts/batch/upsert", &twice).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn owners_come_in_pages() {
    let sim = unlimited(1).await;
    let mut seen = Vec::new();
    let mut target = "/crm/v3/owners?limit=10".to_owned();
    loop {
        let page = get(&sim, &target).await.json();
        let owners = page["results"].as_array().unwrap();
        seen.extend(
            owners
                .iter()
                .map(|owner| owner["id"].as_str().unwrap().to_owned()),
        );
        match page["paging"]["next"]["after"].as_str() {
            Some(after) => target = format!("/crm/v3/owners?limit=10&after={after}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 24);
    seen.dedup();
    assert_eq!(seen.len(), 24);
    assert_eq!(get(&sim, "/crm/v3/owners?limit=501").await.status, 400);
}
