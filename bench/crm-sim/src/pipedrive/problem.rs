//! The failures of the API, each with the body of its version.

use serde_json::{Value, json};

/// What every refusal of the first version refers to.
const DOCUMENTATION: &str = "Please check developers.pipedrive.com";

/// A failure before it has a body. Boxed, since most results carry none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem(Box<Fields>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    status: u16,
    error: String,
    /// What the second version calls it.
    code: Option<&'static str>,
    retry_after_s: Option<u32>,
}

impl Problem {
    fn new(status: u16, error: String, code: Option<&'static str>) -> Problem {
        Problem(Box::new(Fields {
            status,
            error,
            code,
            retry_after_s: None,
        }))
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        self.0.retry_after_s
    }

    pub(crate) fn with_retry_after_s(mut self, seconds: Option<u32>) -> Problem {
        self.0.retry_after_s = seconds;
        self
    }

    /// A parameter or a value that breaks the rules.
    pub(crate) fn invalid(error: String) -> Problem {
        Problem::new(400, error, Some("ERR_SCHEMA_VALIDATION_FAILED"))
    }

    pub(crate) fn unauthorized() -> Problem {
        Problem::new(401, "unauthorized access".to_owned(), None)
    }

    pub(crate) fn scope() -> Problem {
        Problem::new(403, "Scope and URL mismatch".to_owned(), None)
    }

    pub(crate) fn not_found(what: &str) -> Problem {
        Problem::new(404, format!("{what} not found"), Some("ERR_NOT_FOUND"))
    }

    pub(crate) fn unknown_method() -> Problem {
        Problem::new(404, "Unknown method .".to_owned(), None)
    }

    pub(crate) fn wrong_method() -> Problem {
        Problem::new(405, "Method not allowed".to_owned(), None)
    }

    pub(crate) fn gone(error: String) -> Problem {
        Problem::new(410, error, None)
    }

    pub(crate) fn over_limit() -> Problem {
        Problem::new(429, "request over limit".to_owned(), None)
    }

    pub(crate) fn server(status: u16) -> Problem {
        Problem::new(status, "internal server error".to_owned(), None)
    }

    /// The body as the version of the path has it.
    pub(crate) fn body(&self, second_version: bool) -> Value {
        let fields = &*self.0;
        match (fields.code, second_version) {
            (Some(code), true) => json!({
                "success": false,
                "error": fields.error,
                "code": code,
                "data": null,
                "additional_data": null,
            }),
            (Some(_), false) => json!({
                "success": false,
                "error": fields.error,
                "error_info": format!("{DOCUMENTATION} for more information about Pipedrive API."),
                "data": null,
                "additional_data": null,
            }),
            (None, _) if fields.status == 429 => json!({
                "success": false,
                "error": fields.error,
                "errorCode": fields.status,
            }),
            (None, _) => json!({
                "success": false,
                "error": fields.error,
                "errorCode": fields.status,
                "error_info": DOCUMENTATION,
            }),
        }
    }
}
