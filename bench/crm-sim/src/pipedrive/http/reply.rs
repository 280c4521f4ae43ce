//! What a handler answers with, before headers and damage.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::pipedrive::problem::Problem;

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Bytes,
    pub(super) location: Option<String>,
    pub(super) retry_after_s: Option<u32>,
}

impl Reply {
    pub(super) fn json(status: u16, body: Vec<u8>) -> Reply {
        Reply {
            status,
            content_type: Some("application/json"),
            body: body.into(),
            location: None,
            retry_after_s: None,
        }
    }

    pub(super) fn value(status: u16, value: &Value) -> Reply {
        Reply::json(status, value.to_string().into_bytes())
    }

    /// A success with this `data`.
    pub(super) fn success(data: &Value) -> Reply {
        Reply::value(200, &json!({ "success": true, "data": data }))
    }

    pub(super) fn html(status: u16, body: &'static str) -> Reply {
        Reply {
            content_type: Some("text/html; charset=UTF-8"),
            body: Bytes::from_static(body.as_bytes()),
            ..Reply::json(status, Vec::new())
        }
    }

    pub(super) fn redirect(location: String) -> Reply {
        Reply {
            content_type: None,
            location: Some(location),
            ..Reply::json(302, Vec::new())
        }
    }

    pub(super) fn problem(problem: &Problem, second_version: bool) -> Reply {
        Reply {
            retry_after_s: problem.retry_after_s(),
            ..Reply::value(problem.status(), &problem.body(second_version))
        }
    }
}
