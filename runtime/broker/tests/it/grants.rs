//! Grants against a token endpoint that rotates strictly.

use crate::faulty::Faulty;
use crate::fixture::{CLIENT_ID, CLIENT_SECRET, Fixture, call, fault, fetch, get, signed};
use crate::server::{Reply, Seen, Server, reply};
use futures_util::future::join_all;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_broker::{Error, FetchFault, Request, Target};
use tidegate_domain::Fault;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_store::SqliteStore;
use tidegate_store::grants::{GrantKey, GrantState};
use tokio::time::sleep;

/// An authorisation server and an API in one. Only the newest refresh token and the
/// newest access token are taken.
#[derive(Default)]
pub(crate) struct Provider {
    issued: AtomicUsize,
    token_requests: AtomicUsize,
    pub(crate) life_s: AtomicU64,
    /// Rotate, and then break the connection, so many times.
    answers_to_lose: AtomicUsize,
    /// Refuse with this error.
    error: Mutex<Option<&'static str>>,
    omit_refresh: AtomicBool,
    slow: AtomicBool,
}

impl Provider {
    async fn serve(self: Arc<Self>, seen: Seen) -> Result<Reply, io::Error> {
        if seen.path != "/token" {
            let token = format!("Bearer access-{}", self.issued.load(Ordering::SeqCst));
            let known = seen.header("authorization") == Some(token.as_str());
            return Ok(reply(if known { 200 } else { 401 }, "{}"));
        }
        self.token_requests.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = *self.error.lock().unwrap() {
            let echo = format!(r#"{{"error":"{error}","token":"CANARY-echoed"}}"#);
            return Ok(reply(400, echo));
        }
        if self.slow.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(200)).await;
        }
        let form = seen.form();
        let newest = format!("refresh-{}", self.issued.load(Ordering::SeqCst));
        let refreshing = form["grant_type"] == "refresh_token";
        if refreshing && form["refresh_token"] != newest {
            return Ok(reply(400, r#"{"error":"invalid_grant"}"#));
        }
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let lose = |left: usize| left.checked_sub(1);
        let lost = self
            .answers_to_lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose);
        if lost.is_ok() {
            return Err(io::Error::other("the answer is lost"));
        }
        let mut answer = serde_json::json!({
            "access_token": format!("access-{number}"),
            "token_type": "bearer",
            "expires_in": self.life_s.load(Ordering::SeqCst),
            "instance_url": "https://api.crm.test",
        });
        if !self.omit_refresh.load(Ordering::SeqCst) {
            answer["refresh_token"] = format!("refresh-{number}").into();
        }
        Ok(reply(200, answer.to_string()))
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.token_requests.load(Ordering::SeqCst)
    }
}

pub(crate) async fn provider(life_s: u64) -> (Arc<Provider>, Server) {
    let provider = Arc::new(Provider {
        life_s: AtomicU64::new(life_s),
        ..Provider::default()
    });
    let serving = Arc::clone(&provider);
    let server = Server::start(move |seen| Arc::clone(&serving).serve(seen)).await;
    (provider, server)
}

pub(crate) fn key() -> GrantKey {
    GrantKey {
        tenant: TenantId::parse("acme").unwrap(),
        connection: ConnectionId::parse("crm-1").unwrap(),
        method: "oauth".to_owned(),
    }
}

pub(crate) async fn stored(fixture: &Fixture) -> (u64, GrantState) {
    let grant = fixture.grants.grant(&key()).await.unwrap().unwrap();
    (grant.version, grant.state)
}

fn token_forms(server: &Server) -> Vec<std::collections::BTreeMap<String, String>> {
    let seen = server.seen();
    let tokens = seen.iter().filter(|seen| seen.path == "/token");
    tokens.map(Seen::form).collect()
}

#[tokio::test]
async fn an_authorisation_uses_pkce_and_leaves_a_grant() {
    let (_, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    assert!(!session.has_grant("oauth").await.unwrap());
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Auth(_)), "{refusal:?}");

    let pending = session
        .authorize_url("oauth", "http://localhost/back", false)
        .await
        .unwrap();
    let url = url::Url::parse(&pending.url).unwrap();
    assert!(
        pending
            .url
            .starts_with(&format!("{}/authorize?", server.origin))
    );
    let query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["scope"], "read offline");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["state"], pending.state);
    assert_eq!(query["client_id"], CLIENT_ID);

    let state = pending.state.clone();
    session
        .complete_authorization(pending, "code-1", &state)
        .await
        .unwrap();
    assert!(session.has_grant("oauth").await.unwrap());
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    let form = &token_forms(&server)[0];
    assert_eq!(form["code"], "code-1");
    assert_eq!(form["client_secret"], CLIENT_SECRET);
    assert_eq!(form["redirect_uri"], "http://localhost/back");
    assert_eq!(
        pkce_challenge(&form["code_verifier"]),
        query["code_challenge"]
    );

    // Another process finds it.
    let later = fixture.second_broker().session(fixture.connection());
    assert!(fetch(&later, signed("/v1/x", "oauth")).await.is_ok());
    assert_eq!(token_forms(&server).len(), 1);
}

fn pkce_challenge(verifier: &str) -> String {
    use sha2::Digest;
    data_encoding::BASE64URL_NOPAD.encode(&sha2::Sha256::digest(verifier.as_bytes()))
}

#[tokio::test]
async fn a_foreign_state_is_refused_before_the_code_is_used() {
    let (provider, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let pending = session
        .authorize_url("oauth", "http://localhost/back", false)
        .await
        .unwrap();
    assert!(
        session
            .complete_authorization(pending, "code-1", "other")
            .await
            .is_err()
    );
    assert_eq!(provider.token_requests(), 0);
}

#[tokio::test]
async fn thirty_two_calls_that_find_a_token_expired_refresh_it_once() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    provider.life_s.store(3600, Ordering::SeqCst);
    provider.slow.store(true, Ordering::SeqCst);
    let sibling = fixture.session();
    let calls = (0..32).map(|at| {
        let session = if at % 2 == 0 { &session } else { &sibling };
        fetch(session, signed("/v1/x", "oauth"))
    });
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(provider.token_requests(), 2, "the code and one refresh");
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
    assert_eq!(session.usage().refreshes + sibling.usage().refreshes, 1);
}

#[tokio::test]
async fn sixty_four_tasks_over_two_brokers_that_find_a_token_expired_refresh_it_once() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    provider.life_s.store(3600, Ordering::SeqCst);
    provider.slow.store(true, Ordering::SeqCst);
    let other = fixture.second_broker().session(fixture.connection());
    let calls = (0..64).map(|at| {
        let session = if at % 2 == 0 { &session } else { &other };
        fetch(session, signed("/v1/x", "oauth"))
    });
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(provider.token_requests(), 2, "the code and one refresh");
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
}

#[tokio::test]
async fn an_answer_401_renews_the_token_for_everyone_once() {
    // The API refuses the first token; the token endpoint is as ever.
    let (provider, tokens) = provider(3600).await;
    let serving = Arc::clone(&provider);
    let server = Server::start(move |seen| {
        let serving = Arc::clone(&serving);
        async move {
            if seen.path != "/token" && seen.header("authorization") == Some("Bearer access-1") {
                return Ok(reply(401, "{}"));
            }
            serving.serve(seen).await
        }
    })
    .await;
    drop(tokens);
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    let answers = join_all((0..8).map(|_| fetch(&session, signed("/v1/x", "oauth")))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(provider.token_requests(), 2);
}

#[tokio::test]
async fn a_token_that_stays_refused_ends_as_auth_after_one_renewal() {
    let (provider, _idle) = provider(3600).await;
    let serving = Arc::clone(&provider);
    let server = Server::start(move |seen| {
        let serving = Arc::clone(&serving);
        async move {
            if seen.path == "/token" {
                return serving.serve(seen).await;
            }
            Ok(reply(401, "{}"))
        }
    })
    .await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Auth(_)), "{refusal:?}");
    assert_eq!(provider.token_requests(), 2);
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    provider.omit_refresh.store(true, Ordering::SeqCst);
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    provider.issued.store(1, Ordering::SeqCst);
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    let forms = token_forms(&server);
    assert_eq!(forms[1]["refresh_token"], "refresh-1");
    assert_eq!(forms[2]["refresh_token"], "refresh-1");
}

#[tokio::test]
async fn an_ended_authorisation_is_confirmed_noted_and_not_asked_for_again() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::with(&server, |config, _| {
        config.retries_max = 0;
        config.refusal_confirmed_after_ms = 0;
    });
    let session = fixture.session();
    fixture.authorise(&session).await;
    *provider.error.lock().unwrap() = Some("invalid_grant");
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Connect(_)), "{refusal:?}");
    assert_eq!(stored(&fixture).await, (1, GrantState::Refused));
    assert!(session.has_grant("oauth").await.unwrap());
    for _ in 0..3 {
        let refusal = fault(&session, signed("/v1/x", "oauth")).await;
        assert!(matches!(refusal, FetchFault::Auth(_)), "{refusal:?}");
    }
    assert_eq!(provider.token_requests(), 3);
    assert_eq!(stored(&fixture).await, (1, GrantState::NeedsReauth));
    assert!(!session.has_grant("oauth").await.unwrap());

    *provider.error.lock().unwrap() = None;
    provider.life_s.store(3600, Ordering::SeqCst);
    fixture.authorise(&session).await;
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
}

#[tokio::test]
async fn a_refusal_by_mistake_ends_nothing_and_is_not_asked_about_again_at_once() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let session = fixture.session();
    fixture.authorise(&session).await;
    *provider.error.lock().unwrap() = Some("invalid_grant");
    for _ in 0..5 {
        let refusal = fault(&session, signed("/v1/x", "oauth")).await;
        assert!(matches!(refusal, FetchFault::Connect(_)), "{refusal:?}");
    }
    assert_eq!(provider.token_requests(), 2);

    *provider.error.lock().unwrap() = None;
    let later = Fixture::with(&server, |config, _| config.refusal_confirmed_after_ms = 0);
    let confirming = tidegate_broker::Broker::new(
        later.config.clone(),
        Arc::clone(&fixture.grants),
        fixture.limits(),
        Arc::clone(&fixture.keyring),
    );
    let session = confirming.unwrap().session(fixture.connection());
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
}

#[tokio::test]
async fn a_loser_of_a_race_changes_nothing_and_uses_the_winners_token() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::new(&server);
    let loser = fixture.session();
    fixture.authorise(&loser).await;
    // While the loser's refresh is under way, a person authorises anew elsewhere.
    provider.slow.store(true, Ordering::SeqCst);
    let winner = fixture.second_broker().session(fixture.connection());
    let racing = async {
        while provider.token_requests() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        provider.life_s.store(3600, Ordering::SeqCst);
        provider.slow.store(false, Ordering::SeqCst);
        fixture.authorise(&winner).await;
    };
    let (answer, ()) = tokio::join!(fetch(&loser, signed("/v1/x", "oauth")), racing);
    assert!(answer.is_ok(), "{:?}", answer.err());
    assert_eq!(stored(&fixture).await.1, GrantState::Active);
    assert!(fetch(&winner, signed("/v1/x", "oauth")).await.is_ok());
}

#[tokio::test]
async fn a_wrong_client_secret_for_ten_minutes_changes_no_grant() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let connections: Vec<_> = (0..8)
        .map(|number| {
            let mut connection = fixture.connection();
            connection.id = ConnectionId::parse(format!("crm-{number}")).unwrap();
            connection
        })
        .collect();
    let row = async |connection: &tidegate_broker::Connection| {
        let key = GrantKey {
            connection: connection.id.clone(),
            ..key()
        };
        fixture.grants.grant(&key).await.unwrap().unwrap()
    };
    let mut before = Vec::new();
    for connection in &connections {
        fixture
            .authorise(&fixture.broker.session(connection.clone()))
            .await;
        before.push(row(connection).await);
    }
    *provider.error.lock().unwrap() = Some("invalid_client");
    for _ in 0..20 {
        for connection in &connections {
            let session = fixture.broker.session(connection.clone());
            let refusal = fault(&session, signed("/v1/x", "oauth")).await;
            let FetchFault::Host(error @ Error::Application { .. }) = refusal else {
                panic!("{refusal:?}")
            };
            assert!(error.to_string().contains(CLIENT_ID), "{error}");
            assert_eq!(error.fault(), Fault::Config);
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(30)).await;
        tokio::time::resume();
    }
    for (connection, before) in connections.iter().zip(before) {
        assert_eq!(row(connection).await, before);
    }
    let asked = provider.token_requests() - connections.len();
    assert!(
        (9..=11).contains(&asked),
        "{asked} requests, one a minute for all grants"
    );
    *provider.error.lock().unwrap() = None;
    provider.issued.store(1, Ordering::SeqCst);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let session = fixture.broker.session(connections[0].clone());
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_once_more_and_then_needs_a_person() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    // Strict rotation: the pair in the lost answer was the only one.
    provider.answers_to_lose.store(1, Ordering::SeqCst);
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Auth(_)), "{refusal:?}");
    assert_eq!(provider.token_requests(), 3);
    assert_eq!(stored(&fixture).await, (1, GrantState::NeedsReauth));
}

#[tokio::test]
async fn a_lost_answer_within_the_providers_grace_costs_nothing() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    provider.life_s.store(3600, Ordering::SeqCst);
    provider.answers_to_lose.store(1, Ordering::SeqCst);
    let grace = async {
        while provider.token_requests() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        provider.issued.store(1, Ordering::SeqCst);
    };
    let (answer, ()) = tokio::join!(fetch(&session, signed("/v1/x", "oauth")), grace);
    assert!(answer.is_ok(), "{:?}", answer.err());
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
}

#[tokio::test]
async fn a_pair_that_the_store_did_not_take_is_kept_and_never_used_before_it_does() {
    let (provider, server) = provider(0).await;
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("state")).unwrap());
    let faulty = Arc::new(Faulty::new(Arc::clone(&store)));
    let fixture = Fixture::on(dir, Arc::clone(&faulty) as _, store, &server, |_, _| ());
    let session = fixture.session();
    fixture.authorise(&session).await;
    provider.life_s.store(3600, Ordering::SeqCst);

    faulty.finishes_to_fail.store(3, Ordering::SeqCst);
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Host(_)), "{refusal:?}");
    assert_eq!(stored(&fixture).await.0, 1);
    let used = |seen: &Seen| seen.header("authorization") == Some("Bearer access-2");
    assert!(
        !server.seen().iter().any(used),
        "used before it was durable"
    );

    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
    assert_eq!(provider.token_requests(), 2, "the answer was not lost");
}

#[tokio::test]
async fn a_refresh_outlives_the_call_that_set_it_off() {
    let (provider, server) = provider(0).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    provider.life_s.store(3600, Ordering::SeqCst);
    provider.slow.store(true, Ordering::SeqCst);
    let call = call();
    let cancel = async {
        while provider.token_requests() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        call.cancel.cancel();
    };
    let request = signed("/v1/x", "oauth");
    let (answer, ()) = tokio::join!(session.fetch(request, &call), cancel);
    assert!(matches!(answer, Err(FetchFault::Cancelled)));
    fixture.broker.close().await;
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
}

#[tokio::test]
async fn the_token_answers_host_is_an_endpoint_of_its_own() {
    let (_, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    let own = Request {
        target: Target::Endpoint {
            endpoint: "own".to_owned(),
            path: "/anything".to_owned(),
            query: Vec::new(),
        },
        ..signed("", "oauth")
    };
    let answer = fetch(&session, own).await.ok().unwrap();
    assert_eq!((answer.status, answer.endpoint.as_str()), (200, "own"));
}

#[tokio::test]
async fn client_credentials_are_asked_for_once_with_basic_authentication() {
    let (provider, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    for _ in 0..3 {
        assert!(fetch(&session, signed("/v1/x", "client")).await.is_ok());
    }
    assert_eq!(provider.token_requests(), 1);
    let form = &token_forms(&server)[0];
    assert_eq!(form["grant_type"], "client_credentials");
    assert!(!form.contains_key("client_secret"));
    let pair = format!("{CLIENT_ID}:{CLIENT_SECRET}");
    let basic = format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()));
    assert_eq!(
        server.seen()[0].header("authorization"),
        Some(basic.as_str())
    );
}

#[tokio::test]
async fn an_old_token_serves_while_the_token_endpoint_is_down() {
    let (provider, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    // Half a short life has passed, and the endpoint has trouble.
    provider.life_s.store(6, Ordering::SeqCst);
    fixture.authorise(&session).await;
    sleep(Duration::from_millis(3_010)).await;
    *provider.error.lock().unwrap() = Some("temporarily_unavailable");
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    assert_eq!(provider.token_requests(), 2);
    assert_eq!(stored(&fixture).await, (1, GrantState::Active));
}

#[tokio::test]
async fn requests_without_auth_carry_no_credential() {
    let (_, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    assert!(
        fetch(&session, get("/v1/x")).await.is_err(),
        "401 for a static credential"
    );
    assert_eq!(server.seen()[0].header("authorization"), None);
}
