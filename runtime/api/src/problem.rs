//! What went wrong, as RFC 9457 has it: a stable code for programs, a sentence and a
//! fix for people.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Characters of a detail; what is longer is cut, since it may quote a request.
const DETAIL_CHARS_MAX: usize = 500;
/// Errors that one answer lists.
const ERRORS_MAX: usize = 100;

macro_rules! codes {
    // A token, since the schema's derive does not see through a captured literal.
    ($($(#[$doc:meta])* $name:ident, $text:tt, $status:ident, $title:literal, $fix:literal;)*) => {
        /// What kind of problem it is. Codes are part of the contract: they stay.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Its text.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The status that answers carry.
            pub fn status(self) -> StatusCode {
                match self { $(Code::$name => StatusCode::$status,)* }
            }

            fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            fn fix(self) -> &'static str {
                match self { $(Code::$name => $fix,)* }
            }
        }
    };
}

codes! {
    /// The request cannot be read.
    Malformed, "malformed_request", BAD_REQUEST, "The request cannot be read",
        "Compare the request with /v1/openapi.json.";
    /// No key, or one that is not valid.
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "No valid API key",
        "Send `Authorization: Bearer <key>` with a key that is neither revoked nor expired.";
    /// The key's role may not do this.
    Forbidden, "forbidden", FORBIDDEN, "The key's role does not allow this",
        "Use a key with a role that allows it.";
    /// It is not there, or not this tenant's.
    NotFound, "not_found", NOT_FOUND, "Not found",
        "List the collection to see which ids there are.";
    /// The path is there, the method is not.
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here",
        "See the Allow header, or /v1/openapi.json.";
    /// It exists already.
    Exists, "already_exists", CONFLICT, "It exists already",
        "Choose another id, or update the one there is.";
    /// Its state does not allow this now.
    Conflict, "state_conflict", CONFLICT, "Its state does not allow this now",
        "Read it again and decide anew.";
    /// Something else refers to it.
    InUse, "in_use", CONFLICT, "It is in use",
        "Delete what refers to it first.";
    /// `If-Match` names another revision.
    Changed, "revision_changed", PRECONDITION_FAILED, "It was changed by someone else",
        "Read it again, and send the ETag you get as If-Match.";
    /// The body is too large.
    TooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Send less at once.";
    /// Not the content type that the route takes.
    MediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Another content type is needed",
        "Set the Content-Type that /v1/openapi.json names.";
    /// Well-formed, but it cannot work.
    Invalid, "invalid", UNPROCESSABLE_ENTITY, "Some values cannot work",
        "Correct the fields named in errors.";
    /// One key, two requests.
    KeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for another request",
        "Draw a new key for each request; repeat a key only with the very same request.";
    /// A component was refused.
    ComponentRefused, "component_refused", UNPROCESSABLE_ENTITY, "The component was refused",
        "Build it against the published contract and the limits of the platform.";
    /// The provider did not accept what the connection holds.
    ProviderRefused, "provider_refused", UNPROCESSABLE_ENTITY, "The provider refused",
        "Check the connection's configuration and authorise it again.";
    /// Too many requests with this key.
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "Too many requests with this key",
        "Wait as long as Retry-After says.";
    /// A bound on what a tenant may have.
    Quota, "quota_exceeded", TOO_MANY_REQUESTS, "A bound of the tenant is reached",
        "Wait for what runs to end, or delete what is not needed.";
    /// It failed here.
    Internal, "internal", INTERNAL_SERVER_ERROR, "It failed here",
        "Try again; if it stays, give the X-Request-Id to the operator.";
    /// The provider cannot be reached now.
    Upstream, "provider_unavailable", BAD_GATEWAY, "The provider does not answer as it should",
        "Try again later.";
    /// Not now.
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "Not available now",
        "Try again later.";
    /// It took too long.
    Timeout, "timeout", GATEWAY_TIMEOUT, "It took too long",
        "Try again later.";
    /// The database is full.
    Full, "storage_full", INSUFFICIENT_STORAGE, "The storage is full",
        "Ask the operator for room.";
}

/// One value of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Wrong {
    /// Where it stands, as a JSON pointer into the body, or the name of a parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body {
    /// A name for the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The kind, for people.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    code: Code,
    /// What happened this time.
    detail: String,
    /// What to do about it.
    fix: Cow<'static, str>,
    /// Which values are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Wrong>,
}

/// An answer that is a problem. It holds no secret: what it quotes of a request is
/// names and ids.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    fix: Option<String>,
    errors: Vec<Wrong>,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with what happened.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem {
            code,
            detail: cut(detail.into()),
            fix: None,
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// What is not there. The same answer whether it is another tenant's or nobody's.
    pub fn not_found(kind: &str, id: &dyn std::fmt::Display) -> Problem {
        Problem::new(Code::NotFound, format!("there is no {kind} {id}"))
    }

    /// Values that cannot work.
    pub fn invalid(errors: Vec<Wrong>) -> Problem {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.pointer, one.reason),
            many => format!("{} values cannot work", many.len()),
        };
        Problem::new(Code::Invalid, detail).with_errors(errors)
    }

    /// One value that cannot work.
    pub fn invalid_at(pointer: impl Into<String>, reason: impl Into<String>) -> Problem {
        let (pointer, reason) = (pointer.into(), reason.into());
        Problem::invalid(vec![Wrong { pointer, reason }])
    }

    /// What failed here. The cause goes to the log, never to the client.
    pub fn internal(operation: &'static str, cause: &dyn std::error::Error) -> Problem {
        tracing::error!(operation, cause = %chain(cause), "request failed");
        Problem::new(Code::Internal, format!("{operation} failed"))
    }

    /// Another fix than the code's.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Problem {
        self.fix = Some(fix.into());
        self
    }

    /// With the values that are wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Wrong>) -> Problem {
        let cut = |wrong: Wrong| Wrong {
            pointer: cut(wrong.pointer),
            reason: cut(wrong.reason),
        };
        self.errors = errors.into_iter().take(ERRORS_MAX).map(cut).collect();
        self
    }

    /// With a time to come back.
    #[must_use]
    pub fn with_retry_after_s(mut self, seconds: u64) -> Problem {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = Body {
            kind: format!("urn:tidegate:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code,
            detail: self.detail,
            fix: self.fix.map_or(Cow::Borrowed(self.code.fix()), Cow::Owned),
            errors: self.errors,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(DETAIL_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
