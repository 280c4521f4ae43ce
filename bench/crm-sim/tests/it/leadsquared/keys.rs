//! Keys: where they stand, what they open, how they end.

use hyper::Method;
use serde_json::{Value, json};

use super::client::{
    EVER, MODIFIED, call_as, check_problem, get, modified, send, start, unlimited,
};

#[tokio::test]
async fn keys_open_from_the_query_and_from_headers_and_only_as_a_pair() {
    let sim = start(unlimited()).await;
    let (keys, others) = (sim.issue_keys(), sim.issue_keys());
    let target = |secret: &str| {
        let access = keys.access_key.replace('$', "%24");
        format!("/v2/UserManagement.svc/Users.Get?accessKey={access}&secretKey={secret}")
    };
    let good = target(&keys.secret_key);
    assert_eq!(
        send(sim.base_url(), Method::GET, &good, &[], Vec::new())
            .await
            .status,
        200
    );
    let mixed = target(&others.secret_key);
    let answer = send(sim.base_url(), Method::GET, &mixed, &[], Vec::new()).await;
    check_problem(&answer, 401, "MXUnauthorizedException");
    let users = get(&sim, "UserManagement.svc/Users.Get").await.json();
    assert_eq!(users.as_array().unwrap().len(), 12);
    sim.revoke_keys();
    let answer = call_as(
        &sim,
        &keys,
        Method::GET,
        "UserManagement.svc/Users.Get",
        &Value::Null,
    )
    .await;
    check_problem(&answer, 401, "MXUnauthorizedException");
    assert_eq!(sim.counters().tally.unauthorized, 2);
}

#[tokio::test]
async fn the_keys_of_a_user_show_what_is_theirs() {
    let sim = start(unlimited()).await;
    let keys = sim.issue_keys_of(3);
    let users = get(&sim, "UserManagement.svc/Users.Get").await.json();
    let body = modified(EVER.0, EVER.1, 1, 5000);
    let seen = call_as(&sim, &keys, Method::POST, MODIFIED, &body)
        .await
        .json();
    let leads = seen["Leads"].as_array().unwrap();
    assert!((30..150).contains(&leads.len()), "{}", leads.len());
    assert_eq!(seen["RecordCount"], leads.len());
    for lead in leads {
        assert_eq!(super::client::unlisted(lead)["OwnerId"], users[3]["ID"]);
    }
    let hidden = sim
        .current(crm_sim::leadsquared::Kind::Leads)
        .map(|version| version.id);
    let mut found = 0;
    for id in hidden.take(20) {
        let id = crm_sim::leadsquared::Kind::Leads.wire_id(id);
        let target = format!("LeadManagement.svc/Leads.GetById?id={id}");
        let lead = call_as(&sim, &keys, Method::GET, &target, &Value::Null)
            .await
            .json();
        found += usize::from(lead != json!([]));
    }
    assert!(found < 10);
}

#[tokio::test]
async fn the_journal_holds_no_secret() {
    let sim = start(unlimited()).await;
    sim.begin_journal();
    let keys = sim.issue_keys();
    let target = format!(
        "/v2/UserManagement.svc/Users.Get?accessKey=x&secretKey={}",
        keys.secret_key
    );
    send(sim.base_url(), Method::GET, &target, &[], Vec::new()).await;
    let seen = sim.journal();
    assert_eq!(
        (seen[0].token.as_str(), seen[0].target.as_str()),
        ("x", "/v2/UserManagement.svc/Users.Get")
    );
}
