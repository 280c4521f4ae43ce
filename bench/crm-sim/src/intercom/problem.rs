//! The error envelope of the API, one constructor per known failure.

use serde_json::json;

/// A failure, before it gets its request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    code: &'static str,
    message: String,
    field: Option<String>,
    /// Value of the `Retry-After` header, which the real API does not promise.
    pub(crate) retry_after_s: Option<u32>,
}

impl Problem {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Problem {
        Problem {
            status,
            code,
            message: message.into(),
            field: None,
            retry_after_s: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Problem {
        Problem::new(400, "bad_request", message)
    }

    pub(crate) fn client_error(message: impl Into<String>) -> Problem {
        Problem::new(400, "client_error", message)
    }

    pub(crate) fn missing(name: &str) -> Problem {
        Problem::new(400, "parameter_not_found", format!("{name} not specified"))
    }

    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Problem {
        Problem {
            field: Some(field.to_owned()),
            ..Problem::new(400, "parameter_invalid", message)
        }
    }

    pub(crate) fn cursor() -> Problem {
        Problem::client_error(
            "Invalid starting_after param. Please try again using a starting_after value from a paginated response",
        )
    }

    pub(crate) fn sort_order() -> Problem {
        let message = "sort order must be ascending or descending";
        Problem::new(400, "invalid_sort_order", message)
    }

    pub(crate) fn version() -> Problem {
        let message = "Requested resource is not available in current API version.";
        Problem::new(400, "intercom_version_invalid", message)
    }

    pub(crate) fn scroll_exists() -> Problem {
        let message = "scroll already exists for this workspace";
        Problem::new(400, "scroll_exists", message)
    }

    pub(crate) fn scroll_unknown() -> Problem {
        Problem::new(404, "not_found", "scroll parameter not found")
    }

    /// The scroll broke off on the server's side and cannot go on.
    pub(crate) fn scroll_broken() -> Problem {
        Problem::new(
            500,
            "server_error",
            "Request failed due to an internal network error. Please restart the scroll operation.",
        )
    }

    pub(crate) fn unauthorized() -> Problem {
        Problem::new(401, "unauthorized", "Access Token Invalid")
    }

    pub(crate) fn not_found(message: &str) -> Problem {
        Problem::new(404, "not_found", message)
    }

    pub(crate) fn no_contact() -> Problem {
        Problem::not_found("User Not Found")
    }

    pub(crate) fn no_company() -> Problem {
        Problem::new(404, "company_not_found", "Company Not Found")
    }

    pub(crate) fn no_admin() -> Problem {
        Problem::new(404, "admin_not_found", "Admin not found")
    }

    pub(crate) fn no_tag() -> Problem {
        Problem::new(404, "tag_not_found", "Tag not found")
    }

    pub(crate) fn not_acceptable() -> Problem {
        let message = "The Accept header should send a media type of application/json";
        Problem::new(406, "media_type_not_acceptable", message)
    }

    /// Another contact has the same identity.
    pub(crate) fn conflict(id: &str, archived: bool) -> Problem {
        let which = if archived { "An archived" } else { "A" };
        let message = format!("{which} contact matching those details already exists with id={id}");
        Problem::new(409, "conflict", message)
    }

    pub(crate) fn rate_limited() -> Problem {
        let message = "The rate limit for the App has been exceeded";
        Problem::new(429, "rate_limit_exceeded", message)
    }

    pub(crate) fn server(status: u16) -> Problem {
        match status {
            503 => Problem::new(
                503,
                "service_unavailable",
                "Sorry, the API service is temporarily unavailable",
            ),
            504 => Problem::new(504, "server_timeout", "Server Timeout"),
            _ => Problem::new(status, "server_error", "Server Error"),
        }
    }

    /// The body, with the request id that the header repeats.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(field) = &self.field {
            error["field"] = json!(field);
        }
        json!({"type": "error.list", "request_id": request_id, "errors": [error]})
            .to_string()
            .into_bytes()
    }
}
