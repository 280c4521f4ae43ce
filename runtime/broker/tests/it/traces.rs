//! What is traced: the rule of every refusal, and never a secret.

use crate::fixture::{Fixture, absolute, at, fetch, get, signed, with_header};
use crate::server::{Seen, Server, reply};
use crate::tls::secure_server_with;
use crate::traced::Traced;
use tidegate_broker::{Origin, Request};

#[tokio::test]
async fn every_refusal_is_counted_under_the_name_of_its_rule() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let own_key = Request {
        auth: Some("query_key".to_owned()),
        ..get("/v1/x?api_key=mine")
    };
    for (refused, rule) in [
        (at("unknown"), "endpoint"),
        (get("/v2/x"), "path"),
        (absolute("https://evil.test/x"), "host"),
        (absolute("https://user@api.crm.test/v1/x"), "user"),
        (with_header("cookie"), "header"),
        (with_header("a b"), "malformed"),
        (own_key, "credential"),
        (at("loopback"), "address"),
    ] {
        let (traced, _listening) = Traced::listen();
        assert!(fetch(&session, refused).await.is_err());
        let text = traced.text();
        let counted = format!("egress.denied=1 egress.denied.reason=\"{rule}\"");
        assert!(text.contains(&counted), "{rule}: {text}");
    }
    assert_eq!(server.count(), 0);
}

/// Rotates, refuses, breaks and echoes; all that it gives out is a canary.
async fn provider(secure: bool) -> Server {
    let script = |seen: Seen| async move {
        let index = seen.index;
        if seen.path == "/token" {
            return match index % 5 {
                3 => Ok(reply(400, r#"{"error":"invalid_grant","x":"CANARY-echo"}"#)),
                4 => Ok(reply(200, "CANARY-<html>")),
                _ => Ok(reply(
                    200,
                    r#"{"access_token":"CANARY-access","refresh_token":"CANARY-refresh","expires_in":0}"#,
                )),
            };
        }
        match index % 4 {
            0 => Ok(reply(401, "CANARY-body")),
            1 => Err(std::io::Error::other("gone")),
            _ => Ok(reply(200, r#"{"email":"CANARY-record"}"#)),
        }
    };
    match secure {
        true => secure_server_with("localhost", &[b"h2"], script).await,
        false => Server::start(script).await,
    }
}

#[tokio::test]
async fn no_secret_and_no_body_is_traced_at_any_level_over_http_1_and_2() {
    for secure in [false, true] {
        let (traced, _listening) = Traced::listen();
        let server = provider(secure).await;
        let fixture = Fixture::with(&server, |config, _| {
            config.extra_authorities = Some(crate::tls::file("authority.pem"));
            config.retries_max = 1;
            config.refusal_confirmed_after_ms = 0;
            config.salvage_dir = Some(config.spool_dir.join("salvage"));
        });
        let session = fixture.session();
        let mut answered = 0;
        for _ in 0..3 {
            let begun = session
                .authorize_url("oauth", "http://localhost/back", false)
                .await;
            let pending = begun.unwrap();
            let state = pending.state.clone();
            let completed = session.complete_authorization(pending, "CANARY-code", &state);
            let _refused_or_not = completed.await.is_ok();
            for method in ["header_key", "query_key", "basic", "oauth", "client", "jwt"] {
                let answer = fetch(&session, signed("/v1/x?id=CANARY-id", method)).await;
                answered += usize::from(answer.is_ok());
            }
        }
        assert!(answered > 0 && server.count() > 10);
        let dead = Fixture::with(&server, |config, _| {
            for mapping in &mut config.mappings {
                mapping.to = Origin::parse("http://127.0.0.1:1").unwrap();
            }
            config.retries_max = 0;
        });
        for method in ["query_key", "oauth", "client"] {
            assert!(
                fetch(&dead.session(), signed("/v1/x", method))
                    .await
                    .is_err()
            );
        }
        let refusing = Server::start(|_| async {
            Ok(reply(
                401,
                r#"{"error":"invalid_client","x":"CANARY-echo"}"#,
            ))
        })
        .await;
        let refused = Fixture::with(&refusing, |config, _| config.retries_max = 0);
        let refusal = fetch(&refused.session(), signed("/v1/x", "client")).await;
        assert!(refusal.is_err());
        let text = traced.text();
        assert!(text.contains("refuses the application"), "that is traced");
        assert!(text.contains("http.client.request"), "something is traced");
        // What libraries trace below `info` never leaves: the service turns it off.
        let shown: Vec<_> = text
            .lines()
            .filter(|line| line.contains("CANARY") && !line.starts_with("h2::"))
            .collect();
        assert!(shown.is_empty(), "{shown:#?}");
    }
}
