//! Tokens and API versions.

use hyper::Method;
use serde_json::{Value, json};

use super::client::{call_as, check_problem, get, send, start, unlimited};

#[tokio::test]
async fn a_code_buys_a_token_that_neither_expires_nor_refreshes() {
    let sim = start(unlimited()).await;
    let config = sim.config().clone();
    let page = format!(
        "/oauth?client_id={}&state=st%20ate&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback",
        config.client_id
    );
    let answer = send(sim.base_url(), Method::GET, &page, &[], Vec::new()).await;
    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    let query: std::collections::HashMap<_, _> = location.query_pairs().into_owned().collect();
    assert_eq!(query["state"], "st ate");
    let body = json!({
        "code": query["code"],
        "client_id": config.client_id,
        "client_secret": config.client_secret,
    });
    let headers = [("content-type", "application/json")];
    let exchange = || {
        let body = body.to_string().into_bytes();
        send(
            sim.base_url(),
            Method::POST,
            "/auth/eagle/token",
            &headers,
            body,
        )
    };
    let issued = exchange().await.json();
    let token = issued["access_token"].as_str().unwrap();
    assert_eq!(issued["token"], token);
    assert!(issued.get("refresh_token").is_none() && issued.get("expires_in").is_none());
    assert_eq!(exchange().await.status, 400, "a code works once");

    sim.clock().advance(365 * 86_400_000);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let me = || send(sim.base_url(), Method::GET, "/me", &headers, Vec::new());
    let app = me().await.json()["app"].clone();
    assert_eq!(
        (&app["region"], &app["timezone"]),
        (&json!("US"), &json!("America/Los_Angeles"))
    );
    sim.uninstall_app();
    check_problem(&me().await, 401, "unauthorized", "Access Token Invalid");
    assert_eq!(sim.counters().tally.unauthorized, 1);
}

#[tokio::test]
async fn a_form_with_a_wrong_secret_buys_nothing() {
    let sim = start(unlimited()).await;
    let body = format!(
        "code=x&client_id={}&client_secret=wrong",
        sim.config().client_id
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = send(
        sim.base_url(),
        Method::POST,
        "/auth/eagle/token",
        &headers,
        body.into_bytes(),
    );
    assert_eq!(answer.await.status, 401);
}

#[tokio::test]
async fn without_a_version_the_apps_own_is_used_and_unknown_ones_are_refused() {
    let sim = start(unlimited()).await;
    let bearer = format!("Bearer {}", sim.access_token());
    let headers = [("authorization", bearer.as_str())];
    let answer = send(sim.base_url(), Method::GET, "/tags", &headers, Vec::new()).await;
    assert_eq!(answer.header("intercom-version"), Some("2.3"));
    assert_eq!(
        get(&sim, "/tags").await.header("intercom-version"),
        Some("2.14")
    );
    let unknown = call_as(&sim, "9.9", Method::GET, "/tags", &Value::Null).await;
    let message = "Requested resource is not available in current API version.";
    check_problem(&unknown, 400, "intercom_version_invalid", message);
}

#[tokio::test]
async fn who_accepts_no_json_gets_none() {
    let sim = start(unlimited()).await;
    let bearer = format!("Bearer {}", sim.access_token());
    let headers = [("authorization", bearer.as_str()), ("accept", "text/xml")];
    let answer = send(sim.base_url(), Method::GET, "/tags", &headers, Vec::new()).await;
    assert_eq!(answer.status, 406);
}
