//! What happens around every request: an id, a span, headers that keep browsers from
//! being used against us, and one line of log.

use crate::api::Api;
use crate::problem::{Code, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::any::Any;
use tokio::time::Instant;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 64;
/// A year: what browsers that preload lists ask for.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// The outermost layer.
pub(crate) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!(
        "http.server.request",
        http.request.method = %method,
        http.route = route,
        request.id = id.to_str().unwrap_or_default(),
        key.id = tracing::field::Empty,
        tenant.id = tracing::field::Empty,
        http.response.status_code = tracing::field::Empty,
    );
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(%method, route, status, duration_ms, "answered"));
    protect(&api, response.headers_mut());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The client's id, if it can stand in a log; else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=REQUEST_ID_CHARS_MAX).contains(&value.len()) && value.as_bytes().iter().all(safe)
    };
    if let Some(value) = headers.get(REQUEST_ID).filter(plain) {
        return value.clone();
    }
    let mut bytes = [0; 16];
    // Without random bytes the id is only less useful.
    getrandom::fill(&mut bytes).ok();
    HeaderValue::from_str(&HEXLOWER.encode(&bytes)).expect("hexadecimal digits are a header value")
}

/// Answers are documents for programs: nothing may run, frame or keep them.
fn protect(api: &Api, headers: &mut HeaderMap) {
    let set = |headers: &mut HeaderMap, name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(
        headers,
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    set(headers, REFERRER_POLICY, "no-referrer");
    set(headers, CACHE_CONTROL, "no-store");
    set(
        headers,
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        headers,
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    if api.config().is_https() {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(ONLY_TLS);
    }
}

/// What a panic in a handler is answered with. Its text stays in the log: it may
/// quote anything.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::new(Code::Internal, "the request could not be answered").into_response()
}

pub(crate) async fn no_such_path() -> Problem {
    Problem::new(Code::NotFound, "there is no such path")
        .with_fix("See /v1/openapi.json for the paths there are.")
}

pub(crate) async fn no_such_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the path does not take this method")
}
