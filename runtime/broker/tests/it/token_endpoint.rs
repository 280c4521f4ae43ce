//! How often a token endpoint is asked, whatever it does: every figure is from its log.

use crate::fixture::{Fixture, call, fault, fetch, signed};
use crate::grants::{key, stored};
use crate::server::{Seen, Server, reply, with};
use futures_util::future::join_all;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_broker::{Connection, FetchFault};
use tidegate_domain::id::ConnectionId;
use tidegate_domain::manifest::AuthKind;
use tidegate_store::grants::GrantState;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

const PAIR: &str = r#"{"access_token":"a","refresh_token":"r","expires_in":0}"#;

fn refreshes(server: &Server) -> Vec<Instant> {
    let seen = server.seen();
    let asked = seen.iter().filter(|one| one.path == "/token");
    let refreshes = asked.filter(|one| one.form()["grant_type"] == "refresh_token");
    refreshes.map(|one| one.at).collect()
}

/// Gives a first pair to everyone; what it does after that is up to the test.
async fn endpoint<A>(refresh: impl Fn(Seen) -> A + Send + Sync + 'static) -> Server
where
    A: Future<Output = Result<crate::server::Reply, io::Error>> + Send + 'static,
{
    let refresh = Arc::new(refresh);
    Server::start(move |seen| {
        let refresh = Arc::clone(&refresh);
        async move {
            match seen.path.as_str() {
                "/token" if seen.form()["grant_type"] == "refresh_token" => refresh(seen).await,
                "/token" => Ok(reply(200, PAIR)),
                _ => Ok(reply(200, "{}")),
            }
        }
    })
    .await
}

async fn connections(fixture: &Fixture, count: usize) -> Vec<Connection> {
    let mut connections = Vec::new();
    for number in 0..count {
        let mut connection = fixture.connection();
        connection.id = ConnectionId::parse(format!("crm-{number}")).unwrap();
        let session = fixture.broker.session(connection.clone());
        fixture.authorise(&session).await;
        connections.push(connection);
    }
    connections
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_spared_whatever_the_demand() {
    let server = endpoint(|_| async { Ok(reply(503, "")) }).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let connections = connections(&fixture, 8).await;
    let begun = Instant::now();
    let mut wanted = 0;
    while begun.elapsed() < Duration::from_millis(1_900) {
        let asking = connections.iter().map(|connection| async {
            let session = fixture.broker.session(connection.clone());
            fault(&session, signed("/v1/x", "oauth")).await
        });
        for refusal in join_all(asking).await {
            assert!(matches!(refusal, FetchFault::Connect(_)), "{refusal:?}");
            wanted += 1;
        }
    }
    // Rests of 0.5, 1 and 2 seconds; who was on the way when the first began counts too.
    let asked = refreshes(&server).len();
    assert!(wanted > 80 && asked <= 8 + 8 + 8, "{asked} for {wanted}");
    for connection in &connections {
        let key = tidegate_store::grants::GrantKey {
            connection: connection.id.clone(),
            ..key()
        };
        let grant = fixture.grants.grant(&key).await.unwrap().unwrap();
        assert_eq!((grant.version, grant.state), (1, GrantState::Active));
    }
}

#[tokio::test]
async fn no_refresh_is_sent_before_the_retry_after_of_the_token_endpoint() {
    let busy = Arc::new(AtomicBool::new(true));
    let is_busy = Arc::clone(&busy);
    let server = endpoint(move |_| {
        let answer = match is_busy.swap(false, Ordering::SeqCst) {
            true => with(reply(429, "{}"), "retry-after", "2"),
            false => reply(
                200,
                r#"{"access_token":"b","refresh_token":"s","expires_in":3600}"#,
            ),
        };
        async { Ok(answer) }
    })
    .await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let session = fixture.session();
    fixture.authorise(&session).await;
    while fetch(&session, signed("/v1/x", "oauth")).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
    let asked = refreshes(&server);
    assert_eq!(asked.len(), 2);
    assert!(asked[1] - asked[0] >= Duration::from_secs(2));
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
}

/// Twice as long as any patience, at every tenant at once: nobody has to authorise again.
#[tokio::test]
async fn an_endpoint_that_hangs_ends_no_grant_and_the_first_answer_mends_all() {
    let hangs = Arc::new(AtomicBool::new(true));
    let is_hanging = Arc::clone(&hangs);
    let server = endpoint(move |_| {
        let hangs = is_hanging.load(Ordering::SeqCst);
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(reply(
                200,
                r#"{"access_token":"b","refresh_token":"s","expires_in":3600}"#,
            ))
        }
    })
    .await;
    let fixture = Fixture::with(&server, |config, _| {
        config.retries_max = 0;
        config.token_timeout_ms = 100;
    });
    let connections = connections(&fixture, 4).await;
    for _ in 0..3 {
        let asking = connections.iter().map(|connection| async {
            let session = fixture.broker.session(connection.clone());
            fault(&session, signed("/v1/x", "oauth")).await
        });
        for refusal in join_all(asking).await {
            assert!(matches!(refusal, FetchFault::Connect(_)), "{refusal:?}");
        }
        sleep(Duration::from_millis(400)).await;
    }
    hangs.store(false, Ordering::SeqCst);
    for connection in &connections {
        let session = fixture.broker.session(connection.clone());
        assert!(session.has_grant("oauth").await.unwrap());
        while fetch(&session, signed("/v1/x", "oauth")).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// As a process that was stopped for longer than its right to refresh holds.
#[tokio::test]
async fn a_holder_whose_right_ran_out_overwrites_nobodys_pair() {
    let (held, issued) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (release, count) = (Arc::clone(&held), Arc::clone(&issued));
    let server = endpoint(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let release = Arc::clone(&release);
        async move {
            if number == 1 {
                release.notified().await;
            }
            let pair = serde_json::json!({
                "access_token": format!("access-{number}"), "refresh_token": "r", "expires_in": 3600,
            });
            Ok(reply(200, pair.to_string()))
        }
    })
    .await;
    let fixture = Fixture::new(&server);
    fixture.authorise(&fixture.session()).await;
    let stopped = fixture.session();
    let other = async {
        while refreshes(&server).is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
        let database = fixture.dir.path().join("state/tidegate.db");
        let behind = rusqlite::Connection::open(database).unwrap();
        behind
            .execute("UPDATE grants SET refresh_expires_ms = 0", [])
            .unwrap();
        let other = fixture.second_broker().session(fixture.connection());
        fetch(&other, signed("/v1/other", "oauth")).await.unwrap();
        held.notify_one();
    };
    let (late, ()) = tokio::join!(fetch(&stopped, signed("/v1/late", "oauth")), other);
    late.unwrap();
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
    let third = fixture.second_broker().session(fixture.connection());
    fetch(&third, signed("/v1/third", "oauth")).await.unwrap();
    let seen = server.seen();
    for path in ["/v1/other", "/v1/late", "/v1/third"] {
        let one = seen.iter().find(|one| one.path == path).unwrap();
        assert_eq!(
            one.header("authorization"),
            Some("Bearer access-2"),
            "{path}"
        );
    }
}

/// The account that an answer named is known although its token has expired and the
/// endpoint is down: its limits stay shared.
#[tokio::test]
async fn limits_of_an_account_stay_shared_while_the_token_endpoint_is_down() {
    let server = Server::start(|seen| async move {
        match seen.path.as_str() {
            "/token" if seen.form()["grant_type"] == "refresh_token" => Ok(reply(503, "")),
            "/token" => Ok(reply(
                200,
                r#"{"access_token":"a","refresh_token":"r","expires_in":0,"portal":"p-1"}"#,
            )),
            _ => Ok(reply(200, "{}")),
        }
    })
    .await;
    let fixture = Fixture::with(&server, |config, manifest| {
        config.patience_ms = 0;
        config.retries_max = 0;
        manifest.limits = vec![crate::fixture::rolling(4, 3_600_000)];
        for method in &mut manifest.auth {
            if let AuthKind::Oauth2Code(code) = &mut method.kind {
                code.keep.push(("account".to_owned(), "/portal".to_owned()));
            }
        }
    });
    let connections = connections(&fixture, 3).await;
    // Another process, which has no token in memory.
    let broker = fixture.second_broker();
    let mut served = 0;
    for connection in connections.iter().cycle().take(12) {
        let session = broker.session(connection.clone());
        // One that is signed otherwise: it needs no fresh token.
        served += usize::from(fetch(&session, signed("/v1/x", "header_key")).await.is_ok());
    }
    assert_eq!(served, 4);
    let sent = server
        .seen()
        .iter()
        .filter(|one| one.path == "/v1/x")
        .count();
    assert_eq!(sent, 4, "by the provider's own count");
    let call = call();
    let session = broker.session(connections[0].clone());
    assert!(
        session
            .fetch(signed("/v1/x", "oauth"), &call)
            .await
            .is_err()
    );
}
