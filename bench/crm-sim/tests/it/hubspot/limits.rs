//! Limits at their real rates, and the counters that prove a client's manners.

use crm_sim::hubspot::{Config, Fault, PathKind, Rule, When};
use serde_json::json;

use super::client::{get_as, post, start};

#[tokio::test]
async fn the_request_above_the_window_is_refused_and_the_counter_tells() {
    let sim = start(Config::default()).await;
    let token = sim.issue_tokens().access_token;
    let target = "/crm/v3/objects/contacts?limit=1";
    for request in 0..110 {
        let answer = get_as(&sim, &token, target).await;
        assert_eq!(answer.status, 200, "{request}");
        let remaining = (109 - request).to_string();
        assert_eq!(
            answer.header("x-hubspot-ratelimit-remaining"),
            Some(remaining.as_str())
        );
    }
    assert_eq!(
        sim.counters().ten_second_max,
        110,
        "exactly at the limit is fine"
    );
    let refused = get_as(&sim, &token, target).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), None);
    let body = refused.json();
    assert_eq!(body["policyName"], "TEN_SECONDLY_ROLLING");
    assert_eq!(body["errorType"], "RATE_LIMIT");
    assert_eq!(
        body["message"],
        "You have reached your ten_secondly_rolling limit."
    );
    let private = get_as(&sim, sim.private_app_token(), target).await;
    assert_eq!(private.status, 200, "another app has a window of its own");
    let counters = sim.counters();
    assert_eq!((counters.ten_second_max, counters.throttled), (111, 1));
    assert_eq!(counters.requests[&PathKind::List], 112);
}

#[tokio::test]
async fn searches_are_limited_by_the_second_with_the_older_body() {
    let sim = start(Config {
        // One search a second, so that two in a row are certain to collide.
        limit_scale: Some(0.2),
        ..Config::default()
    })
    .await;
    let target = "/crm/v3/objects/contacts/search";
    assert_eq!(post(&sim, target, &json!({})).await.status, 200);
    let refused = post(&sim, target, &json!({})).await;
    assert_eq!(refused.status, 429);
    let body = refused.json();
    assert_eq!(body["message"], "You have reached your secondly limit.");
    assert_eq!(body["category"], "RATE_LIMITS");
    assert_eq!(body.as_object().unwrap().len(), 4);
    assert_eq!(sim.counters().search_second_max, 2);
    assert_eq!(
        sim.counters().ten_second_max,
        0,
        "searches are exempt from the window"
    );
}

#[tokio::test]
async fn the_day_of_private_apps_runs_out() {
    let sim = start(Config {
        daily_limit: Some(2),
        ..Config::default()
    })
    .await;
    sim.clock().fix(1_790_000_000_000);
    let target = "/crm/v3/objects/contacts?limit=1";
    let private = sim.private_app_token();
    for _ in 0..2 {
        assert_eq!(get_as(&sim, private, target).await.status, 200);
    }
    let refused = get_as(&sim, private, target).await;
    assert_eq!(refused.json()["policyName"], "DAILY");
    let oauth = sim.issue_tokens().access_token;
    assert_eq!(get_as(&sim, &oauth, target).await.status, 200);
    sim.clock().advance(86_400_000);
    assert_eq!(get_as(&sim, private, target).await.status, 200);
}

#[tokio::test]
async fn impatience_during_a_retry_after_is_counted() {
    let sim = start(Config {
        retry_after_grace_ms: 0,
        ..Config::default()
    })
    .await;
    sim.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::Throttle {
            retry_after_s: Some(60),
        },
    });
    let token = sim.issue_tokens().access_token;
    let target = "/crm/v3/objects/contacts?limit=1";
    let stormed = get_as(&sim, &token, target).await;
    assert_eq!(
        (stormed.status, stormed.header("retry-after")),
        (429, Some("60"))
    );
    assert_eq!(sim.counters().during_retry_after, 0);
    assert_eq!(get_as(&sim, &token, target).await.status, 200);
    assert_eq!(sim.counters().during_retry_after, 1);
    sim.reset_counters();
    assert_eq!(sim.counters(), crm_sim::hubspot::Counters::default());
}
