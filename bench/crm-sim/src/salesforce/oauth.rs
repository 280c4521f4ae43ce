//! The authorisation server's Salesforce part: what its tokens look like, and assertions
//! signed by the app.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::{hmac, signature};
use serde::Deserialize;
use serde_json::Value;

use crate::salesforce::config::Config;
use crate::salesforce::wire_id::wire_text;
use crate::tokens::{Issued, Policy, Scopes, Tokens};

/// Life of an authorisation code in milliseconds.
const CODE_TTL_MS: i64 = 15 * 60_000;
/// Authorisations of one user for one app; a further one ends the oldest.
const APPROVALS_MAX: usize = 5;
/// How far ahead an assertion may expire, in seconds.
const ASSERTION_AHEAD_S: i64 = 300;
/// Scopes that everybody gets who asks for none.
const SCOPES: [&str; 3] = ["refresh_token", "api", "id"];

/// Why an assertion is refused: `error` and `error_description`.
pub(crate) type Objection = (&'static str, &'static str);

#[derive(Debug)]
pub(crate) struct OAuth {
    client_id: String,
    secret: hmac::Key,
    public_key: Option<Vec<u8>>,
    tokens: Tokens,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    /// A number, or the same as text, as some clients send it.
    exp: Value,
}

impl Deref for OAuth {
    type Target = Tokens;

    fn deref(&self) -> &Tokens {
        &self.tokens
    }
}

impl OAuth {
    pub(crate) fn new(config: &Config) -> OAuth {
        let organization = wire_text(*b"00D", 238_328 + config.seed % 1_000_000);
        OAuth {
            client_id: config.client_id.clone(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, config.client_secret.as_bytes()),
            public_key: config.jwt_public_key.clone(),
            tokens: Tokens::new(Policy {
                client_id: config.client_id.clone(),
                client_secret: config.client_secret.clone(),
                seed: config.seed,
                access_prefix: format!("{}!AQ", &organization[..15]),
                refresh_prefix: "5Aep861".to_owned(),
                code_ttl_ms: CODE_TTL_MS,
                access_ttl_s: config.session_timeout_s,
                sliding: true,
                rotation: config.refresh_rotation,
                reuse_ends_grant: true,
                grants_max: APPROVALS_MAX,
            }),
        }
    }

    /// Issues a pair as if a user had just consented.
    pub(crate) fn issue_usual(&self, user: &str, now_ms: i64) -> Issued {
        self.tokens
            .issue_granted(usual_scopes(), user.into(), now_ms)
    }

    /// What proves that a token response was not forged.
    pub(crate) fn signature(&self, identity: &str, issued_at: &str) -> String {
        let tag = hmac::sign(&self.secret, format!("{identity}{issued_at}").as_bytes());
        BASE64.encode(tag.as_ref())
    }

    /// Exchanges an assertion for an access token; returns it with its user.
    pub(crate) fn assert(
        &self,
        assertion: &str,
        audiences: &[&str],
        knows_user: impl FnOnce(&str) -> bool,
        now_ms: i64,
    ) -> Result<(String, Arc<str>), Objection> {
        let invalid = ("invalid_grant", "invalid assertion");
        let claims = self.verified(assertion).ok_or(invalid)?;
        if claims.iss != self.client_id {
            return Err(("invalid_client_id", "client identifier invalid"));
        }
        if !audiences.contains(&claims.aud.as_str()) {
            return Err(("invalid_grant", "audience is invalid"));
        }
        let expires_s = match &claims.exp {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let now_s = now_ms / 1000;
        let timely = |expires_s: &i64| (now_s..=now_s + ASSERTION_AHEAD_S).contains(expires_s);
        if !expires_s.as_ref().is_some_and(timely) {
            return Err(("invalid_grant", "expired authorization code"));
        }
        if !knows_user(&claims.sub) {
            return Err(("invalid_grant", "user hasn't approved this consumer"));
        }
        let user: Arc<str> = claims.sub.into();
        let token = self
            .tokens
            .issue_access(usual_scopes(), Arc::clone(&user), now_ms);
        Ok((token, user))
    }

    /// The claims of an assertion whose signature is the app's.
    fn verified(&self, assertion: &str) -> Option<Claims> {
        let (signed, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
        if header["alg"] != "RS256" {
            return None;
        }
        let key = signature::UnparsedPublicKey::new(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            self.public_key.as_ref()?,
        );
        key.verify(signed.as_bytes(), &decoded(signature)?).ok()?;
        serde_json::from_slice(&decoded(claims)?).ok()
    }
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    let part = part.trim_end_matches('=');
    BASE64URL_NOPAD.decode(part.as_bytes()).ok()
}

fn usual_scopes() -> Scopes {
    let scopes = SCOPES.iter().map(|&scope| scope.to_owned());
    Arc::new(scopes.collect::<BTreeSet<String>>())
}
