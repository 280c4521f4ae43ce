//! What the remote system of a test answers.

use serde_json::Value;

use crate::HttpFault;

/// What the remote system answers, or why it does not.
#[derive(Debug, Clone)]
pub struct Answer(pub(super) Result<Content, HttpFault>);

#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// 200 with a JSON body.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::body(body.to_string())
    }

    /// 200 with any body.
    #[must_use]
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self(Ok(Content {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        }))
    }

    /// A status code with no body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self(Ok(Content {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }))
    }

    /// A status code with a JSON body.
    #[must_use]
    pub fn refusal(status: u16, body: &Value) -> Self {
        Self::json(body).with_status(status)
    }

    /// Another status code than 200.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        if let Ok(content) = &mut self.0 {
            content.status = status;
        }
        self
    }

    /// No answer.
    #[must_use]
    pub fn fault(fault: HttpFault) -> Self {
        Self(Err(fault))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Ok(content) = &mut self.0 {
            content.headers.push((name.into(), value.into()));
        }
        self
    }
}
