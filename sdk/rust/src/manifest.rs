//! What a connector declares about itself; the host enforces all of it.

mod auth;
mod limit;

use serde_json::{Value, json};

pub use auth::{Auth, KeyPart, OAuthClient, OAuthCode, OAuthJwt, Place, TokenKeep};
#[cfg(target_family = "wasm")]
pub(crate) use limit::LimitRule;
pub use limit::{Limit, Period, Scope};

/// The whole declaration. Start with [`Manifest::new`] and add what is needed.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Stable id: a slug or a reverse domain name.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// Version of the connector.
    pub version: String,
    /// JSON Schema of the configuration.
    pub config_schema: Value,
    /// Where requests may go.
    pub endpoints: Vec<Endpoint>,
    /// Further hosts of absolute links; a leading "*." is allowed.
    pub allowed_hosts: Vec<String>,
    /// How requests are authorised: name and method.
    pub auth: Vec<(String, Auth)>,
    /// What the provider allows.
    pub limits: Vec<Limit>,
    /// Names of secrets used for signing.
    pub secrets: Vec<String>,
    /// Response headers that the connector wants to see.
    pub response_headers: Vec<String>,
    /// How answers are classified; the first match wins.
    pub responses: Vec<ResponseRule>,
    /// What a blind connector may know of a body: JSON pointers, "*" for any element.
    pub paging_pointers: Vec<String>,
    /// Further declarations.
    pub extra: Value,
}

impl Manifest {
    /// A connector that takes no configuration and may reach nothing.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            version: version.into(),
            config_schema: json!({"type": "object", "properties": {}}),
            endpoints: Vec::new(),
            allowed_hosts: Vec::new(),
            auth: Vec::new(),
            limits: Vec::new(),
            secrets: Vec::new(),
            response_headers: Vec::new(),
            responses: Vec::new(),
            paging_pointers: Vec::new(),
            extra: json!({}),
        }
    }

    /// Sets the JSON Schema of the configuration.
    #[must_use]
    pub fn config_schema(mut self, schema: Value) -> Self {
        self.config_schema = schema;
        self
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Adds an auth method.
    #[must_use]
    pub fn auth(mut self, name: impl Into<String>, auth: Auth) -> Self {
        self.auth.push((name.into(), auth));
        self
    }

    /// Adds a limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        let costs: Vec<_> = self.limits.iter().map(|limit| &limit.costs).collect();
        if costs.iter().any(|costs| **costs != limit::Costs::default()) {
            self.extra["limits"] = json!(costs);
        }
        self
    }

    /// Adds a response header that the connector wants to see.
    #[must_use]
    pub fn response_header(mut self, name: impl Into<String>) -> Self {
        self.response_headers.push(name.into());
        self
    }

    /// Adds a rule for answers; the first match wins.
    #[must_use]
    pub fn response(mut self, rule: ResponseRule) -> Self {
        self.responses.push(rule);
        self
    }

    /// Lets a blind connector know what is at this pointer.
    #[must_use]
    pub fn paging_pointer(mut self, pointer: impl Into<String>) -> Self {
        self.paging_pointers.push(pointer.into());
        self
    }

    /// A prefix of paths where even a GET changes something, such as a scroll that moves
    /// on: the host never sends a request below it twice.
    #[must_use]
    pub fn once(mut self, prefix: impl Into<String>) -> Self {
        let prefix = Value::String(prefix.into());
        match self.extra["once"].as_array_mut() {
            Some(known) => known.push(prefix),
            None => self.extra["once"] = Value::Array(vec![prefix]),
        }
        self
    }

    /// Declares that the connector works blind: it reads no record.
    #[must_use]
    pub fn blind(mut self) -> Self {
        self.extra["blind"] = Value::Bool(true);
        self
    }
}

/// Whose content an endpoint serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Records.
    Data,
    /// Descriptions of records; readable by blind connectors.
    Metadata,
}

/// A place that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in requests.
    pub name: String,
    /// "https://api.example.com", or with "{token.instance_url}" or
    /// "{config.region}" filled in by the host.
    pub base_url: String,
    /// Whose content it serves.
    pub role: Role,
    /// Prefixes that paths must have; empty allows all.
    pub paths: Vec<String>,
    /// The host keeps a cookie jar, per partition.
    pub cookies: bool,
}

impl Endpoint {
    /// An endpoint that serves records.
    #[must_use]
    pub fn data(name: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            role: Role::Data,
            paths: Vec::new(),
            cookies: false,
        }
    }

    /// An endpoint that serves descriptions of records.
    #[must_use]
    pub fn metadata(name: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            role: Role::Metadata,
            ..Self::data(name, base_url)
        }
    }

    /// Adds a prefix that paths may have.
    #[must_use]
    pub fn path(mut self, prefix: impl Into<String>) -> Self {
        self.paths.push(prefix.into());
        self
    }

    /// Asks for a cookie jar.
    #[must_use]
    pub fn with_cookies(mut self) -> Self {
        self.cookies = true;
        self
    }
}

/// What an answer means for the host's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseClass {
    /// Slow down for seconds.
    ThrottledShort,
    /// A long quota is used up.
    ThrottledLong,
    /// The credential was refused.
    Auth,
    /// Try again.
    Transient,
    /// Trying again is of no use.
    Permanent,
    /// Good.
    Success,
}

/// Which answers are of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRule {
    /// First status code.
    pub first: u16,
    /// Last status code.
    pub last: u16,
    /// JSON pointer, and what the text there must hold.
    pub body: Option<(String, String)>,
    /// The class.
    pub class: ResponseClass,
}

impl ResponseRule {
    /// Answers with one status code.
    #[must_use]
    pub fn status(status: u16, class: ResponseClass) -> Self {
        Self::range(status, status, class)
    }

    /// Answers with a status code from `first` to `last`, both included.
    #[must_use]
    pub fn range(first: u16, last: u16, class: ResponseClass) -> Self {
        Self {
            first,
            last,
            body: None,
            class,
        }
    }

    /// Only those whose body holds this text at this pointer.
    #[must_use]
    pub fn holding(mut self, pointer: impl Into<String>, text: impl Into<String>) -> Self {
        self.body = Some((pointer.into(), text.into()));
        self
    }
}
