//! Planted secrets must not come out anywhere.

use crate::fixture::{Fixture, call, fault, fetch, get, signed};
use crate::server::{Server, reply};
use std::path::Path;
use tidegate_broker::{Origin, Request, Target};

const CANARY: &str = "CANARY";

fn shown(name: &str, text: &str) {
    assert!(!text.contains(CANARY), "{name} shows a secret: {text}");
}

fn texts(error: &(dyn std::error::Error + 'static)) -> String {
    let mut all = format!("{error:?}");
    let mut cause = Some(error);
    while let Some(at) = cause {
        all.push_str(&at.to_string());
        cause = at.source();
    }
    all
}

#[tokio::test]
async fn keys_are_placed_and_appear_in_no_error_of_a_dead_host() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    for method in ["header_key", "query_key", "basic"] {
        assert!(fetch(&session, signed("/v1/x", method)).await.is_ok());
    }
    let seen = server.seen();
    assert_eq!(seen[0].header("x-key"), Some("CANARY-static-key"));
    assert_eq!(seen[1].path, "/v1/x?api_key=CANARY-static-key");
    assert!(
        seen[2]
            .header("authorization")
            .unwrap()
            .starts_with("Basic ")
    );
    shown("session", &format!("{session:?} {:?}", fixture.broker));
    shown("connection", &format!("{:?}", fixture.connection()));

    let dead = Fixture::with(&server, |config, _| {
        for mapping in &mut config.mappings {
            mapping.to = Origin::parse("http://127.0.0.1:1").unwrap();
        }
        config.retries_max = 1;
    });
    for method in ["header_key", "query_key", "basic", "oauth", "client"] {
        let refusal = fault(&dead.session(), signed("/v1/x", method)).await;
        shown(method, &texts(&refusal));
    }
    let pending = dead
        .session()
        .authorize_url("oauth", "http://localhost/b", false)
        .await
        .unwrap();
    let state = pending.state.clone();
    shown("pending", &format!("{pending:?}"));
    let refusal = dead
        .session()
        .complete_authorization(pending, "CANARY-code", &state)
        .await;
    shown("authorisation", &texts(&refusal.unwrap_err()));
}

#[tokio::test]
async fn a_guest_cannot_place_the_key_itself() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let header = Request {
        headers: vec![("X-KEY".to_owned(), "mine".to_owned())],
        ..signed("/v1/x", "header_key")
    };
    let query = Request {
        target: Target::Endpoint {
            endpoint: "api".to_owned(),
            path: "/v1/x".to_owned(),
            query: vec![("api_key".to_owned(), "mine".to_owned())],
        },
        ..signed("", "query_key")
    };
    for request in [header, query] {
        assert!(session.fetch(request, &call()).await.is_err());
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn token_endpoints_that_echo_are_not_repeated() {
    for (status, body) in [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"CANARY"}"#,
        ),
        (400, r#"{"error":"CANARY"}"#),
        (401, r#"{"error":"invalid_client","x":"CANARY"}"#),
        (403, "<html>CANARY</html>"),
        (200, "<html>CANARY</html>"),
        (200, r#"{"access_token":"","x":"CANARY"}"#),
        (200, "{\"access_token\":\"CANARY\\r\\nx: y\"}"),
        (500, "CANARY"),
    ] {
        let server = Server::start(move |_| async move { Ok(reply(status, body)) }).await;
        let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
        let session = fixture.session();
        let pending = session
            .authorize_url("oauth", "http://localhost/b", false)
            .await
            .unwrap();
        let state = pending.state.clone();
        let refusal = session
            .complete_authorization(pending, "c", &state)
            .await
            .unwrap_err();
        shown(body, &texts(&refusal));
        let refusal = fault(&session, signed("/v1/x", "client")).await;
        shown(body, &texts(&refusal));
    }
}

#[tokio::test]
async fn no_file_holds_a_token_in_the_clear() {
    let answer = r#"{"access_token":"CANARY-access","refresh_token":"CANARY-refresh",
        "expires_in":3600,"instance_url":"https://CANARY.crm.test"}"#;
    let server = Server::start(move |_| async move { Ok(reply(200, answer)) }).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    assert!(fetch(&session, get("/v1/x")).await.is_ok());
    let mut files = 0;
    search(fixture.dir.path(), &mut files);
    assert!(files >= 2, "the database and the key");
}

fn search(dir: &Path, files: &mut u32) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, files);
            continue;
        }
        *files += 1;
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(CANARY.len())
            .any(|at| at == CANARY.as_bytes());
        assert!(!found, "{} holds a secret", path.display());
    }
}
