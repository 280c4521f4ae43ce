//! The error envelope of the API, one constructor per documented failure.

use serde::Serialize;
use serde_json::Value;

/// A failure, before it gets its correlation id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) category: Option<&'static str>,
    pub(crate) error_type: Option<&'static str>,
    pub(crate) policy_name: Option<&'static str>,
    pub(crate) group_name: Option<String>,
    pub(crate) errors: Option<Value>,
    pub(crate) context: Option<Value>,
    pub(crate) retry_after_s: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
    correlation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a Value>,
}

impl Problem {
    fn new(status: u16, category: Option<&'static str>, message: String) -> Problem {
        Problem {
            status,
            message,
            category,
            ..Problem::default()
        }
    }

    pub(crate) fn validation(message: String) -> Problem {
        Problem::new(400, Some("VALIDATION_ERROR"), message)
    }

    /// A body that could not be read: the one 400 without a category.
    pub(crate) fn malformed(detail: String) -> Problem {
        Problem::new(400, None, detail)
    }

    /// A body that is no JSON of the expected shape.
    pub(crate) fn invalid_json(error: &serde_json::Error) -> Problem {
        Problem::malformed(format!(
            "Invalid input JSON on line {}, column {}: {error}",
            error.line(),
            error.column()
        ))
    }

    pub(crate) fn unknown_type(text: &str) -> Problem {
        Problem::malformed(format!("Unable to infer object type from: {text}"))
    }

    pub(crate) fn not_found() -> Problem {
        Problem::new(
            404,
            Some("OBJECT_NOT_FOUND"),
            "resource not found".to_owned(),
        )
    }

    pub(crate) fn conflict(message: String) -> Problem {
        Problem::new(409, Some("CONFLICT"), message)
    }

    pub(crate) fn no_credentials() -> Problem {
        Problem::new(
            401,
            Some("INVALID_AUTHENTICATION"),
            "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview".to_owned(),
        )
    }

    pub(crate) fn expired(minutes: i64) -> Problem {
        Problem::new(
            401,
            Some("EXPIRED_AUTHENTICATION"),
            format!("The OAuth token used to make this call expired {minutes} minute(s) ago."),
        )
    }

    pub(crate) fn missing_scopes(scope: &str) -> Problem {
        let message = "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.";
        Problem {
            errors: Some(serde_json::json!([{
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": [scope]},
            }])),
            ..Problem::new(403, Some("MISSING_SCOPES"), message.to_owned())
        }
    }

    /// The ten-second window of an app is full.
    pub(crate) fn ten_secondly(group_name: String) -> Problem {
        Problem {
            error_type: Some("RATE_LIMIT"),
            policy_name: Some("TEN_SECONDLY_ROLLING"),
            group_name: Some(group_name),
            ..Problem::new(
                429,
                None,
                "You have reached your ten_secondly_rolling limit.".to_owned(),
            )
        }
    }

    /// The account's day is used up.
    pub(crate) fn daily() -> Problem {
        Problem {
            error_type: Some("RATE_LIMIT"),
            policy_name: Some("DAILY"),
            ..Problem::new(429, None, "You have reached your daily limit.".to_owned())
        }
    }

    /// The account's search second is full: an older body than the others.
    pub(crate) fn secondly() -> Problem {
        Problem::new(
            429,
            Some("RATE_LIMITS"),
            "You have reached your secondly limit.".to_owned(),
        )
    }

    pub(crate) fn server(status: u16) -> Problem {
        Problem::new(status, None, "internal error".to_owned())
    }

    /// The body, with the correlation id that the header repeats.
    pub(crate) fn body(&self, correlation_id: &str) -> Vec<u8> {
        let daily = self.policy_name == Some("DAILY");
        let envelope = Envelope {
            status: "error",
            message: &self.message,
            error_type: self.error_type,
            correlation_id,
            category: self.category,
            policy_name: self.policy_name,
            group_name: self.group_name.as_deref(),
            request_id: daily.then_some(correlation_id),
            errors: self.errors.as_ref(),
            context: self.context.as_ref(),
        };
        serde_json::to_vec(&envelope).unwrap_or_default()
    }
}
