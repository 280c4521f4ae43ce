//! Revisions as ETags: who writes says which revision it read.

use crate::problem::{Code, Problem};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tidegate_store::control::Expected;
use utoipa::IntoParams;

/// What the request expects the stored document to be.
pub(crate) struct Precondition(pub(crate) Expected);

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        expected(&parts.headers).map(Precondition)
    }
}

fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let text = |name: HeaderName| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or("?").trim())
    };
    let bad =
        |name: &str, reason: &str| Err(Problem::new(Code::Malformed, format!("{name}: {reason}")));
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (None, None) => Ok(Expected::Any),
        (None, Some("*")) => Ok(Expected::Absent),
        (None, Some(_)) => bad("If-None-Match", "only * is understood here"),
        (Some(tag), None) => match revision(tag) {
            Some(revision) => Ok(Expected::Revision(revision)),
            None => bad("If-Match", "send one ETag as it was given, such as \"3\""),
        },
        (Some(_), Some(_)) => bad("If-Match", "cannot stand beside If-None-Match"),
    }
}

fn revision(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// What has a revision.
pub(crate) trait Tagged {
    /// Grows with every change.
    fn revision(&self) -> u64;
}

/// An answer with its ETag.
pub(crate) struct Answer<T> {
    status: StatusCode,
    body: T,
}

impl<T> Answer<T> {
    /// What was read.
    pub(crate) fn ok(body: T) -> Answer<T> {
        Answer {
            status: StatusCode::OK,
            body,
        }
    }

    /// What was written.
    pub(crate) fn put(body: T, is_new: bool) -> Answer<T> {
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Answer { status, body }
    }
}

impl<T: Tagged + Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let tag = format!("\"{}\"", self.body.revision());
        let tag = HeaderValue::from_str(&tag).expect("digits in quotes are a header value");
        (self.status, [(ETAG, tag)], Json(self.body)).into_response()
    }
}

/// The headers, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct Headers {
    /// Change only this revision: the ETag, as it was given.
    #[param(rename = "If-Match", required = false, pattern = r#"^"[0-9]{1,19}"$"#)]
    if_match: String,
    /// Only make what is not there: `*`.
    #[param(rename = "If-None-Match", required = false, pattern = r"^\*$")]
    if_none_match: String,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_a_whole_strong_tag_is_a_precondition() {
        let of = |name: HeaderName, value: &str| {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
            expected(&headers)
        };
        assert!(matches!(expected(&HeaderMap::new()), Ok(Expected::Any)));
        assert!(matches!(of(IF_MATCH, "\"7\""), Ok(Expected::Revision(7))));
        assert!(matches!(of(IF_NONE_MATCH, "*"), Ok(Expected::Absent)));
        for bad in ["7", "W/\"7\"", "\"7\", \"8\"", "\"x\"", "*", ""] {
            assert!(of(IF_MATCH, bad).is_err(), "{bad} was taken");
        }
        assert!(of(IF_NONE_MATCH, "\"7\"").is_err());
    }
}
