//! Limits and failures, in both of their forms.

use crm_sim::leadsquared::{Config, Fault, PathKind, RefusalForm, Rule, When};
use serde_json::json;

use super::client::{EVER, MODIFIED, check_problem, get, modified, post, start, unlimited};

#[tokio::test]
async fn the_call_past_the_limit_is_refused_with_429_or_with_200() {
    let sim = start(Config {
        calls: 3,
        ..Config::default()
    })
    .await;
    for _ in 0..3 {
        assert_eq!(get(&sim, "UserManagement.svc/Users.Get").await.status, 200);
    }
    let refused = get(&sim, "UserManagement.svc/Users.Get").await;
    check_problem(&refused, 429, "MXAPIRateLimitExceededException");
    assert_eq!(
        refused.json()["ExceptionMessage"],
        "API calls exceeded the limit of 3 in 5 second(s)"
    );
    assert!(refused.header("retry-after").is_none());
    sim.set_refusal(RefusalForm::Status200);
    let refused = get(&sim, "UserManagement.svc/Users.Get").await;
    check_problem(&refused, 200, "MXAPIRateLimitExceededException");
    let counters = sim.counters();
    assert_eq!(
        (
            counters.tally.throttled,
            counters.five_second_max,
            counters.today
        ),
        (2, 5, 3)
    );
}

#[tokio::test]
async fn bulk_calls_have_a_limit_of_their_own() {
    let sim = start(Config {
        bulk_calls: 1,
        ..Config::default()
    })
    .await;
    let target = "LeadManagement.svc/Lead/Bulk/Create";
    assert_eq!(post(&sim, target, &json!([])).await.status, 200);
    check_problem(
        &post(&sim, target, &json!([])).await,
        429,
        "MXAPIRateLimitExceededException",
    );
    assert_eq!(get(&sim, "UserManagement.svc/Users.Get").await.status, 200);
}

#[tokio::test]
async fn a_failure_without_an_exception_may_pass_and_one_with_it_stays() {
    let sim = start(unlimited()).await;
    let once = |fault| Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 0, take: 1 },
        fault,
    };
    let body = modified(EVER.0, EVER.1, 1, 10);
    sim.install_fault(once(Fault::Status(502)));
    let answer = post(&sim, MODIFIED, &body).await;
    assert!(answer.status == 502 && answer.body.starts_with(b"<html>"));
    sim.install_fault(once(Fault::Problem("MXSomethingException".to_owned())));
    check_problem(
        &post(&sim, MODIFIED, &body).await,
        500,
        "MXSomethingException",
    );
    sim.install_fault(once(Fault::ShortPage(4)));
    let short = post(&sim, MODIFIED, &body).await.json();
    assert_eq!(short["Leads"].as_array().unwrap().len(), 4);
    assert_eq!(short["RecordCount"], 1000);
    assert_eq!(post(&sim, MODIFIED, &body).await.status, 200);
}
