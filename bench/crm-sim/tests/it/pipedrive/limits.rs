//! Burst windows, the daily budget, the edge.

use crm_sim::pipedrive::{Config, Fault, Kind, PathKind, Rule, When};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call, get, get_as, start};

#[tokio::test]
async fn every_answer_says_what_is_left_of_two_seconds_and_the_reset_never_changes() {
    let sim = start(Config::default()).await;
    for place in 0..3 {
        let answer = get(&sim, "/api/v2/persons?limit=1").await;
        assert_eq!(answer.header("x-ratelimit-limit"), Some("20"));
        let left = answer.header("x-ratelimit-remaining").unwrap();
        let left: u32 = left.parse().unwrap();
        // On a slow machine the first ones have left the window already.
        assert!((19 - place..20).contains(&left), "{left}");
        assert_eq!(answer.header("x-ratelimit-reset"), Some("2"));
        assert_eq!(answer.header("x-daily-requests-left"), None);
    }
    let token = sim.issue_tokens().access_token;
    let answer = get_as(&sim, &token, "/api/v2/persons?limit=1").await;
    assert_eq!(answer.header("x-ratelimit-limit"), Some("80"));
    let body = json!({"name": "x"});
    let answer = call(&sim, Method::POST, "/api/v2/persons", &body).await;
    assert_eq!(answer.header("x-daily-requests-left"), Some("9999"));
}

#[tokio::test]
async fn above_the_burst_there_is_429_without_a_time_and_then_a_page_of_the_edge() {
    let sim = start(Config {
        edge_bars_after: Some(2),
        limit_scale: Some(0.05),
        ..Config::default()
    })
    .await;
    let mut statuses = Vec::new();
    // On a slow machine the window of two seconds rolls in between.
    while statuses.len() < 500 && statuses.last() != Some(&403) {
        let answer = get(&sim, "/api/v2/persons?limit=1").await;
        if answer.status == 429 {
            assert_eq!(
                answer.json(),
                json!({"success": false, "error": "request over limit", "errorCode": 429})
            );
            assert_eq!(answer.header("retry-after"), None);
        }
        if answer.status == 403 {
            assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
            let content_type = answer.header("content-type").unwrap();
            assert!(content_type.starts_with("text/html"));
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[0], 200);
    assert!(statuses.ends_with(&[429, 429, 403]), "{statuses:?}");
    let counters = sim.counters();
    assert!(counters.throttled >= 2);
    assert_eq!(counters.barred, 1);
    assert!(counters.two_second_max >= 3);
}

#[tokio::test]
async fn each_request_spends_its_price_and_an_empty_budget_lasts_until_midnight() {
    let sim = start(Config {
        limit_scale: Some(1000.0),
        daily_tokens: Some(1000),
        ..Config::default()
    })
    .await;
    sim.clock().fix(1_767_300_000_000);
    let left = async |target: &str| {
        let answer = get(&sim, target).await;
        let left = answer.header("x-daily-ratelimit-token-remaining");
        left.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(left("/api/v2/persons?limit=1").await, 990);
    assert_eq!(left("/api/v2/persons/1").await, 989);
    assert_eq!(left("/api/v2/persons/search?term=nobody").await, 969);
    assert_eq!(left("/v1/leads").await, 949);
    sim.leave_daily_tokens(9);
    let refused = get(&sim, "/api/v2/persons?limit=1").await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.header("x-ratelimit-reset"),
        Some("2"),
        "which says nothing of the day"
    );
    assert_eq!(
        get(&sim, "/api/v2/persons/1").await.status,
        200,
        "a cheap one still fits"
    );
    sim.clock().fix(1_767_300_000_000 + 86_400_000);
    assert_eq!(get(&sim, "/api/v2/persons?limit=1").await.status, 200);
}

#[tokio::test]
async fn faults_strike_the_chosen_path_and_the_journal_has_every_request() {
    let sim = start(Config::default()).await;
    sim.begin_journal();
    sim.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 1, take: 1 },
        fault: Fault::ShortPage(2),
    });
    for expected in [5, 2, 5] {
        let page = get(&sim, "/api/v2/persons?limit=5").await.json();
        assert_eq!(page["data"].as_array().unwrap().len(), expected);
        assert!(page["additional_data"]["next_cursor"].is_string());
    }
    assert_eq!(sim.journal().len(), 3);
    assert_eq!(sim.live_count(Kind::Persons), 1000);
}
