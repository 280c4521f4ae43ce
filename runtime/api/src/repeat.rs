//! Requests that may be repeated and count once: the `Idempotency-Key` header. The
//! answer is remembered in the transaction that does the work, so that a repeated
//! request is answered alike even if the first answer was lost.

use crate::problem::{Code, Problem};
use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sha2::{Digest, Sha256 as Hasher};
use tidegate_domain::id::Sha256;

const HEADER: &str = "idempotency-key";
const KEY_CHARS_MAX: usize = 128;

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// The client's key.
    pub(crate) key: String,
    /// Of method, path, query and body.
    pub(crate) request_sha256: Sha256,
}

/// Takes the key of a POST, and the body to hash it; the request goes on whole.
pub(crate) async fn read(
    request: Request,
    body_bytes_max: usize,
) -> Result<(Option<Repeat>, Request), Problem> {
    let key = key(request.headers())?;
    let Some(key) = key.filter(|_| request.method() == Method::POST) else {
        return Ok((None, request));
    };
    let (parts, body) = request.into_parts();
    let collected = Limited::new(body, body_bytes_max).collect().await;
    let bytes = collected.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => Problem::new(Code::TooLarge, "the body is larger than this route takes"),
        None => Problem::new(Code::Malformed, "the body ended early"),
    })?;
    let bytes = bytes.to_bytes();
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let mut hasher = Hasher::new();
    for part in [parts.method.as_str().as_bytes(), target.as_bytes(), &bytes] {
        // Lengths keep ("a", "bc") apart from ("ab", "c").
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let request_sha256 = Sha256::from_bytes(hasher.finalize().into());
    let request = Request::from_parts(parts, Body::from(bytes));
    Ok((
        Some(Repeat {
            key,
            request_sha256,
        }),
        request,
    ))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_CHARS_MAX || !plain {
        let detail = format!(
            "Idempotency-Key: use 1 to {KEY_CHARS_MAX} printable characters without spaces"
        );
        return Err(Problem::new(Code::Malformed, detail));
    }
    Ok(Some(text.to_owned()))
}
