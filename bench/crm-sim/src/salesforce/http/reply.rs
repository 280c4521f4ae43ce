//! What a handler answers with, before the headers of every answer and damage.

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::salesforce::problem::Problem;

/// Media type of every JSON answer.
const JSON: &str = "application/json;charset=UTF-8";

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) content: Content,
    pub(crate) headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    /// Rendered while it is sent.
    Pieces(mpsc::Receiver<Bytes>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Reply {
        Reply {
            status,
            content_type: Some(JSON),
            content: Content::Whole(body.into()),
            headers: Vec::new(),
        }
    }

    pub(crate) fn value(status: u16, value: &Value) -> Reply {
        Reply::json(status, value.to_string().into_bytes())
    }

    pub(crate) fn html(status: u16, body: &'static str) -> Reply {
        Reply {
            content_type: Some("text/html; charset=UTF-8"),
            content: Content::Whole(Bytes::from_static(body.as_bytes())),
            ..Reply::empty(status)
        }
    }

    pub(crate) fn csv(content: Content) -> Reply {
        Reply {
            content_type: Some("text/csv; charset=UTF-8"),
            content,
            ..Reply::empty(200)
        }
    }

    pub(crate) fn empty(status: u16) -> Reply {
        Reply {
            status,
            content_type: None,
            content: Content::Whole(Bytes::new()),
            headers: Vec::new(),
        }
    }

    pub(crate) fn redirect(location: String) -> Reply {
        Reply::empty(302).with("location", location)
    }

    pub(crate) fn problem(problem: &Problem) -> Reply {
        let reply = Reply::value(problem.status(), &problem.body());
        if problem.status() == 401 {
            return reply.with("www-authenticate", "Token".to_owned());
        }
        reply
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }
}
