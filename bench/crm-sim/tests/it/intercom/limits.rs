//! The ten-second windows, as headers tell of them.

use crm_sim::intercom::Config;

use super::client::{check_problem, get, start};

#[tokio::test]
async fn headers_count_down_to_a_refusal_that_says_when_to_come_back() {
    let sim = start(Config {
        calls_per_minute: 60,
        ..Config::default()
    })
    .await;
    let mut last_reset = 0;
    for _ in 0..40 {
        let answer = get(&sim, "/tags").await;
        let number = |name: &str| answer.header(name).unwrap().parse::<i64>().unwrap();
        let reset = number("x-ratelimit-reset");
        assert_eq!(number("x-ratelimit-limit"), 10);
        assert_eq!(reset % 10, 2, "windows stand at a constant phase");
        if reset != last_reset {
            assert_eq!(
                number("x-ratelimit-remaining"),
                10,
                "the first sees the whole limit"
            );
            last_reset = reset;
        }
        assert!(answer.header("retry-after").is_none());
        if answer.status == 429 {
            assert_eq!(number("x-ratelimit-remaining"), 0);
            let message = "The rate limit for the App has been exceeded";
            check_problem(&answer, 429, "rate_limit_exceeded", message);
            let counters = sim.counters();
            assert_eq!(counters.tally.throttled, 1);
            assert!(counters.ten_second_max > 10);
            return;
        }
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn answers_that_fail_carry_the_headers_too() {
    let sim = start(Config::default()).await;
    let answer = get(&sim, "/contacts/unknown").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("x-ratelimit-limit"), Some("1667"));
    assert_eq!(answer.header("status"), Some("404 Not Found"));
    assert!(answer.header("x-runtime").is_some());
}
