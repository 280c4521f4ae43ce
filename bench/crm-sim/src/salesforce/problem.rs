//! The failures of the data API: an array of code and message, one constructor per
//! documented failure. (The token endpoint answers with an object instead.)

use serde_json::{Value, json};

/// A failure with its status. Boxed, since most results carry none.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Fields>);

#[derive(Clone, Debug)]
struct Fields {
    status: u16,
    code: String,
    message: String,
    fields: Option<Vec<String>>,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Problem {
        Problem(Box::new(Fields {
            status,
            code: code.to_owned(),
            message: message.into(),
            fields: None,
        }))
    }

    /// Names the fields at fault.
    pub(crate) fn on(mut self, fields: &[&str]) -> Problem {
        self.0.fields = Some(fields.iter().map(|&field| field.to_owned()).collect());
        self
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn fields(&self) -> &[String] {
        self.0.fields.as_deref().unwrap_or_default()
    }

    /// Whether the record itself is at fault, not one that it refers to.
    pub(crate) fn is_about_the_record(&self) -> bool {
        self.fields().iter().all(|field| field == "Id")
    }

    pub(crate) fn malformed_query(message: impl Into<String>) -> Problem {
        Problem::new(400, "MALFORMED_QUERY", message)
    }

    pub(crate) fn no_such_column(field: &str, object: &str, place: &str) -> Problem {
        Problem::new(
            400,
            "INVALID_FIELD",
            format!(
                "{place}No such column '{field}' on entity '{object}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."
            ),
        )
    }

    pub(crate) fn no_such_type(name: &str, place: &str) -> Problem {
        Problem::new(
            400,
            "INVALID_TYPE",
            format!(
                "{place}sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
            ),
        )
    }

    pub(crate) fn invalid_locator() -> Problem {
        Problem::new(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    }

    pub(crate) fn not_found() -> Problem {
        Problem::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    pub(crate) fn deleted() -> Problem {
        Problem::new(404, "ENTITY_IS_DELETED", "entity is deleted")
    }

    pub(crate) fn wrong_method(method: &str) -> Problem {
        Problem::new(
            405,
            "METHOD_NOT_ALLOWED",
            format!("HTTP Method '{method}' not allowed. Allowed are HEAD,GET,POST,PATCH,DELETE"),
        )
    }

    pub(crate) fn session() -> Problem {
        Problem::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    pub(crate) fn no_session() -> Problem {
        Problem::new(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
    }

    pub(crate) fn json_parser(message: impl Into<String>) -> Problem {
        Problem::new(400, "JSON_PARSER_ERROR", message)
    }

    pub(crate) fn daily() -> Problem {
        Problem::new(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        )
    }

    /// The same status and code as the day's, told apart by the message alone.
    pub(crate) fn concurrent() -> Problem {
        Problem::new(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        )
    }

    pub(crate) fn server(status: u16) -> Problem {
        match status {
            503 => Problem::new(503, "SERVER_UNAVAILABLE", "Server too busy"),
            _ => Problem::new(
                status,
                "UNKNOWN_EXCEPTION",
                "An unexpected error occurred. Please include this ErrorId if you contact support: 1848532-41206 (-1704475928)",
            ),
        }
    }

    /// A failure by the name of its code.
    pub(crate) fn named(code: &str) -> Problem {
        match code {
            "REQUEST_LIMIT_EXCEEDED" | "DAILY_LIMIT" => Problem::daily(),
            "CONCURRENT_LIMIT" => Problem::concurrent(),
            "INVALID_QUERY_LOCATOR" => Problem::invalid_locator(),
            "INVALID_SESSION_ID" => Problem::session(),
            "QUERY_TIMEOUT" => {
                Problem::new(400, code, "Your query request was running for too long.")
            }
            "UNABLE_TO_LOCK_ROW" => Problem::new(
                400,
                code,
                "unable to obtain exclusive access to this record or 1 records: 0014S000007NxgWQAS",
            ),
            "API_DISABLED_FOR_ORG" => Problem::new(
                403,
                code,
                "API is not enabled for this Organization or Partner",
            ),
            "TXN_SECURITY_METERING_ERROR" => {
                Problem::new(403, code, "Transaction security policy limit")
            }
            "SERVER_UNAVAILABLE" => Problem::server(503),
            "UNKNOWN_EXCEPTION" => Problem::server(500),
            _ => Problem::new(400, code, code.to_lowercase().replace('_', " ")),
        }
    }

    /// The body of a failed request.
    pub(crate) fn body(&self) -> Value {
        let fields = &self.0;
        let mut entry = json!({"message": fields.message, "errorCode": fields.code});
        if let Some(names) = &fields.fields {
            entry["fields"] = json!(names);
        }
        json!([entry])
    }

    /// The same as one row of a collection reports it.
    pub(crate) fn row(&self) -> Value {
        let fields = &self.0;
        json!({
            "success": false,
            "errors": [{
                "statusCode": fields.code,
                "message": fields.message,
                "fields": fields.fields.as_deref().unwrap_or_default(),
            }],
        })
    }
}
