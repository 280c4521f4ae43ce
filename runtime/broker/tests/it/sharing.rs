//! One grant for all connections that one person authorised: against a provider that
//! keeps five authorisations of a person, ends the oldest, and rotates.

use crate::faulty::Faulty;
use crate::fixture::{Fixture, fetch, rolling, signed};
use crate::server::{Reply, Seen, Server, reply};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tidegate_broker::{Connection, Error, FetchFault, Session};
use tidegate_domain::id::ConnectionId;
use tidegate_domain::manifest::{AuthKind, Manifest};
use tidegate_store::SqliteStore;
use tidegate_store::grants::{GrantKey, GrantState};

/// As many authorisations of a person for one application does Salesforce keep.
const KEPT: usize = 5;

/// By person: the refresh token of each authorisation, oldest first. A code names its
/// person.
#[derive(Default)]
struct Provider {
    living: Mutex<Vec<(String, VecDeque<String>)>>,
    log: Mutex<Vec<String>>,
}

impl Provider {
    async fn serve(self: Arc<Self>, seen: Seen) -> Result<Reply, io::Error> {
        if seen.path != "/token" {
            return Ok(reply(200, "{}"));
        }
        let form = seen.form();
        let mut log = self.log.lock().unwrap();
        let issued = format!("refresh-{}", log.len());
        let mut living = self.living.lock().unwrap();
        let person = if form["grant_type"] == "refresh_token" {
            let old = &form["refresh_token"];
            log.push(format!("refresh {old}"));
            let found = living.iter_mut().find_map(|(person, tokens)| {
                let token = tokens.iter_mut().find(|token| *token == old)?;
                *token = issued.clone();
                Some(person.clone())
            });
            match found {
                Some(person) => person,
                None => return Ok(reply(400, r#"{"error":"invalid_grant"}"#)),
            }
        } else {
            let person = form["code"].clone();
            log.push(format!("approve {person}"));
            if living.iter().all(|(known, _)| *known != person) {
                living.push((person.clone(), VecDeque::new()));
            }
            let tokens = living.iter_mut().find(|(known, _)| *known == person);
            let tokens = &mut tokens.unwrap().1;
            tokens.push_back(issued.clone());
            if tokens.len() > KEPT {
                tokens.pop_front();
            }
            person
        };
        let answer = serde_json::json!({
            "access_token": format!("access-{issued}"), "refresh_token": issued, "expires_in": 0,
            "instance_url": "https://api.crm.test", "id": format!("https://login.crm.test/id/org/{person}"),
        });
        Ok(reply(200, answer.to_string()))
    }

    fn count(&self, prefix: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.starts_with(prefix)).count()
    }
}

async fn world() -> (Arc<Provider>, Server, Fixture) {
    let provider = Arc::new(Provider::default());
    let serving = Arc::clone(&provider);
    let server = Server::start(move |seen| Arc::clone(&serving).serve(seen)).await;
    let fixture = Fixture::with(&server, |_, manifest| keep_identity(manifest));
    (provider, server, fixture)
}

fn keep_identity(manifest: &mut Manifest) {
    for method in &mut manifest.auth {
        if let AuthKind::Oauth2Code(code) = &mut method.kind {
            code.keep.push(("identity".to_owned(), "/id".to_owned()));
        }
    }
}

fn connection(fixture: &Fixture, name: &str) -> Connection {
    Connection {
        id: ConnectionId::parse(name).unwrap(),
        ..fixture.connection()
    }
}

fn key(name: &str) -> GrantKey {
    GrantKey {
        connection: ConnectionId::parse(name).unwrap(),
        ..crate::grants::key()
    }
}

async fn approve(session: &Session, person: &str, is_confirmed: bool) -> Result<(), Error> {
    let pending = session
        .authorize_url("oauth", "http://localhost/back", is_confirmed)
        .await?;
    let state = pending.state.clone();
    session
        .complete_authorization(pending, person, &state)
        .await
}

#[tokio::test]
async fn six_connections_of_one_person_live_on_where_five_authorisations_do() {
    let (provider, _server, fixture) = world().await;
    let names: Vec<String> = (0..6).map(|number| format!("crm-{number}")).collect();
    for name in &names {
        let session = fixture.broker.session(connection(&fixture, name));
        approve(&session, "ada", false).await.unwrap();
    }
    // The first of six is ended at the provider; nobody uses it any more.
    for name in names.iter().chain(&names) {
        let session = fixture.broker.session(connection(&fixture, name));
        fetch(&session, signed("/v1/x", "oauth")).await.unwrap();
    }
    let other = fixture.second_broker();
    let session = other.session(connection(&fixture, "crm-0"));
    fetch(&session, signed("/v1/x", "oauth")).await.unwrap();
    assert_eq!(provider.count("approve ada"), 6);
    let grant = fixture.grants.grant(&key("crm-0")).await.unwrap().unwrap();
    assert_eq!(grant.approvals, 6);
    let another = fixture.grants.grant(&key("crm-5")).await.unwrap().unwrap();
    assert_eq!(grant, another, "one row");

    // The others go on when one ends.
    let first = fixture.broker.session(connection(&fixture, "crm-0"));
    assert!(first.revoke("oauth").await.unwrap());
    let refused = fetch(&first, signed("/v1/x", "oauth")).await;
    assert!(matches!(refused, Err(FetchFault::Auth(_))));
    let session = fixture.broker.session(connection(&fixture, "crm-1"));
    fetch(&session, signed("/v1/x", "oauth")).await.unwrap();
}

#[tokio::test]
async fn a_pair_that_one_connection_salvaged_is_found_by_another_one_of_the_person() {
    let provider = Arc::new(Provider::default());
    let serving = Arc::clone(&provider);
    let server = Server::start(move |seen| Arc::clone(&serving).serve(seen)).await;
    let dir = tempfile::tempdir().unwrap();
    let salvage_dir = dir.path().join("salvage");
    let store = Arc::new(SqliteStore::open(&dir.path().join("state")).unwrap());
    let faulty = Arc::new(Faulty::new(Arc::clone(&store)));
    let grants = Arc::clone(&faulty) as _;
    let fixture = Fixture::on(dir, grants, store, &server, |config, manifest| {
        config.salvage_dir = Some(salvage_dir.clone());
        keep_identity(manifest);
    });
    let names = ["crm-0", "crm-1"];
    for name in names {
        let session = fixture.broker.session(connection(&fixture, name));
        approve(&session, "ada", false).await.unwrap();
    }
    // The process of the first dies with a rotated pair that the store did not take.
    faulty.finishes_to_fail.store(u32::MAX, Ordering::SeqCst);
    let dying = fixture.broker.session(connection(&fixture, "crm-0"));
    assert!(fetch(&dying, signed("/v1/x", "oauth")).await.is_err());
    faulty.finishes_to_fail.store(0, Ordering::SeqCst);
    let restarted = fixture.second_broker();
    for name in ["crm-1", "crm-0"] {
        let session = restarted.session(connection(&fixture, name));
        fetch(&session, signed("/v1/x", "oauth")).await.unwrap();
    }
    let grant = fixture.grants.grant(&key("crm-1")).await.unwrap().unwrap();
    assert_eq!(grant.state, GrantState::Active);
    assert_eq!(std::fs::read_dir(&salvage_dir).unwrap().count(), 0);

    // One that leaves takes nothing with it that the other one needs.
    faulty.finishes_to_fail.store(u32::MAX, Ordering::SeqCst);
    let dying = fixture.second_broker();
    let dying = dying.session(connection(&fixture, "crm-0"));
    assert!(fetch(&dying, signed("/v1/x", "oauth")).await.is_err());
    faulty.finishes_to_fail.store(0, Ordering::SeqCst);
    let restarted = fixture.second_broker();
    let leaving = restarted.session(connection(&fixture, "crm-0"));
    assert!(leaving.revoke("oauth").await.unwrap());
    let staying = restarted.session(connection(&fixture, "crm-1"));
    fetch(&staying, signed("/v1/x", "oauth")).await.unwrap();
}

#[tokio::test]
async fn a_fifth_approval_of_one_person_must_be_confirmed() {
    let (provider, _server, fixture) = world().await;
    let session = fixture.session();
    for _ in 0..4 {
        approve(&session, "ada", false).await.unwrap();
    }
    let refused = approve(&session, "ada", false).await;
    assert!(
        matches!(refused, Err(Error::Approvals { approvals: 4, .. })),
        "{refused:?}"
    );
    assert_eq!(provider.count("approve"), 4, "nothing was sent");
    approve(&session, "ada", true).await.unwrap();
    assert_eq!(provider.count("approve"), 5);
}

#[tokio::test]
async fn what_another_person_authorises_is_another_grant() {
    let (_, _server, fixture) = world().await;
    let (first, second) = (
        fixture.broker.session(connection(&fixture, "crm-0")),
        fixture.broker.session(connection(&fixture, "crm-1")),
    );
    approve(&first, "ada", false).await.unwrap();
    approve(&second, "ada", false).await.unwrap();
    // One of the two goes over to somebody else; the other one stays.
    approve(&second, "grace", false).await.unwrap();
    let grant = async |name| fixture.grants.grant(&key(name)).await.unwrap().unwrap();
    assert_ne!(grant("crm-0").await.holder, grant("crm-1").await.holder);
    for session in [&first, &second] {
        fetch(session, signed("/v1/x", "oauth")).await.unwrap();
    }
    // An application of its own is another grant, too.
    let mut third = connection(&fixture, "crm-2");
    if let Some(app) = &mut third.oauth_app {
        app.client_id = "another".to_owned();
    }
    let third = fixture.broker.session(third);
    approve(&third, "ada", false).await.unwrap();
    assert_ne!(grant("crm-0").await.holder, grant("crm-2").await.holder);
}

#[tokio::test]
async fn connections_share_the_limits_of_the_account_that_the_token_answer_names() {
    let provider = Arc::new(Provider::default());
    let serving = Arc::clone(&provider);
    let server = Server::start(move |seen| Arc::clone(&serving).serve(seen)).await;
    let fixture = Fixture::with(&server, |config, manifest| {
        config.patience_ms = 0;
        manifest.limits = vec![rolling(4, 3_600_000)];
        for method in &mut manifest.auth {
            if let AuthKind::Oauth2Code(code) = &mut method.kind {
                let account = ("account".to_owned(), "/instance_url".to_owned());
                code.keep.push(account);
            }
        }
    });
    let sessions =
        ["crm-0", "crm-1"].map(|name| fixture.broker.session(connection(&fixture, name)));
    for (session, person) in sessions.iter().zip(["ada", "grace"]) {
        approve(session, person, false).await.unwrap();
    }
    let mut answered = 0;
    for number in 0..10 {
        match fetch(&sessions[number % 2], signed("/v1/x", "oauth")).await {
            Ok(_) => answered += 1,
            Err(FetchFault::Throttled { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(answered, 4);
    let sent = server
        .seen()
        .iter()
        .filter(|one| one.path == "/v1/x")
        .count();
    assert_eq!(sent, 4, "by the provider's own count");
    let limits = fixture.broker.limits(&connection(&fixture, "crm-1")).await;
    assert_eq!(limits.unwrap()[0].used, 4);
}
