//! A key service over HTTP: HashiCorp Vault's transit engine, and what speaks like it
//! (OpenBao). Data keys go there and back; the wrapping key never leaves it.

use super::{KeyService, foreign};
use crate::Error;
use crate::config::Origin;
use crate::dial::{Dialer, HttpClient, http_client};
use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::time::Duration;
use zeroize::Zeroizing;

/// Of one request, from the socket to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// One key of one transit engine.
pub struct Transit {
    client: HttpClient<Full<Bytes>>,
    origin: Origin,
    mount: String,
    key: String,
    token: SecretString,
}

impl std::fmt::Debug for Transit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Transit({} {})", self.origin, self.key)
    }
}

impl Transit {
    /// The service at `origin`, which an operator chose: it may be private. `mount` is
    /// the engine's path, `transit` unless it was mounted elsewhere.
    ///
    /// # Errors
    /// [`Error::Config`] where a name cannot stand in a path.
    pub fn new(
        dialer: &Dialer,
        origin: Origin,
        mount: &str,
        key: &str,
        token: SecretString,
    ) -> Result<Self, Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        for name in [mount, key] {
            if name.is_empty() || !name.bytes().all(plain) {
                let text = format!("{name:?} is no name of a transit engine or key");
                return Err(Error::config(text));
            }
        }
        Ok(Self {
            client: http_client(&dialer.reaching(std::slice::from_ref(&origin))),
            origin,
            mount: mount.to_owned(),
            key: key.to_owned(),
            token,
        })
    }

    /// The named text of the answer's `data`. A refusal (a status of 400) of what was
    /// sealed elsewhere is an [`Error::Unseal`]; anything else passes.
    async fn ask(&self, operation: &str, body: Value, wanted: &str) -> Result<String, Error> {
        let failed = |reason: &str| Error::KeyService(reason.to_owned());
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(operation, body));
        let (status, answer) = answer.await.map_err(|_| failed("no answer in time"))??;
        if status == 400 && operation != "encrypt" {
            return Err(foreign());
        }
        if status != 200 {
            return Err(Error::KeyService(format!("it answered {status}")));
        }
        let answer: Value =
            serde_json::from_slice(&answer).map_err(|_| failed("its answer is no JSON"))?;
        let text = answer["data"][wanted].as_str();
        Ok(text
            .ok_or_else(|| failed("its answer lacks what was asked for"))?
            .to_owned())
    }

    async fn exchange(
        &self,
        operation: &str,
        body: Value,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), Error> {
        let failed = |reason: String| Error::KeyService(reason);
        let Self {
            origin, mount, key, ..
        } = self;
        let mut token = HeaderValue::from_str(self.token.expose_secret())
            .map_err(|_| Error::config("the token of the key service is no header value"))?;
        token.set_sensitive(true);
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("{origin}/v1/{mount}/{operation}/{key}")
            .parse()
            .map_err(|_| Error::config("the key service's address is no URI"))?;
        request.headers_mut().insert("x-vault-token", token);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let sent = self.client.send(request).await;
        let (head, body) = sent
            .map_err(|error| failed(error.to_string()))?
            .into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| failed("its answer was cut or is too large".to_owned()))?;
        Ok((
            head.status.as_u16(),
            Zeroizing::new(body.to_bytes().to_vec()),
        ))
    }
}

/// `vault:v3:…` was made by version 3.
fn version(wrapped: &str) -> Option<&str> {
    wrapped.strip_prefix("vault:")?.split(':').next()
}

#[async_trait]
impl KeyService for Transit {
    async fn wrap(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let body = json!({
            "plaintext": BASE64.encode(plain),
            "associated_data": BASE64.encode(context),
        });
        let wrapped = self.ask("encrypt", body, "ciphertext").await?;
        Ok(wrapped.into_bytes())
    }

    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| foreign())?;
        let body = json!({
            "ciphertext": ciphertext,
            "associated_data": BASE64.encode(context),
        });
        let plain = Zeroizing::new(self.ask("decrypt", body, "plaintext").await?);
        let plain = BASE64.decode(plain.as_bytes()).map_err(|_| foreign())?;
        Ok(Zeroizing::new(plain))
    }

    async fn rewrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| foreign())?;
        let body = json!({
            "ciphertext": ciphertext,
            "associated_data": BASE64.encode(context),
        });
        let fresh = self.ask("rewrap", body, "ciphertext").await?;
        Ok((version(&fresh) != version(ciphertext)).then(|| fresh.into_bytes()))
    }
}
