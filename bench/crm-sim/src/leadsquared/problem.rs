//! The error bodies of the API: what is wrong with a request is a status 500 with the
//! name of an exception.

use serde_json::json;

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    exception: String,
    message: String,
    /// Whether the rate was at fault.
    pub(crate) throttled: bool,
}

impl Problem {
    /// A request that the API understood and will not do.
    pub(crate) fn exception(exception: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            status: 500,
            exception: exception.into(),
            message: message.into(),
            throttled: false,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Problem {
        Problem::exception("MXInvalidInputException", message)
    }

    pub(crate) fn missing(name: &str) -> Problem {
        let message = format!("Mandatory attribute '{name}' is missing");
        Problem::exception("MXMandatoryAttributeMissingException", message)
    }

    pub(crate) fn duplicate(value: &str, column: &str) -> Problem {
        let message = format!("Duplicate entry '{value}' for key 'UQ_Prospect_Base_{column}'");
        Problem::exception("MXDuplicateEntryException", message)
    }

    pub(crate) fn script(name: &str) -> Problem {
        let message = format!("The value of '{name}' is potentially dangerous");
        Problem::exception("MXXSSException", message)
    }

    /// A body that is no JSON of the expected shape.
    pub(crate) fn malformed() -> Problem {
        Problem {
            status: 400,
            ..Problem::exception(
                "MXBadRequestException",
                "The message body is not as per API specification",
            )
        }
    }

    pub(crate) fn unauthorized() -> Problem {
        Problem {
            status: 401,
            ..Problem::exception("MXUnauthorizedException", "Invalid access credentials")
        }
    }

    pub(crate) fn rate_limited(limit: u64) -> Problem {
        let message = format!("API calls exceeded the limit of {limit} in 5 second(s)");
        Problem {
            status: 429,
            throttled: true,
            ..Problem::exception("MXAPIRateLimitExceededException", message)
        }
    }

    pub(crate) fn day_over() -> Problem {
        Problem {
            status: 429,
            throttled: true,
            ..Problem::exception(
                "MXAPICallLimitExceededException",
                "API calls exceeded the daily limit",
            )
        }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        json!({
            "Status": "Error",
            "ExceptionType": self.exception,
            "ExceptionMessage": self.message,
        })
        .to_string()
        .into_bytes()
    }
}
