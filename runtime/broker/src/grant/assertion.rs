//! The signed statement of a JWT bearer grant (RFC 7523): who asks, for whom, of whom,
//! and for how long.

use crate::{Connection, Error};
use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

/// The secret of the connection that holds the RSA key, as PEM.
const PRIVATE_KEY: &str = "private_key";
/// The secret of the connection that names the user to act for.
const SUBJECT: &str = "subject";
/// Providers take five minutes at the most (Salesforce: three); clocks differ by some.
const LIFE_S: u64 = 150;

/// What makes statements for one connection.
pub(super) struct Signer {
    key: RsaKeyPair,
    issuer: String,
    subject: SecretString,
    audience: String,
}

impl Signer {
    pub(super) fn of(connection: &Connection, issuer: &str, audience: &str) -> Result<Self, Error> {
        let secret = |name: &str| {
            let found = connection.secrets.get(name).cloned();
            found.ok_or_else(|| {
                Error::Auth(format!("connection {} has no secret {name}", connection.id))
            })
        };
        Ok(Self {
            key: key(&secret(PRIVATE_KEY)?).ok_or_else(|| {
                Error::Auth(format!(
                    "the secret {PRIVATE_KEY} of connection {} is no RSA key of 2048 bits or more \
                     in PEM (PKCS#8 or PKCS#1)",
                    connection.id
                ))
            })?,
            issuer: issuer.to_owned(),
            subject: secret(SUBJECT)?,
            audience: audience.to_owned(),
        })
    }

    pub(super) fn sign(&self, now_ms: u64) -> Result<SecretString, Error> {
        let head = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({
            "iss": self.issuer,
            "sub": self.subject.expose_secret(),
            "aud": self.audience,
            "exp": now_ms / 1000 + LIFE_S,
        });
        let part = |part: &serde_json::Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
        let mut text = format!("{}.{}", part(&head), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Error::config("the private key cannot sign"))?;
        text.push('.');
        text.push_str(&BASE64URL_NOPAD.encode(&signature));
        Ok(text.into())
    }
}

fn key(pem: &SecretString) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
        _ => None,
    }
}
