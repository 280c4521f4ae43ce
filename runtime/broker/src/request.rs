//! One request as a guest states it, and the answer that it gets.

use bytes::Bytes;
use tidegate_domain::manifest::EndpointRole;

/// The methods of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// Whether sending twice does what sending once does (RFC 9110, 9.2.2).
    pub(crate) fn is_idempotent(self) -> bool {
        matches!(
            self,
            Method::Get | Method::Head | Method::Put | Method::Delete
        )
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> http::Method {
        match method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        }
    }
}

/// Where a request goes.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// A path below an endpoint of the manifest.
    Endpoint {
        /// The endpoint's name.
        endpoint: String,
        /// Percent-encoded, starts with one `/`; may carry a query.
        path: String,
        /// Appended, percent-encoded here.
        query: Vec<(String, String)>,
    },
    /// A "next page" link, held against the same endpoints.
    Absolute(String),
}

/// What a request carries.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    None,
    /// A JSON document.
    Json(String),
    /// Names and values of a form, percent-encoded here.
    Form(Vec<(String, String)>),
    /// Bytes of a given type.
    Raw {
        /// The media type.
        content_type: String,
        /// The body.
        bytes: Bytes,
    },
}

/// One request. Not `Debug`: paths and bodies hold customers' values.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// The guest's headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub payload: Payload,
    /// Auth method of the manifest; none sends no credential.
    pub auth: Option<String>,
    /// Bucket of the manifest's limits; none means `default`.
    pub bucket: Option<String>,
    /// Units of that bucket; 0 counts as 1.
    pub cost: u32,
    /// Says that the provider recognises a repetition, so that any method may be
    /// sent again.
    pub idempotency_key: Option<String>,
    /// Lower than the broker's own limit, or ignored.
    pub timeout_ms: Option<u32>,
    /// Lower than the broker's own limit, or ignored.
    pub body_bytes_max: Option<u64>,
}

/// An answer with its whole body. Not `Debug`: it holds customers' records.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// `content-type` and those that the manifest names, in lower case.
    pub headers: Vec<(String, String)>,
    /// Whole and decoded.
    pub body: Bytes,
    /// The endpoint that answered; the host's name for a host of
    /// `allowed_hosts`.
    pub endpoint: String,
    /// What bodies of the endpoint hold.
    pub role: EndpointRole,
    /// When the request was sent, in milliseconds since the epoch.
    pub sent_at_ms: u64,
}
