//! The authorisation code flow, refreshing, and what tokens are worth.

use crm_sim::hubspot::{Config, CrmSim};
use data_encoding::BASE64URL_NOPAD;
use hyper::Method;
use sha2::{Digest, Sha256};
use url::form_urlencoded::Serializer;

use super::client::{Answer, get_as, send, start, unlimited};

const REDIRECT: &str = "http://localhost:9/callback?keep=1";

async fn authorize(sim: &CrmSim, fields: &[(&str, &str)]) -> Answer {
    let query = Serializer::new(String::new()).extend_pairs(fields).finish();
    let target = format!("/oauth/authorize?{query}");
    send(sim.base_url(), Method::GET, &target, &[], Vec::new()).await
}

async fn token(sim: &CrmSim, version: &str, fields: &[(&str, &str)]) -> Answer {
    let config = sim.config();
    let body = Serializer::new(String::new())
        .append_pair("client_id", &config.client_id)
        .append_pair("client_secret", &config.client_secret)
        .extend_pairs(fields)
        .finish();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let target = format!("/oauth/{version}/token");
    send(
        sim.base_url(),
        Method::POST,
        &target,
        &headers,
        body.into_bytes(),
    )
    .await
}

/// Consents and returns the code.
async fn code(sim: &CrmSim, scope: &str, challenge: Option<&str>) -> String {
    let mut fields = vec![
        ("client_id", sim.config().client_id.as_str()),
        ("redirect_uri", REDIRECT),
        ("scope", scope),
        ("state", "a b"),
    ];
    if let Some(challenge) = challenge {
        fields.push(("code_challenge", challenge));
        fields.push(("code_challenge_method", "S256"));
    }
    let answer = authorize(sim, &fields).await;
    assert_eq!(answer.status, 302);
    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    let field = |name: &str| {
        location
            .query_pairs()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .into_owned()
    };
    assert_eq!(
        (field("state"), field("keep")),
        ("a b".to_owned(), "1".to_owned())
    );
    field("code")
}

fn exchange<'a>(code: &'a str, verifier: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
    ];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    fields
}

const CONTACTS: &str = "oauth crm.objects.contacts.read";

#[tokio::test]
async fn a_code_with_pkce_works_once_and_only_with_its_verifier() {
    let sim = unlimited(5).await;
    let verifier = "v".repeat(43);
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(&verifier));

    let stolen = code(&sim, CONTACTS, Some(&challenge)).await;
    for wrong in [None, Some("wrong")] {
        let refused = token(&sim, "v1", &exchange(&stolen, wrong)).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["status"], "BAD_AUTH_CODE");
    }

    let code = code(&sim, CONTACTS, Some(&challenge)).await;
    let granted = token(&sim, "2026-03", &exchange(&code, Some(&verifier))).await;
    assert_eq!(granted.status, 200);
    let granted = granted.json();
    assert_eq!(granted["token_type"], "bearer");
    assert_eq!(granted["expires_in"], 1800);
    assert_eq!(granted["hub_id"], sim.config().portal_id);
    let access = granted["access_token"].as_str().unwrap();
    assert_eq!(
        get_as(&sim, access, "/crm/v3/objects/contacts")
            .await
            .status,
        200
    );
    let deals = get_as(&sim, access, "/crm/v3/objects/deals").await;
    assert_eq!(deals.status, 403);
    assert_eq!(deals.json()["category"], "MISSING_SCOPES");

    let again = token(&sim, "v1", &exchange(&code, Some(&verifier))).await;
    assert_eq!(again.json()["status"], "BAD_AUTH_CODE");
    assert_eq!(sim.counters().codes_exchanged, 1);
}

#[tokio::test]
async fn consent_is_refused_for_strangers_and_for_plain_pkce() {
    let sim = start(Config {
        redirect_uris: vec![REDIRECT.to_owned()],
        require_pkce: true,
        ..Config::default()
    })
    .await;
    let client = sim.config().client_id.as_str();
    let stranger = [("client_id", "x"), ("redirect_uri", REDIRECT)];
    assert_eq!(authorize(&sim, &stranger).await.status, 400);
    let elsewhere = [
        ("client_id", client),
        ("redirect_uri", "http://evil.example/"),
    ];
    assert_eq!(authorize(&sim, &elsewhere).await.status, 400);
    let plain = [
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("state", "s"),
    ];
    let plain = authorize(&sim, &plain).await;
    assert_eq!(plain.status, 302);
    assert!(
        plain
            .header("location")
            .unwrap()
            .contains("error=invalid_request")
    );
}

#[tokio::test]
async fn refreshing_keeps_the_refresh_token_unless_it_rotates() {
    for rotation in [false, true] {
        let sim = start(Config {
            refresh_rotation: rotation,
            access_token_ttl_s: 60,
            ..Config::default()
        })
        .await;
        let first = sim.issue_tokens();
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", first.refresh_token.as_str()),
        ];
        let refreshed = token(&sim, "v3", &fields).await.json();
        assert_eq!(refreshed["expires_in"], 60);
        assert_ne!(refreshed["access_token"], first.access_token);
        assert_eq!(refreshed["refresh_token"] != first.refresh_token, rotation);
        let again = token(&sim, "v1", &fields).await;
        assert_eq!(again.status, if rotation { 400 } else { 200 });
        if rotation {
            let body = again.json();
            assert_eq!(body["status"], "BAD_REFRESH_TOKEN");
            assert_eq!(body["error"], "invalid_grant");
            assert_eq!(body["message"], "missing or invalid refresh token");
        }
        let counters = sim.counters();
        assert_eq!(counters.refreshes + counters.refreshes_refused, 2);
        assert_eq!(counters.refreshes_refused, u64::from(rotation));
    }
}

#[tokio::test]
async fn refused_grants_name_what_was_wrong() {
    let sim = unlimited(1).await;
    let refresh = sim.issue_tokens().refresh_token;
    for (fields, status) in [
        (vec![("grant_type", "password")], "BAD_GRANT_TYPE"),
        (
            vec![("grant_type", "refresh_token"), ("refresh_token", "x")],
            "BAD_REFRESH_TOKEN",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", &refresh),
                ("client_id", "x"),
            ],
            "BAD_CLIENT_ID",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", &refresh),
                ("client_secret", "x"),
            ],
            "BAD_CLIENT_SECRET",
        ),
    ] {
        let answer = token(&sim, "v1", &fields).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["status"], status);
    }
    let code = code(&sim, CONTACTS, None).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://localhost:9/other"),
    ];
    assert_eq!(
        token(&sim, "v1", &fields).await.json()["status"],
        "BAD_REDIRECT_URI"
    );
}

#[tokio::test]
async fn tokens_end_by_time_by_demand_and_by_uninstalling() {
    let sim = unlimited(5).await;
    sim.clock().fix(1_790_000_000_000);
    let target = "/crm/v3/objects/contacts";
    let pair = sim.issue_tokens();
    assert_eq!(get_as(&sim, &pair.access_token, target).await.status, 200);
    sim.clock().advance(1_800_000 + 5 * 60_000);
    let expired = get_as(&sim, &pair.access_token, target).await;
    assert_eq!(expired.status, 401);
    assert_eq!(expired.json()["category"], "EXPIRED_AUTHENTICATION");
    assert_eq!(
        expired.json()["message"],
        "The OAuth token used to make this call expired 5 minute(s) ago."
    );
    let pair = sim.issue_tokens();
    sim.expire_access_tokens();
    assert_eq!(
        get_as(&sim, &pair.access_token, target).await.json()["category"],
        "EXPIRED_AUTHENTICATION"
    );
    sim.uninstall_app();
    assert_eq!(
        get_as(&sim, &pair.access_token, target).await.json()["category"],
        "INVALID_AUTHENTICATION"
    );
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", pair.refresh_token.as_str()),
    ];
    assert_eq!(
        token(&sim, "v1", &fields).await.json()["status"],
        "BAD_REFRESH_TOKEN"
    );
}

#[tokio::test]
async fn missing_and_malformed_credentials_fail_in_their_own_ways() {
    let sim = unlimited(5).await;
    let target = "/crm/v3/objects/contacts";
    let none = send(sim.base_url(), Method::GET, target, &[], Vec::new()).await;
    assert_eq!(none.status, 401);
    assert_eq!(none.json()["category"], "INVALID_AUTHENTICATION");
    assert_eq!(get_as(&sim, "pat-na1-broken", target).await.status, 530);
    assert_eq!(sim.counters().unauthorized, 1);
}
