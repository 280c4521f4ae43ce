//! JWT bearer: what is signed, and that only the right key signs it.

use crate::fixture::{CLIENT_ID, CLIENT_SECRET, Fixture, LOGIN, fault, fetch, signed};
use crate::server::{Seen, Server, reply};
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::Value;
use tidegate_broker::{Connection, FetchFault};
use tidegate_store::clock::now_ms;

const KEY: &str = include_str!("tls/assertion.key");

fn public_key() -> Vec<u8> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    pair.public_key().as_ref().to_vec()
}

/// The claims of a statement that the key signed.
fn verified(assertion: &str) -> Option<Value> {
    let (text, signature) = assertion.rsplit_once('.')?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key())
        .verify(text.as_bytes(), &signature)
        .ok()?;
    let (head, claims) = text.split_once('.')?;
    let part = |part: &str| -> Option<Value> {
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).ok()?).ok()
    };
    (part(head)?["alg"] == "RS256").then(|| part(claims))?
}

async fn provider() -> Server {
    Server::start(|seen: Seen| async move {
        if seen.path != "/token" {
            let known = seen.header("authorization") == Some("Bearer access");
            return Ok(reply(if known { 200 } else { 401 }, "{}"));
        }
        let form = seen.form();
        let claims = verified(&form["assertion"]);
        let now_s = now_ms() / 1000;
        let is_right = claims.is_some_and(|claims| {
            let exp = claims["exp"].as_u64().unwrap();
            claims["iss"] == CLIENT_ID
                && claims["sub"] == "CANARY-user@acme.test"
                && claims["aud"] == LOGIN
                && exp > now_s
                && exp <= now_s + 180
        });
        if !is_right || form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
            return Ok(reply(400, r#"{"error":"invalid_grant"}"#));
        }
        // No refresh token and no life: as Salesforce answers.
        Ok(reply(
            200,
            r#"{"access_token":"access","instance_url":"https://api.crm.test"}"#,
        ))
    })
    .await
}

fn with_key(fixture: &Fixture, key: &str) -> Connection {
    let mut connection = fixture.connection();
    for (name, value) in [("private_key", key), ("subject", "CANARY-user@acme.test")] {
        connection.secrets.insert(name.to_owned(), value.into());
    }
    connection
}

#[tokio::test]
async fn a_jwt_bearer_is_signed_for_its_subject_and_asked_for_once() {
    let server = provider().await;
    let fixture = Fixture::new(&server);
    let session = fixture.broker.session(with_key(&fixture, KEY));
    assert!(session.has_grant("jwt").await.unwrap());
    for _ in 0..3 {
        let answer = fetch(&session, signed("/v1/x", "jwt")).await;
        assert!(answer.is_ok(), "{:?}", answer.err());
    }
    let tokens: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.path == "/token")
        .collect();
    assert_eq!(tokens.len(), 1);
    let body = String::from_utf8_lossy(&tokens[0].body).into_owned();
    assert!(!body.contains(CLIENT_SECRET), "the statement says who asks");
}

#[tokio::test]
async fn a_key_that_is_none_or_another_is_refused_and_never_shown() {
    let server = provider().await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let ec_key = include_str!("tls/localhost.key");
    for key in ["CANARY", ec_key, &KEY[..200]] {
        let session = fixture.broker.session(with_key(&fixture, key));
        assert!(!session.has_grant("jwt").await.unwrap());
        let refusal = fault(&session, signed("/v1/x", "jwt")).await;
        let text = format!("{refusal:?} {refusal}");
        assert!(
            text.contains("private_key") && !text.contains("CANARY"),
            "{text}"
        );
    }
    let session = fixture.session();
    let refusal = fault(&session, signed("/v1/x", "jwt")).await;
    assert!(matches!(refusal, FetchFault::Host(_)), "{refusal:?}");
    assert_eq!(server.count(), 0);
}
