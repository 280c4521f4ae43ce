//! Outgoing requests and the handles to their answers.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Failure, host::platform, json};

/// Request method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads headers alone.
    Head,
    /// Creates, or asks what a GET cannot.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An endpoint of the manifest.
    Endpoint {
        /// Its name.
        endpoint: String,
        /// Origin-relative, already percent-encoded, starts with "/".
        path: String,
        /// Appended and percent-encoded by the host.
        query: Vec<(String, String)>,
    },
    /// A link that the remote system gave; checked against the same list.
    Absolute(String),
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// Nothing.
    None,
    /// A JSON document.
    Json(String),
    /// A form.
    Form(Vec<(String, String)>),
    /// Bytes of a content type.
    Raw {
        /// The content type.
        content_type: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// One request. Credentials, limits, retries and redirects are the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// Header names and values; those that the host owns are refused.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub payload: Payload,
    /// Auth method of the manifest; none sends no credential.
    pub auth: Option<String>,
    /// Rate-limit bucket of the manifest; none means "default".
    pub bucket: Option<String>,
    /// Cost in that bucket's unit.
    pub cost: u32,
    /// Lets the host retry a non-idempotent method.
    pub idempotency_key: Option<String>,
    /// Lower than the host's cap, or ignored.
    pub timeout_ms: Option<u32>,
    /// Lower than the host's cap, or ignored.
    pub body_bytes_max: Option<u64>,
}

impl Request {
    /// A request to `path` of an endpoint of the manifest.
    #[must_use]
    pub fn new(method: Method, endpoint: impl Into<String>, path: impl Into<String>) -> Self {
        Self::to(
            method,
            Target::Endpoint {
                endpoint: endpoint.into(),
                path: path.into(),
                query: Vec::new(),
            },
        )
    }

    /// A GET to `path` of an endpoint of the manifest.
    #[must_use]
    pub fn get(endpoint: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(Method::Get, endpoint, path)
    }

    /// A POST to `path` of an endpoint of the manifest.
    #[must_use]
    pub fn post(endpoint: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(Method::Post, endpoint, path)
    }

    /// A GET of a link that the remote system gave.
    #[must_use]
    pub fn absolute(url: impl Into<String>) -> Self {
        Self::to(Method::Get, Target::Absolute(url.into()))
    }

    fn to(method: Method, target: Target) -> Self {
        Self {
            method,
            target,
            headers: Vec::new(),
            payload: Payload::None,
            auth: None,
            bucket: None,
            cost: 1,
            idempotency_key: None,
            timeout_ms: None,
            body_bytes_max: None,
        }
    }

    /// Adds a query parameter; an absolute link keeps its own.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        if let Target::Endpoint { query, .. } = &mut self.target {
            query.push((name.into(), value.to_string()));
        }
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a JSON payload.
    #[must_use]
    pub fn json(mut self, value: &serde_json::Value) -> Self {
        self.payload = Payload::Json(value.to_string());
        self
    }

    /// Sends the credential of an auth method of the manifest.
    #[must_use]
    pub fn auth(mut self, method: impl Into<String>) -> Self {
        self.auth = Some(method.into());
        self
    }

    /// Draws on a bucket of the manifest.
    #[must_use]
    pub fn bucket(mut self, bucket: impl Into<String>) -> Self {
        self.bucket = Some(bucket.into());
        self
    }

    /// Says what it costs, in the unit of its bucket; 1 without it.
    #[must_use]
    pub fn cost(mut self, units: u32) -> Self {
        self.cost = units;
        self
    }

    /// Lets the host repeat the request although its method is not idempotent.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// An answer; its body stays in the host until asked for.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// The headers that the manifest named, and content-type.
    pub headers: Vec<(String, String)>,
    /// Handle to the body.
    pub body: Body,
}

impl Response {
    /// The body of a 2xx answer; other answers become the failure that their
    /// status code suggests. The host has done its retries by then.
    ///
    /// # Errors
    /// Any answer that is not 2xx.
    pub fn success(self) -> Result<Body, Failure> {
        let status = self.status;
        let text = format!("the remote system answered {status}");
        match status {
            200..=299 => Ok(self.body),
            401 | 403 => Err(Failure::Auth(text)),
            404 | 405 | 410 => Err(Failure::Unsupported(text)),
            429 => Err(Failure::Throttled(None)),
            408 | 423 | 425 | 500..=599 => Err(Failure::Transient(text)),
            400..=499 => Err(Failure::Fatal(text)),
            _ => Err(Failure::Protocol(text)),
        }
    }

    /// The remote system's own clock, in milliseconds since the epoch, at the end of
    /// the second that its `Date` header names; the manifest must ask for that header.
    /// A bound that is up to a second late is safe, since every run looks back further;
    /// an early one would leave fresh changes waiting.
    #[must_use]
    pub fn remote_now_ms(&self) -> Option<u64> {
        let second_ms = crate::http_date(self.header("date")?)?;
        Some(second_ms + 999)
    }

    /// The first header of this name, in any letter case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(header, _): &&(String, String)| header.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str())
    }
}

/// Handle to a response body in host memory; dropping it frees the body.
///
/// A connector that runs blind may read bodies of metadata endpoints only; of
/// others it gets the manifest's paging pointers and nothing else.
#[derive(Debug)]
pub struct Body {
    pub(crate) inner: platform::Body,
}

impl Body {
    /// Decoded length in bytes; waits for the end of the body.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// Copies everything.
    ///
    /// # Errors
    /// Refused by policy, cut off, or larger than the host's cap.
    pub fn bytes(&self) -> Result<Vec<u8>, HttpFault> {
        self.inner.bytes()
    }

    /// Copies a window.
    ///
    /// # Errors
    /// As [`Body::bytes`].
    pub fn slice(&self, offset: u64, length: u32) -> Result<Vec<u8>, HttpFault> {
        self.inner.slice(offset, length)
    }

    /// Copies everything as text.
    ///
    /// # Errors
    /// As [`Body::bytes`]; also when it is not UTF-8.
    pub fn text(&self) -> Result<String, HttpFault> {
        self.inner.text()
    }

    /// The raw JSON text at a pointer, looked up by the host.
    ///
    /// # Errors
    /// A bad pointer, a body that is not JSON, or refused by policy.
    pub fn get(&self, pointer: &str) -> Result<Option<String>, HttpFault> {
        self.inner.get(pointer)
    }

    /// Many pointers in one crossing.
    ///
    /// # Errors
    /// As [`Body::get`].
    pub fn get_many(&self, pointers: &[&str]) -> Result<Vec<Option<String>>, HttpFault> {
        self.inner.get_many(pointers)
    }

    /// Length of the array or object at a pointer.
    ///
    /// # Errors
    /// As [`Body::get`].
    pub fn count(&self, pointer: &str) -> Result<Option<u32>, HttpFault> {
        self.inner.count(pointer)
    }

    /// The value at a pointer; `None` when it is absent or null.
    ///
    /// # Errors
    /// As [`Body::get`]; also [`Failure::Protocol`] when it is of another type.
    pub fn value<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>, Failure> {
        match self.get(pointer)? {
            Some(raw) => serde_json::from_str(&raw)
                .map_err(|error| Failure::Protocol(format!("at {pointer:?}: {error}"))),
            None => Ok(None),
        }
    }

    /// Plain texts at a pattern with one "*", as in "/items/*/id": of the first
    /// element, the second and so on, up to one that is not there, or `count_max`.
    ///
    /// # Errors
    /// As [`Body::get`].
    pub fn each(&self, pattern: &str, count_max: usize) -> Result<Vec<String>, HttpFault> {
        let pointers: Vec<String> = (0..count_max)
            .map(|index| pattern.replacen('*', &index.to_string(), 1))
            .collect();
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        let values = self.get_many(&pointers)?;
        let plain = |raw: Option<String>| raw.as_deref().and_then(json::plain);
        Ok(values.into_iter().map_while(plain).collect())
    }

    /// A string or number at a pointer as plain text; `None` when it is
    /// absent, null or empty.
    ///
    /// # Errors
    /// As [`Body::get`].
    pub fn plain(&self, pointer: &str) -> Result<Option<String>, HttpFault> {
        Ok(self.get(pointer)?.as_deref().and_then(json::plain))
    }
}

/// Requests in flight beside the connector's own work. Dropping it cancels
/// what is still queued or running.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) inner: platform::Pipeline,
}

impl Pipeline {
    /// Queues a request and returns its ticket at once.
    pub fn submit(&self, request: &Request) -> u32 {
        self.inner.submit(request)
    }

    /// The next finished request, in completion order; none when idle.
    pub fn next(&self) -> Option<(u32, Result<Response, HttpFault>)> {
        self.inner.next()
    }

    /// How many are queued or running.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.inner.pending()
    }
}

/// Why a request or a body could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum HttpFault {
    /// Refused by policy before any byte left; the text names the rule.
    #[error("refused by policy: {0}")]
    Denied(String),
    /// The limiter has no room before this call's deadline; try again at this
    /// time (milliseconds since the epoch).
    #[error("throttled until {0}")]
    Throttled(u64),
    /// The grant could not be refreshed; the connection needs a person.
    #[error("grant refused: {0}")]
    Auth(String),
    /// The name did not resolve.
    #[error("name resolution failed: {0}")]
    Dns(String),
    /// No connection.
    #[error("connection failed: {0}")]
    Connect(String),
    /// No trust.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// No answer in time.
    #[error("timed out: {0}")]
    Timeout(String),
    /// The body is larger than the cap, in bytes.
    #[error("body larger than {0} bytes")]
    TooLarge(u64),
    /// Not the protocol that was expected.
    #[error("protocol violated: {0}")]
    Protocol(String),
    /// The call is being stopped.
    #[error("cancelled")]
    Cancelled,
    /// The connector made a malformed request.
    #[error("malformed request: {0}")]
    Invalid(String),
}
