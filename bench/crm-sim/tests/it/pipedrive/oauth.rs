//! Consent, the token endpoint, scopes and API tokens.

use crm_sim::pipedrive::{Config, PipedriveSim};
use data_encoding::BASE64;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Answer, get, get_as, send, start};

async fn token(sim: &PipedriveSim, basic: Option<(&str, &str)>, form: &str) -> Answer {
    let authorization = basic.map(|(id, secret)| {
        format!(
            "Basic {}",
            BASE64.encode(format!("{id}:{secret}").as_bytes())
        )
    });
    let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
    if let Some(authorization) = &authorization {
        headers.push(("authorization", authorization));
    }
    let body = form.as_bytes().to_vec();
    send(sim.base_url(), Method::POST, "/oauth/token", &headers, body).await
}

async fn code(sim: &PipedriveSim) -> String {
    let id = &sim.config().client_id;
    let target = format!(
        "/oauth/authorize?client_id={id}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback&state=s1"
    );
    let answer = send(sim.base_url(), Method::GET, &target, &[], Vec::new()).await;
    assert_eq!(answer.status, 302);
    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    let pairs: Vec<(String, String)> = location.query_pairs().into_owned().collect();
    assert!(pairs.contains(&("state".to_owned(), "s1".to_owned())));
    pairs
        .into_iter()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
}

#[tokio::test]
async fn a_code_gives_tokens_to_an_app_that_proves_itself_and_works_once() {
    let sim = start(Config::default()).await;
    let (id, secret) = (
        sim.config().client_id.as_str(),
        sim.config().client_secret.as_str(),
    );
    let form = |code: &str| {
        format!(
            "grant_type=authorization_code&code={code}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback"
        )
    };
    let fresh = code(&sim).await;
    let refused = token(&sim, Some((id, "wrong")), &form(&fresh)).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["error"], json!("invalid_client"));
    let answer = token(&sim, Some((id, secret)), &form(&fresh)).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["token_type"], json!("Bearer"));
    assert_eq!(answer["api_domain"], json!(sim.base_url()));
    assert!(answer["scope"].as_str().unwrap().contains("deals:full"));
    assert!(answer["expires_in"].as_u64().unwrap() > 3000);
    let access = answer["access_token"].as_str().unwrap();
    assert_eq!(
        get_as(&sim, access, "/api/v2/deals?limit=1").await.status,
        200
    );
    let again = token(&sim, Some((id, secret)), &form(&fresh)).await;
    assert_eq!(
        (again.status, again.json()["error"].clone()),
        (400, json!("invalid_grant"))
    );
}

#[tokio::test]
async fn a_code_lives_for_five_minutes() {
    let sim = start(Config::default()).await;
    let (id, secret) = (
        sim.config().client_id.as_str(),
        sim.config().client_secret.as_str(),
    );
    sim.clock().fix(1_767_300_000_000);
    let fresh = code(&sim).await;
    sim.clock().advance(300_000);
    let form = format!(
        "grant_type=authorization_code&code={fresh}&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback"
    );
    assert_eq!(token(&sim, Some((id, secret)), &form).await.status, 400);
}

#[tokio::test]
async fn a_refresh_token_serves_again_and_again_until_the_app_is_uninstalled() {
    let sim = start(Config::default()).await;
    let (id, secret) = (
        sim.config().client_id.as_str(),
        sim.config().client_secret.as_str(),
    );
    let pair = sim.issue_tokens();
    let form = format!(
        "grant_type=refresh_token&refresh_token={}",
        pair.refresh_token
    );
    for _ in 0..2 {
        let answer = token(&sim, Some((id, secret)), &form).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["refresh_token"], json!(pair.refresh_token));
    }
    sim.uninstall_app();
    let refused = token(&sim, Some((id, secret)), &form).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json(),
        json!({
            "success": false,
            "message": "Invalid grant: refresh token is invalid",
            "error": "invalid_grant",
        })
    );
    let counters = sim.counters();
    assert_eq!((counters.refreshes, counters.refreshes_refused), (2, 1));
}

#[tokio::test]
async fn a_refresh_token_dies_after_sixty_days_without_use_and_each_use_prolongs_it() {
    let sim = start(Config::default()).await;
    let (id, secret) = (
        sim.config().client_id.as_str(),
        sim.config().client_secret.as_str(),
    );
    sim.clock().fix(1_767_300_000_000);
    let pair = sim.issue_tokens();
    let form = format!(
        "grant_type=refresh_token&refresh_token={}",
        pair.refresh_token
    );
    for expected in [200, 200] {
        sim.clock().advance(59 * 86_400_000);
        let answer = token(&sim, Some((id, secret)), &form).await;
        assert_eq!(answer.status, expected);
    }
    sim.clock().advance(60 * 86_400_000);
    assert_eq!(token(&sim, Some((id, secret)), &form).await.status, 400);
    assert_eq!(token(&sim, Some((id, secret)), &form).await.status, 400);
}

#[tokio::test]
async fn an_expired_token_and_a_missing_scope_are_told_apart() {
    let sim = start(Config {
        scopes: vec!["base".to_owned(), "deals:read".to_owned()],
        ..Config::default()
    })
    .await;
    let access = sim.issue_tokens().access_token;
    assert_eq!(
        get_as(&sim, &access, "/api/v2/deals?limit=1").await.status,
        200
    );
    let refused = get_as(&sim, &access, "/api/v2/persons?limit=1").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error"], json!("Scope and URL mismatch"));
    sim.expire_access_tokens();
    let expired = get_as(&sim, &access, "/api/v2/deals?limit=1").await;
    assert_eq!(expired.status, 401);
    assert_eq!(
        expired.json(),
        json!({
            "success": false,
            "error": "unauthorized access",
            "errorCode": 401,
            "error_info": "Please check developers.pipedrive.com",
        })
    );
}

#[tokio::test]
async fn an_api_token_is_taken_from_the_header_and_from_the_query() {
    let sim = start(Config::default()).await;
    assert_eq!(get(&sim, "/v1/users/me").await.status, 200);
    let ask = async |target: String| {
        let answer = send(sim.base_url(), Method::GET, &target, &[], Vec::new()).await;
        answer.status
    };
    assert_eq!(
        ask(format!("/v1/users/me?api_token={}", sim.api_token())).await,
        200
    );
    assert_eq!(ask("/v1/users/me?api_token=wrong".to_owned()).await, 401);
    assert_eq!(ask("/v1/users/me".to_owned()).await, 401);
    let users: Value = get(&sim, "/v1/users").await.json();
    assert!(users["data"].as_array().unwrap().len() > 5);
}
