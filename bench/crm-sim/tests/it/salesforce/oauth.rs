//! Sessions: how one gets, keeps and loses them.

use crm_sim::salesforce::{Config, Object, Salesforce};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use hyper::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::client::{Answer, DATA, call_as, form, get, org, send, start};

const TOKEN: &str = "/services/oauth2/token";

/// Walks through the consent page and returns the code.
async fn consent(sim: &Salesforce, extra: &str) -> String {
    let target = format!(
        "/services/oauth2/authorize?response_type=code&client_id={}&redirect_uri=http%3A%2F%2Flocalhost%3A9%2Fback&state=s1{extra}",
        sim.config().client_id
    );
    let answer = send(sim.base_url(), Method::GET, &target, &[], Vec::new()).await;
    assert_eq!(answer.status, 302);
    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    let find = |name: &str| {
        let mut pairs = location.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    assert_eq!(find("state").as_deref(), Some("s1"));
    find("code").unwrap_or_else(|| find("error").unwrap())
}

async fn exchange(sim: &Salesforce, code: &str, verifier: Option<&str>) -> Answer {
    let config = sim.config();
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", "http://localhost:9/back"),
        ("client_id", &config.client_id),
        ("client_secret", &config.client_secret),
    ];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    form(sim, TOKEN, &fields).await
}

async fn refresh(sim: &Salesforce, token: &str) -> Answer {
    let config = sim.config();
    form(
        sim,
        TOKEN,
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &config.client_id),
            ("client_secret", &config.client_secret),
        ],
    )
    .await
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_default().to_owned()
}

async fn works(sim: &Salesforce, token: &str) -> bool {
    let target = format!("{DATA}/limits");
    let answer = call_as(sim, token, Method::GET, &target, &[], Vec::new()).await;
    assert!(matches!(answer.status, 200 | 401), "{}", answer.status);
    answer.status == 200
}

#[tokio::test]
async fn a_code_with_its_proof_opens_a_session_once() {
    let sim = start(Config {
        require_pkce: true,
        ..Config::default()
    })
    .await;
    assert_eq!(consent(&sim, "").await, "invalid_request");
    let verifier = "a-verifier-of-forty-three-characters-or-more";
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier));
    let extra = format!("&code_challenge={challenge}&code_challenge_method=S256");
    let code = consent(&sim, &extra).await;
    let refused = exchange(&sim, &code, Some("wrong")).await;
    assert_eq!(
        (refused.status, text(&refused.json(), "error")),
        (400, "invalid_grant".to_owned())
    );
    let code = consent(&sim, &extra).await;
    let issued = exchange(&sim, &code, Some(verifier)).await.json();
    assert!(works(&sim, &text(&issued, "access_token")).await);
    assert!(text(&issued, "access_token").starts_with("00D"));
    assert_eq!(text(&issued, "instance_url"), sim.base_url());
    assert!(issued.get("expires_in").is_none());
    assert!(text(&issued, "issued_at").parse::<i64>().is_ok());
    assert!(BASE64.decode(text(&issued, "signature").as_bytes()).is_ok());
    let identity = text(&issued, "id");
    let path = identity.strip_prefix(sim.base_url()).unwrap();
    let who = call_as(
        &sim,
        &text(&issued, "access_token"),
        Method::GET,
        path,
        &[],
        Vec::new(),
    )
    .await;
    assert_eq!(who.json()["username"], sim.config().username.as_str());
    assert!(identity.ends_with(who.json()["user_id"].as_str().unwrap()));
    let again = exchange(&sim, &code, Some(verifier)).await.json();
    assert_eq!(
        text(&again, "error_description"),
        "invalid authorization code"
    );
}

#[tokio::test]
async fn a_session_lives_as_long_as_it_is_used() {
    let sim = org(&[(Object::Account, 1)]).await;
    sim.clock().fix(1_780_000_000_000);
    let pair = sim.issue_tokens();
    for _ in 0..3 {
        sim.clock().advance(7_000_000);
        assert!(works(&sim, &pair.access_token).await);
    }
    sim.clock().advance(7_200_000);
    assert!(!works(&sim, &pair.access_token).await);
    let issued = refresh(&sim, &pair.refresh_token).await.json();
    assert!(works(&sim, &text(&issued, "access_token")).await);
    assert!(issued.get("refresh_token").is_none());
    assert_eq!(sim.counters().tally.refreshes, 1);
}

#[tokio::test]
async fn the_use_of_a_replaced_refresh_token_ends_everything() {
    let sim = start(Config {
        refresh_rotation: true,
        ..Config::default()
    })
    .await;
    let pair = sim.issue_tokens();
    let second = refresh(&sim, &pair.refresh_token).await.json();
    let replaced = text(&second, "refresh_token");
    assert_ne!(replaced, pair.refresh_token);
    assert!(works(&sim, &text(&second, "access_token")).await);
    let refused = refresh(&sim, &pair.refresh_token).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        (
            text(&refused.json(), "error"),
            text(&refused.json(), "error_description")
        ),
        (
            "invalid_grant".to_owned(),
            "expired access/refresh token".to_owned()
        )
    );
    assert!(!works(&sim, &text(&second, "access_token")).await);
    assert_eq!(refresh(&sim, &replaced).await.status, 400);
    assert_eq!(sim.counters().tally.refreshes_refused, 2);
}

#[tokio::test]
async fn a_sixth_authorisation_ends_the_first() {
    let sim = org(&[]).await;
    let mut tokens = Vec::new();
    for _ in 0..5 {
        let code = consent(&sim, "").await;
        tokens.push(text(
            &exchange(&sim, &code, None).await.json(),
            "refresh_token",
        ));
    }
    for token in &tokens {
        assert_eq!(
            refresh(&sim, token).await.status,
            200,
            "refreshes use up no approval"
        );
    }
    let code = consent(&sim, "").await;
    exchange(&sim, &code, None).await;
    assert_eq!(refresh(&sim, &tokens[0]).await.status, 400);
    assert_eq!(refresh(&sim, &tokens[1]).await.status, 200);
}

#[tokio::test]
async fn credentials_that_are_wrong_are_told_as_objects() {
    let sim = org(&[]).await;
    let config = sim.config();
    for (fields, error) in [
        (vec![("grant_type", "magic")], "unsupported_grant_type"),
        (vec![], "invalid_request"),
        (
            vec![("grant_type", "client_credentials"), ("client_id", "x")],
            "invalid_client_id",
        ),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", &config.client_id),
                ("client_secret", "x"),
            ],
            "invalid_client",
        ),
    ] {
        let answer = form(&sim, TOKEN, &fields).await;
        assert_eq!(
            (answer.status, text(&answer.json(), "error").as_str()),
            (400, error)
        );
    }
    let basic = format!(
        "Basic {}",
        BASE64.encode(format!("{}:{}", config.client_id, config.client_secret).as_bytes())
    );
    let headers = [("authorization", basic.as_str())];
    let answer = send(
        sim.base_url(),
        Method::POST,
        TOKEN,
        &headers,
        b"grant_type=client_credentials".to_vec(),
    )
    .await;
    assert!(works(&sim, &text(&answer.json(), "access_token")).await);
    let none = send(
        sim.base_url(),
        Method::GET,
        &format!("{DATA}/limits"),
        &[],
        Vec::new(),
    )
    .await;
    assert_eq!(
        (none.status, text(&none.json()[0], "errorCode").as_str()),
        (401, "INVALID_AUTH_HEADER")
    );
}

#[tokio::test]
async fn revocation_ends_a_session_or_a_whole_authorisation() {
    let sim = org(&[]).await;
    let pair = sim.issue_tokens();
    let session = text(
        &refresh(&sim, &pair.refresh_token).await.json(),
        "access_token",
    );
    let revoke = |token: String| {
        let sim = &sim;
        async move {
            form(sim, "/services/oauth2/revoke", &[("token", &token)])
                .await
                .status
        }
    };
    assert_eq!(revoke(session.clone()).await, 200);
    assert!(!works(&sim, &session).await);
    assert!(works(&sim, &pair.access_token).await);
    assert_eq!(revoke(pair.refresh_token.clone()).await, 200);
    assert!(!works(&sim, &pair.access_token).await);
    assert_eq!(revoke(pair.refresh_token).await, 400);
    sim.uninstall_app();
    assert_eq!(
        get(&sim, "/limits").await.status,
        200,
        "a new authorisation works"
    );
}
