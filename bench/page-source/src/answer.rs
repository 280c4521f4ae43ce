//! Requests and their answers.

use crate::limit::Limit;
use crate::records::{FIRST_ID, PROPERTIES, Records};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use url::form_urlencoded;

/// The only token that is taken; the token endpoint hands it out.
pub(crate) const TOKEN: &str = "pages-0123456789abcdef";
/// Records on a page, at the most.
const PAGE_MAX: u64 = 1_000;
const PAGE_DEFAULT: u64 = 100;
const LIST: &str = "/crm/v3/objects/contacts";

/// What is served.
pub(crate) struct Source {
    records: Records,
    windows: u64,
    latency: Duration,
    limit: Limit,
    expected: String,
}

impl Source {
    pub(crate) fn new(
        records: u64,
        windows: u64,
        latency: Duration,
        per_second: Option<f64>,
    ) -> Source {
        Source {
            records: Records::render(records),
            windows: windows.max(1),
            latency,
            limit: Limit::new(per_second),
            expected: format!("Bearer {TOKEN}"),
        }
    }

    /// The records of a window, or of the whole list; none where there is no such window.
    fn range(&self, date: Option<&str>) -> Option<(u64, u64)> {
        let Some(date) = date else {
            return Some((0, self.records.count));
        };
        let day: u64 = date.strip_prefix("2026-01-")?.parse().ok()?;
        let window = day.checked_sub(1).filter(|window| *window < self.windows)?;
        let bound = |window: u64| self.records.count * window / self.windows;
        Some((bound(window), bound(window + 1)))
    }

    fn page(&self, query: &str) -> Response<Full<Bytes>> {
        let (mut limit, mut after, mut date, mut archived) = (PAGE_DEFAULT, None, None, false);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => limit = value.parse().unwrap_or(0),
                "after" => after = Some(value.parse::<u64>().ok()),
                "date" => date = Some(value),
                "archived" => archived = value == "true",
                _ => {}
            }
        }
        let Some((first, end)) = self.range(date.as_deref()) else {
            return problem(StatusCode::BAD_REQUEST, "there is no such window");
        };
        let start = match after {
            None => Some(first),
            Some(after) => after
                .and_then(|id| id.checked_sub(FIRST_ID))
                .map(|at| at + 1),
        };
        let Some(start) = start.filter(|start| (first..=end).contains(start)) else {
            return problem(StatusCode::BAD_REQUEST, "after is no token of this list");
        };
        if !(1..=PAGE_MAX).contains(&limit) {
            return problem(StatusCode::BAD_REQUEST, "limit is 1 to 1000");
        }
        let end = if archived { start } else { end };
        let stop = end.min(start + limit);
        let mut out = Vec::with_capacity(self.records.page_bytes(stop - start));
        out.extend_from_slice(br#"{"results":["#);
        for at in start..stop {
            if at > start {
                out.push(b',');
            }
            self.records.write(at, &mut out);
        }
        if stop < end {
            let last = FIRST_ID + stop - 1;
            let next = format!(r#"],"paging":{{"next":{{"after":"{last}"}}}}}}"#);
            out.extend_from_slice(next.as_bytes());
        } else {
            out.extend_from_slice(b"]}");
        }
        answer(StatusCode::OK, out)
    }
}

/// Answers one request.
pub(crate) async fn respond(
    source: Arc<Source>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    Ok(match (request.method(), path) {
        (&Method::GET, "/stats") => said(&source.limit.stats()),
        (&Method::DELETE, "/stats") => {
            source.limit.forget();
            said(&json!({}))
        }
        (&Method::POST, "/oauth/v1/token") => said(&json!({
            "access_token": TOKEN, "refresh_token": TOKEN, "token_type": "bearer", "expires_in": 86_400,
        })),
        _ if !is_allowed(&source, &request) => {
            problem(StatusCode::UNAUTHORIZED, "a bearer token is needed")
        }
        (&Method::GET, LIST) => {
            let passes = source.limit.enter();
            if passes && !source.latency.is_zero() {
                tokio::time::sleep(source.latency).await;
            }
            let answer = match passes {
                true => source.page(request.uri().query().unwrap_or_default()),
                false => refusal(),
            };
            source.limit.leave();
            answer
        }
        (&Method::GET, "/crm/v3/properties/contacts") => said(&properties()),
        (&Method::GET, "/account-info/v3/details") => said(&json!({"portalId": 1})),
        _ => problem(StatusCode::NOT_FOUND, "there is nothing here"),
    })
}

fn is_allowed(source: &Source, request: &Request<Incoming>) -> bool {
    let sent = request.headers().get(AUTHORIZATION);
    sent.is_some_and(|sent| sent.as_bytes() == source.expected.as_bytes())
}

fn properties() -> Value {
    let each = |(name, kind): (&str, &str)| json!({"name": name, "label": name, "type": kind, "fieldType": "text"});
    json!({"results": PROPERTIES.map(each)})
}

fn said(value: &Value) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, value.to_string().into_bytes())
}

fn problem(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    answer(
        status,
        json!({"status": "error", "message": message})
            .to_string()
            .into_bytes(),
    )
}

fn refusal() -> Response<Full<Bytes>> {
    let mut refused = problem(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    refused.headers_mut().insert(
        RETRY_AFTER,
        "1".parse().expect("a digit is a header's value"),
    );
    refused
}

fn answer(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = "application/json".parse().expect("a constant header value");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
