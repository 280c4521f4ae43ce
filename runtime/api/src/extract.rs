//! What handlers take from a request: parsed once, bounded, and refused with a
//! problem that says where.

use crate::problem::{Code, Problem, Wrong};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_type(request.headers(), "application/json") {
            return Err(Problem::new(Code::MediaType, "send application/json"));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        parse(&bytes).map(Json)
    }
}

/// A JSON body that may be left out.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let typed = is_type(request.headers(), "application/json");
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        match (bytes.is_empty(), typed) {
            (true, _) => Ok(OptionalJson(T::default())),
            (false, true) => parse(&bytes).map(OptionalJson),
            (false, false) => Err(Problem::new(Code::MediaType, "send application/json")),
        }
    }
}

/// A component's bytes.
pub(crate) struct Wasm(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Wasm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_type(request.headers(), "application/wasm") {
            return Err(Problem::new(Code::MediaType, "send application/wasm"));
        }
        Bytes::from_request(request, state)
            .await
            .map(Wasm)
            .map_err(unread)
    }
}

/// The query.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Query(query.0)).map_err(|rejection| {
            let reason = rejection.body_text();
            let reason = reason
                .rsplit_once("string: ")
                .map_or(reason.as_str(), |(_, end)| end);
            let (at, reason) = reason.split_once(": ").unwrap_or(("query", reason));
            Problem::invalid_at(at, without_value(reason))
        })
    }
}

/// The first id of the path. One that could not be an id names nothing.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: TryFrom<String>, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem::new(Code::NotFound, "there is nothing of this id");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        let mut values = params.iter().map(|(_, value)| value);
        values
            .next()
            .and_then(|value| T::try_from(value.to_owned()).ok())
            .map(Id)
            .ok_or_else(missing)
    }
}

/// Both ids of a path that has two.
pub(crate) struct Ids<T, U>(pub(crate) T, pub(crate) U);

impl<T: TryFrom<String>, U: TryFrom<String>, S: Send + Sync> FromRequestParts<S> for Ids<T, U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem::new(Code::NotFound, "there is nothing of these ids");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        let mut values = params.iter().map(|(_, value)| value);
        let first = values
            .next()
            .and_then(|value| T::try_from(value.to_owned()).ok());
        let second = values
            .next()
            .and_then(|value| U::try_from(value.to_owned()).ok());
        first
            .zip(second)
            .map(|(first, second)| Ids(first, second))
            .ok_or_else(missing)
    }
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

fn unread(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Code::TooLarge, "the body is larger than this route takes")
        }
        _ => Problem::new(Code::Malformed, "the body ended early"),
    }
}

/// Parses JSON that came from outside.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let pointer = pointer(error.path());
        let cause = error.inner();
        let reason = without_value(&cause.to_string());
        if cause.is_data() {
            Problem::invalid_at(pointer, reason)
        } else {
            Problem::new(Code::Malformed, format!("the body is not JSON: {reason}"))
        }
    })?;
    let trailing = |_| Problem::new(Code::Malformed, "the body goes on after the JSON value");
    source.end().map_err(trailing)?;
    Ok(parsed)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        text.push('/');
        match segment {
            Segment::Seq { index } => text.push_str(&index.to_string()),
            Segment::Map { key } => text.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => text.push_str(variant),
            Segment::Unknown => text.push('?'),
        }
    }
    text
}

/// Serde quotes the value that it could not take, and that may be a secret that
/// stands in the wrong place. What was expected is enough.
fn without_value(reason: &str) -> String {
    let quotes = [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown variant",
    ];
    match reason.find("expected ") {
        Some(at) if quotes.iter().any(|start| reason.starts_with(start)) => reason[at..].to_owned(),
        _ => reason.to_owned(),
    }
}

/// A wrong value, for lists of them.
pub(crate) fn wrong(pointer: impl Into<String>, reason: impl Into<String>) -> Wrong {
    Wrong {
        pointer: pointer.into(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its errors matter")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its errors matter")]
        count: u8,
    }

    #[test]
    fn a_wrong_value_is_pointed_at_and_never_quoted() {
        let table = [
            (
                r#"{"inner":[{"count":"hunter2"}]}"#,
                Code::Invalid,
                "/inner/0/count",
            ),
            (
                r#"{"inner":[{"count":1,"speed":2}]}"#,
                Code::Invalid,
                "speed",
            ),
            (r#"{"inner":"hunter2"}"#, Code::Invalid, "/inner"),
            (r#"{"inner":["#, Code::Malformed, "not JSON"),
            (r#"{"inner":[]} hunter2"#, Code::Malformed, "goes on"),
        ];
        for (text, code, part) in table {
            let problem = parse::<Outer>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.code(), code, "{text}");
            let all = format!("{problem:?}");
            assert!(all.contains(part), "{text}: {all}");
            assert!(!all.contains("hunter2"), "{text}: {all}");
        }
    }
}
