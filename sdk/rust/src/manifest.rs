//! What a connector declares about itself; the host enforces all of it.

use serde_json::{Value, json};

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
        Self { role: Role::Metadata, ..Self::data(name, base_url) }
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

/// A field of the token answer that the host keeps: its name in templates and
/// the JSON pointer it is found at.
pub type TokenKeep = (String, String);

/// OAuth 2.0 authorization code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OAuthCode {
    /// Where the user consents.
    pub authorize_url: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: String,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// Proof key for code exchange.
    pub pkce: bool,
    /// Client id and secret as HTTP basic instead of in the form.
    pub basic_client_auth: bool,
    /// What to keep of the token answer.
    pub keep: Vec<TokenKeep>,
}

/// OAuth 2.0 client credentials.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OAuthClient {
    /// Where tokens are had.
    pub token_url: String,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// Client id and secret as HTTP basic instead of in the form.
    pub basic_client_auth: bool,
    /// What to keep of the token answer.
    pub keep: Vec<TokenKeep>,
}

/// OAuth 2.0 JWT bearer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OAuthJwt {
    /// Where tokens are had.
    pub token_url: String,
    /// Whom the assertion is for.
    pub audience: String,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// What to keep of the token answer.
    pub keep: Vec<TokenKeep>,
}

/// Where a key is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Into the header of this name.
    Header(String),
    /// Into the query parameter of this name.
    Query(String),
}

/// One key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPart {
    /// Name of the secret in the connection.
    pub secret: String,
    /// Where it is put.
    pub place: Place,
    /// What goes before it, for example "Bearer ".
    pub prefix: String,
}

/// How the host authorises a request. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// OAuth 2.0 authorization code.
    OAuthCode(OAuthCode),
    /// OAuth 2.0 client credentials.
    OAuthClient(OAuthClient),
    /// OAuth 2.0 JWT bearer.
    OAuthJwt(OAuthJwt),
    /// Keys, each in its place.
    Keys(Vec<KeyPart>),
    /// A JWT that the host signs for every request.
    SignedJwt {
        /// Signature algorithm.
        algorithm: String,
        /// Claims as JSON; "{config.account}" and the like are filled in.
        claims: String,
        /// Seconds that it is good for.
        lifetime_s: u32,
    },
    /// AWS signature version 4.
    AwsSigV4 {
        /// The service.
        service: String,
        /// The region.
        region: String,
    },
    /// HTTP basic.
    Basic,
}

impl Auth {
    /// One key in one place.
    #[must_use]
    pub fn key(secret: impl Into<String>, place: Place, prefix: impl Into<String>) -> Self {
        Self::Keys(vec![KeyPart { secret: secret.into(), place, prefix: prefix.into() }])
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
        Self { first, last, body: None, class }
    }

    /// Only those whose body holds this text at this pointer.
    #[must_use]
    pub fn holding(mut self, pointer: impl Into<String>, text: impl Into<String>) -> Self {
        self.body = Some((pointer.into(), text.into()));
        self
    }
}

/// Who shares a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One connection.
    Connection,
    /// All connections to one account of the provider.
    RemoteAccount,
    /// All users of one application registration.
    Application,
}

/// A calendar period, in the provider's zone (IANA name; none means UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Period {
    /// A day.
    Day(Option<String>),
    /// A month.
    Month(Option<String>),
}

/// How units are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LimitRule {
    Paced(u32),
    Rolling,
    Fixed,
    Calendar(Period),
    Concurrent,
}

/// One limit of the provider. Several may name one bucket; a request must pass
/// all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub(crate) buckets: Vec<String>,
    pub(crate) scope: Scope,
    pub(crate) rule: LimitRule,
    pub(crate) capacity: u32,
    pub(crate) per_ms: u64,
    pub(crate) remaining_header: Option<String>,
    pub(crate) reset_header: Option<String>,
}

impl Limit {
    fn new(rule: LimitRule, capacity: u32, per_ms: u64) -> Self {
        Self {
            buckets: Vec::new(),
            scope: Scope::Connection,
            rule,
            capacity,
            per_ms,
            remaining_header: None,
            reset_header: None,
        }
    }

    /// Never more than `capacity` in any window of `per_ms`.
    #[must_use]
    pub fn rolling(capacity: u32, per_ms: u64) -> Self {
        Self::new(LimitRule::Rolling, capacity, per_ms)
    }

    /// One unit every `per_ms / capacity`, in bursts of up to `burst`.
    #[must_use]
    pub fn paced(capacity: u32, per_ms: u64, burst: u32) -> Self {
        Self::new(LimitRule::Paced(burst), capacity, per_ms)
    }

    /// `capacity` in each slice of `per_ms`, aligned to the epoch.
    #[must_use]
    pub fn fixed(capacity: u32, per_ms: u64) -> Self {
        Self::new(LimitRule::Fixed, capacity, per_ms)
    }

    /// `capacity` in each calendar period.
    #[must_use]
    pub fn calendar(capacity: u32, period: Period) -> Self {
        Self::new(LimitRule::Calendar(period), capacity, 0)
    }

    /// At most `capacity` at once.
    #[must_use]
    pub fn concurrent(capacity: u32) -> Self {
        Self::new(LimitRule::Concurrent, capacity, 0)
    }

    /// Adds a bucket that draws on this limit. Requests that name none draw on
    /// "default".
    #[must_use]
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// Says who shares it; else each connection has its own.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Response header that says how much is left.
    #[must_use]
    pub fn remaining_header(mut self, name: impl Into<String>) -> Self {
        self.remaining_header = Some(name.into());
        self
    }

    /// Response header that says when it is full again.
    #[must_use]
    pub fn reset_header(mut self, name: impl Into<String>) -> Self {
        self.reset_header = Some(name.into());
        self
    }
}
