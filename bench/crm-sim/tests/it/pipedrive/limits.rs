//! Burst windows, the daily budget, the edge.

use crm_sim::pipedrive::{Config, Fault, Kind, PathKind, Rule, When};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call, get, get_as, start};

#[tokio::test]
async fn every_answer_says_what_is_left_of_two_seconds_and_the_reset_never_changes() {
    let sim = start(Config::default()).await;
    for left in ["19", "18", "17"] {
        let answer = get(&sim, "/api/v2/persons?limit=1").await;
        assert_eq!(answer.header("x-ratelimit-limit"), Some("20"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left));
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
        edge_bars_after: Some(5),
        // The window may roll while the requests are under way, so it is narrow.
        limit_scale: Some(0.05),
        ..Config::default()
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
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
            assert!(
                answer
                    .header("content-type")
                    .unwrap()
                    .starts_with("text/html")
            );
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[0], 200);
    assert_eq!(statuses[1..6], [429; 5]);
    assert_eq!(statuses[6..], [403; 6]);
    let counters = sim.counters();
    assert_eq!((counters.throttled, counters.barred), (5, 6));
    assert_eq!(counters.two_second_max, 12);
}

#[tokio::test]
async fn searches_have_a_narrower_window_of_their_own() {
    let sim = start(Config::default()).await;
    let mut refused = 0;
    for _ in 0..11 {
        let answer = get(&sim, "/api/v2/persons/search?term=nobody").await;
        refused += u32::from(answer.status == 429);
    }
    assert!(refused >= 1);
    assert_eq!(get(&sim, "/api/v2/persons?limit=1").await.status, 200);
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
