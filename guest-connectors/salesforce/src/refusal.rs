//! What Salesforce says when it refuses: arrays of codes and messages, made failures
//! that say what to fix.

use tidegate_sdk::prelude::*;

/// Characters of a message that are passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// An answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Empty where the answer was none of the API's own.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Sends a request; an answer that is not 2xx is a [`Refusal`].
pub(crate) fn ask(host: &Host, request: &Request) -> Result<Result<Response, Refusal>, Failure> {
    Ok(accepted(host.fetch(request)?))
}

pub(crate) fn accepted(response: Response) -> Result<Response, Refusal> {
    if (200..=299).contains(&response.status) {
        return Ok(response);
    }
    let at = |pointer: &str| {
        let text = response.body.plain(pointer).ok().flatten();
        text.unwrap_or_default()
    };
    Err(Refusal {
        status: response.status,
        code: at("/0/errorCode"),
        message: at("/0/message").chars().take(MESSAGE_CHARS_MAX).collect(),
    })
}

impl Refusal {
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// Fewer records at once would do.
    pub(crate) fn is_too_much(&self) -> bool {
        self.is("QUERY_TIMEOUT") || self.is("OPERATION_TOO_LARGE")
    }

    /// Bulk does not serve this object or query, or no more jobs today; queries may.
    pub(crate) fn is_of_bulk(&self) -> bool {
        let codes = [
            "INVALIDENTITY",
            "FUNCTIONALITY_NOT_ENABLED",
            "API_ERROR",
            "LIMIT_EXCEEDED",
        ];
        let texts = [
            "Bulk",
            "does not support query",
            "Implementation restriction",
        ];
        self.status == 400
            && (codes.contains(&self.code.as_str())
                || texts.iter().any(|text| self.message.contains(text)))
    }

    /// What the refusal means for whoever asked about `object`.
    pub(crate) fn failure(self, object: &str) -> Failure {
        let Self {
            status,
            code,
            message,
        } = self;
        let text = match (code.as_str(), message.as_str()) {
            ("", _) => format!("Salesforce answered {status} for {object}"),
            (code, message) => {
                format!("Salesforce answered {status} {code} for {object}: {message}")
            }
        };
        match code.as_str() {
            "INVALID_SESSION_ID" | "INVALID_AUTH_HEADER" => Failure::Auth(text),
            "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED" => Failure::Config(format!(
                "{text}; the org's edition or the user's profile has no API access: give the \
                 user the permission \"API Enabled\", or connect another one"
            )),
            "REQUEST_LIMIT_EXCEEDED" => Failure::Throttled(None),
            "INVALID_TYPE" | "NOT_FOUND" | "INSUFFICIENT_ACCESS" => Failure::Unsupported(format!(
                "{text}; the object is not there, or the user may not read it"
            )),
            "QUERY_TIMEOUT"
            | "OPERATION_TOO_LARGE"
            | "UNABLE_TO_LOCK_ROW"
            | "INVALID_QUERY_LOCATOR"
            | "SERVER_UNAVAILABLE"
            | "UNKNOWN_EXCEPTION" => Failure::Transient(text),
            _ => match status {
                401 => Failure::Auth(text),
                403 | 404 => Failure::Unsupported(text),
                406 | 408 | 420 | 500..=599 => Failure::Transient(text),
                429 => Failure::Throttled(None),
                300..=399 => Failure::Protocol(text),
                _ => Failure::Fatal(text),
            },
        }
    }
}
