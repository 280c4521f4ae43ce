//! One request to a token endpoint, and what its answer means. Nothing that it
//! says is ever repeated: its errors can hold tokens.

use super::credential::basic;
use super::{Grant, Tokens};
use crate::call::{Meter, Meters};
use crate::dial::HttpClient;
use crate::transport::{self, Received};
use crate::{Config, FetchFault, answer};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::manifest::AuthKind;
use tidegate_store::clock::now_ms;
use tokio::time::Instant;

/// A token answer is small.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// What is assumed where a life is given that no clock can hold.
const LIFE_MS_MAX: u64 = 10 * 366 * 24 * 60 * 60 * 1000;

/// The grant's own pool, for its token endpoint.
#[derive(Clone)]
pub(super) struct Client {
    http: HttpClient<Full<Bytes>>,
    config: Arc<Config>,
}

impl Client {
    /// How long the right to refresh holds: more than the token request's deadline,
    /// since the provider cannot be fenced.
    pub(super) fn right_ms(&self) -> u64 {
        self.config.token_timeout_ms.saturating_mul(9) / 4
    }

    pub(super) fn refusal_confirmed_after_ms(&self) -> u64 {
        self.config.refusal_confirmed_after_ms
    }

    pub(super) fn new(http: HttpClient<Full<Bytes>>, config: &Arc<Config>) -> Self {
        Self {
            http,
            config: Arc::clone(config),
        }
    }
}

/// What a token request came to.
pub(super) enum Outcome {
    /// New tokens.
    Tokens(Box<Tokens>),
    /// The grant or code is refused: `invalid_grant`.
    GrantRefused,
    /// The application is refused: its id or its secret.
    AppRefused,
    /// Refused otherwise.
    Declined(u16),
    /// Nothing happened: no connection, or the endpoint said "later", and for how many
    /// milliseconds.
    Unavailable(String, Option<u64>),
    /// Sent, and no answer that can be read: anything may have happened.
    Lost,
}

/// Asks for tokens with this form.
pub(super) async fn ask(
    grant: &Grant,
    form: &[(&str, &str)],
    previous: Option<&Tokens>,
) -> Outcome {
    let request = match build(grant, form) {
        Ok(request) => request,
        Err(fault) => return Outcome::Unavailable(fault.to_string(), None),
    };
    let (asked_at_ms, begun) = (now_ms(), Instant::now());
    let meter = Meter::default();
    let exchange = transport::exchange(
        &grant.client.http,
        request,
        &grant.client.config,
        Duration::from_millis(grant.client.config.first_byte_timeout_ms),
        ANSWER_BYTES_MAX,
        Meters([&meter, grant.meter()]),
        |_| (),
    );
    let whole = Duration::from_millis(grant.client.config.token_timeout_ms);
    let received = tokio::time::timeout(whole, exchange).await.ok();
    grant.record(
        received.as_ref(),
        meter.usage(),
        asked_at_ms,
        begun.elapsed(),
    );
    match received {
        None => Outcome::Lost,
        Some(Err(broken)) if broken.reached => Outcome::Lost,
        Some(Err(broken)) => Outcome::Unavailable(broken.fault.to_string(), None),
        Some(Ok(received)) => judge(grant, &received, asked_at_ms, previous),
    }
}

fn build(grant: &Grant, form: &[(&str, &str)]) -> Result<Request<Full<Bytes>>, FetchFault> {
    let by_header = match &grant.method.kind {
        AuthKind::Oauth2Code(code) => code.basic_client_auth,
        AuthKind::Oauth2Client(client) => client.basic_client_auth,
        _ => false,
    };
    let app = &grant.app;
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    // A signed statement says who asks.
    if !by_header && grant.signer.is_none() {
        body.append_pair("client_id", &app.client_id);
        body.append_pair("client_secret", app.client_secret.expose_secret());
    }
    let mut request = Request::new(Full::new(Bytes::from(body.finish())));
    *request.method_mut() = Method::POST;
    let uri = grant.token_url.as_str().parse();
    *request.uri_mut() =
        uri.map_err(|_| FetchFault::Invalid("the token URL is no URI".to_owned()))?;
    let headers = request.headers_mut();
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, form_type);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("tidegate"));
    if by_header {
        let secret: SecretString = form_encoded(app.client_secret.expose_secret()).into();
        let value = basic(&form_encoded(&app.client_id), &secret)?;
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn judge(
    grant: &Grant,
    received: &Received,
    asked_at_ms: u64,
    previous: Option<&Tokens>,
) -> Outcome {
    let status = received.status;
    if status == 429 || status == 408 || status >= 500 {
        let pause_ms = answer::retry_after_ms(&received.headers, now_ms());
        return Outcome::Unavailable(format!("it answered {status}"), pause_ms);
    }
    let Ok(answer) = serde_json::from_slice::<Value>(&received.body) else {
        // A page of some proxy is no answer of the token endpoint.
        return if (200..300).contains(&status) {
            Outcome::Lost
        } else {
            Outcome::Declined(status)
        };
    };
    match answer.get("error").and_then(Value::as_str) {
        Some("invalid_grant") => return Outcome::GrantRefused,
        Some("invalid_client" | "invalid_client_id" | "unauthorized_client") => {
            return Outcome::AppRefused;
        }
        Some("temporarily_unavailable" | "server_error") => {
            return Outcome::Unavailable("it answered with an error of its own".to_owned(), None);
        }
        Some(_) => return Outcome::Declined(status),
        None if !(200..300).contains(&status) => return Outcome::Declined(status),
        None => {}
    }
    tokens(grant, &answer, asked_at_ms, previous)
        .map_or(Outcome::Lost, |tokens| Outcome::Tokens(Box::new(tokens)))
}

fn tokens(
    grant: &Grant,
    answer: &Value,
    asked_at_ms: u64,
    previous: Option<&Tokens>,
) -> Option<Tokens> {
    let token = |name: &str| {
        let text = answer.get(name).and_then(Value::as_str)?;
        let printable = !text.is_empty() && text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
        printable.then(|| SecretString::from(text))
    };
    // Seconds, as a number or, against the standard, as text.
    let life_s = match answer.get("expires_in") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    let life_ms = life_s.map(|seconds: f64| ((seconds * 1e3) as u64).min(LIFE_MS_MAX));
    let mut kept = previous
        .map(|tokens| tokens.kept.clone())
        .unwrap_or_default();
    for (name, pointer) in grant.keep.iter() {
        match answer.pointer(pointer) {
            Some(Value::String(text)) => kept.insert(name.clone(), text.clone()),
            Some(Value::Number(number)) => kept.insert(name.clone(), number.to_string()),
            _ => None,
        };
    }
    Some(Tokens {
        access: token("access_token")?,
        refresh: token("refresh_token").or_else(|| previous?.refresh.clone()),
        expires_at_ms: life_ms.map(|life_ms| asked_at_ms.saturating_add(life_ms)),
        life_ms: life_ms.unwrap_or(0),
        kept,
    })
}
