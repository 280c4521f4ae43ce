//! What a handler answers with, before headers and damage.

use bytes::Bytes;

use crate::hubspot::problem::Problem;

/// Media type of every JSON answer.
pub(crate) const JSON: &str = "application/json;charset=utf-8";

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
    pub(crate) location: Option<String>,
    pub(crate) retry_after_s: Option<u32>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Reply {
        Reply {
            status,
            content_type: Some(JSON),
            body: body.into(),
            location: None,
            retry_after_s: None,
        }
    }

    pub(crate) fn value(status: u16, value: &serde_json::Value) -> Reply {
        Reply::json(status, value.to_string().into_bytes())
    }

    pub(crate) fn html(status: u16, body: &'static str) -> Reply {
        Reply {
            content_type: Some("text/html; charset=utf-8"),
            body: Bytes::from_static(body.as_bytes()),
            ..Reply::empty(status)
        }
    }

    pub(crate) fn empty(status: u16) -> Reply {
        Reply {
            status,
            content_type: None,
            body: Bytes::new(),
            location: None,
            retry_after_s: None,
        }
    }

    pub(crate) fn redirect(location: String) -> Reply {
        Reply {
            location: Some(location),
            ..Reply::empty(302)
        }
    }

    pub(crate) fn problem(problem: &Problem, correlation_id: &str) -> Reply {
        Reply {
            retry_after_s: problem.retry_after_s(),
            ..Reply::json(problem.status(), problem.body(correlation_id))
        }
    }
}
