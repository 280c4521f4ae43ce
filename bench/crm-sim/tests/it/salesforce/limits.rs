//! The allocation of the day, long requests, and what the header says of them.

use crm_sim::salesforce::{Config, Fault, Object, PathKind, Rule, When};
use serde_json::json;

use super::client::{get, org, query_path, start};

#[tokio::test]
async fn the_day_and_the_concurrent_requests_share_a_code_but_not_a_message() {
    let sim = start(Config {
        daily_limit: 3,
        ..Config::default()
    })
    .await;
    for _ in 0..3 {
        let answer = get(&sim, "/limits").await;
        assert_eq!(answer.status, 200);
        let told = answer.header("sforce-limit-info").unwrap().to_owned();
        let used = told
            .strip_prefix("api-usage=")
            .unwrap()
            .strip_suffix("/3")
            .unwrap();
        assert!(used.parse::<u64>().unwrap() <= 3);
    }
    let day = get(&sim, "/limits").await;
    assert_eq!(day.status, 403);
    assert_eq!(
        day.json(),
        json!([{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
    );
    assert_eq!(sim.counters().daily_refused, 1);
    sim.clock().advance(24 * 3_600_000);
    let left = get(&sim, "/limits").await.json();
    assert_eq!(left["DailyApiRequests"], json!({"Max": 3, "Remaining": 2}));
    assert!(left["DailyBulkApiBatches"]["Remaining"].is_number());
}

#[tokio::test]
async fn long_requests_keep_the_others_out_until_they_end() {
    let sim = start(Config {
        concurrent_limit: 2,
        long_request_ms: 0,
        ..Config::default()
    })
    .await;
    sim.install_fault(Rule {
        path: Some(PathKind::Query),
        when: When::Always,
        fault: Fault::Delay(60_000),
    });
    let path = query_path("SELECT Id FROM Account");
    let (first, second) = (get(&sim, &path), get(&sim, &path));
    tokio::pin!(first, second);
    let refused = async {
        // Before both are under way, this one could keep one of them out.
        while sim.counters().tally.in_flight_max < 2 {
            tokio::task::yield_now().await;
        }
        loop {
            let answer = get(&sim, "/limits").await;
            if answer.status == 403 {
                return answer;
            }
        }
    };
    let answer = tokio::select! {
        _ = &mut first => unreachable!("it takes a minute"),
        _ = &mut second => unreachable!("it takes a minute"),
        answer = refused => answer,
    };
    let message = answer.json()[0]["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message,
        "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
    );
    assert!(sim.counters().concurrent_max >= 2);
}

#[tokio::test]
async fn faults_speak_the_language_of_the_platform() {
    let sim = org(&[(Object::Account, 10)]).await;
    for (fault, status, code) in [
        (Fault::Status(500), 500, "UNKNOWN_EXCEPTION"),
        (Fault::Status(503), 503, "SERVER_UNAVAILABLE"),
        (
            Fault::Problem("QUERY_TIMEOUT".to_owned()),
            400,
            "QUERY_TIMEOUT",
        ),
        (
            Fault::Problem("UNABLE_TO_LOCK_ROW".to_owned()),
            400,
            "UNABLE_TO_LOCK_ROW",
        ),
        (
            Fault::Problem("DAILY_LIMIT".to_owned()),
            403,
            "REQUEST_LIMIT_EXCEEDED",
        ),
        (
            Fault::Throttle {
                retry_after_s: None,
            },
            403,
            "REQUEST_LIMIT_EXCEEDED",
        ),
    ] {
        sim.clear_faults();
        sim.install_fault(Rule {
            path: None,
            when: When::Always,
            fault: fault.clone(),
        });
        let answer = get(&sim, &query_path("SELECT Id FROM Account")).await;
        assert_eq!(answer.status, status, "{fault:?}");
        assert_eq!(answer.json()[0]["errorCode"], code, "{fault:?}");
    }
    sim.clear_faults();
    sim.install_fault(Rule {
        path: None,
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::Cut(500),
    });
    assert!(
        get(&sim, &query_path("SELECT Id FROM Account"))
            .await
            .broken
    );
    assert!(
        !get(&sim, &query_path("SELECT Id FROM Account"))
            .await
            .broken
    );
}
