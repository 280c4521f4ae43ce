//! The error envelope of the API, one constructor per documented failure.

use serde::Serialize;
use serde_json::Value;

/// A failure, before it gets its correlation id. Boxed, since most results
/// carry none.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Fields>);

#[derive(Clone, Debug, Default)]
struct Fields {
    status: u16,
    message: String,
    category: Option<&'static str>,
    error_type: Option<&'static str>,
    policy_name: Option<&'static str>,
    group_name: Option<String>,
    errors: Option<Value>,
    retry_after_s: Option<u32>,
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
}

impl Problem {
    fn new(status: u16, category: Option<&'static str>, message: String) -> Problem {
        Problem(Box::new(Fields {
            status,
            message,
            category,
            ..Fields::default()
        }))
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        self.0.retry_after_s
    }

    /// Tells the client how long to stay away, in seconds.
    pub(crate) fn with_retry_after_s(mut self, retry_after_s: Option<u32>) -> Problem {
        self.0.retry_after_s = retry_after_s;
        self
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
        let mut problem = Problem::new(403, Some("MISSING_SCOPES"), message.to_owned());
        problem.0.errors = Some(serde_json::json!([{
            "message": "One or more of the following scopes are required.",
            "context": {"requiredGranularScopes": [scope]},
        }]));
        problem
    }

    /// The ten-second window of an app is full.
    pub(crate) fn ten_secondly(group_name: String) -> Problem {
        let message = "You have reached your ten_secondly_rolling limit.";
        let mut problem = Problem::new(429, None, message.to_owned());
        problem.0.error_type = Some("RATE_LIMIT");
        problem.0.policy_name = Some("TEN_SECONDLY_ROLLING");
        problem.0.group_name = Some(group_name);
        problem
    }

    /// The account's day is used up.
    pub(crate) fn daily() -> Problem {
        let message = "You have reached your daily limit.";
        let mut problem = Problem::new(429, None, message.to_owned());
        problem.0.error_type = Some("RATE_LIMIT");
        problem.0.policy_name = Some("DAILY");
        problem
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
        let fields = &*self.0;
        let daily = fields.policy_name == Some("DAILY");
        let envelope = Envelope {
            status: "error",
            message: &fields.message,
            error_type: fields.error_type,
            correlation_id,
            category: fields.category,
            policy_name: fields.policy_name,
            group_name: fields.group_name.as_deref(),
            request_id: daily.then_some(correlation_id),
            errors: fields.errors.as_ref(),
        };
        serde_json::to_vec(&envelope).unwrap_or_default()
    }
}
