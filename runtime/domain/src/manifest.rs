//! What a connector declares about itself. Its shape follows the contract
//! (`wit/connector.wit`, interface `manifest`); it is pinned to the component's
//! digest and is all that the broker ever knows of a CRM.

use serde::{Deserialize, Serialize};

/// A connector's declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Stable id.
    pub id: String,
    /// For people.
    pub title: String,
    /// The connector's own version.
    pub version: String,
    /// JSON Schema of the connection's configuration.
    pub config_schema: String,
    /// Where requests may go.
    pub endpoints: Vec<Endpoint>,
    /// Hosts of absolute links beside the endpoints'; a leading `*.` is allowed.
    pub allowed_hosts: Vec<String>,
    /// How requests may be signed.
    pub auth: Vec<AuthMethod>,
    /// The provider's limits.
    pub limits: Vec<Limit>,
    /// Names of secrets used with the vault.
    pub secrets: Vec<String>,
    /// Response headers that the guest may see, beside `content-type`.
    pub response_headers: Vec<String>,
    /// How answers are classified; the first match wins.
    pub responses: Vec<ResponseRule>,
    /// JSON pointer patterns that are answered when the connector runs blind.
    pub paging_pointers: Vec<String>,
    /// Room for growth: JSON. `{"blind": true}` asks to run blind,
    /// `{"memory_mib": n}` asks for memory.
    pub extra: String,
}

impl Manifest {
    /// The endpoint of this name.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }

    /// The auth method of this name.
    pub fn auth_method(&self, name: &str) -> Option<&AuthMethod> {
        self.auth.iter().find(|method| method.name == name)
    }
}

/// What bodies of an endpoint hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointRole {
    /// Records; a blind connector may not read them.
    Data,
    /// Schemas and settings.
    Metadata,
}

/// A named place that requests may go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// `https://host[:port][/path]`, perhaps with `{token.x}` or `{config.x}`.
    pub base_url: String,
    /// What its bodies hold.
    pub role: EndpointRole,
    /// Path prefixes that requests must stay under; empty allows all.
    pub paths: Vec<String>,
    /// Whether the host keeps a cookie jar, per partition.
    pub cookies: bool,
}

/// A named way to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthMethod {
    /// Its name.
    pub name: String,
    /// How.
    pub kind: AuthKind,
}

/// How requests are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    /// OAuth 2.0 authorization code.
    Oauth2Code(OauthCode),
    /// OAuth 2.0 client credentials.
    Oauth2Client(OauthClient),
    /// OAuth 2.0 JWT bearer.
    Oauth2Jwt(OauthJwt),
    /// One or more keys, each in its place.
    StaticKeys(Vec<KeyPart>),
    /// A JWT that the host signs for every request.
    SignedJwt {
        /// Such as RS256.
        algorithm: String,
        /// Claims as JSON.
        claims: String,
        /// Seconds that each is valid.
        lifetime_s: u32,
    },
    /// AWS signature version 4.
    AwsSigv4 {
        /// Such as `s3`.
        service: String,
        /// Such as `eu-west-1`.
        region: String,
    },
    /// HTTP basic, from the secrets `username` and `password`.
    Basic,
}

/// OAuth 2.0 authorization code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthCode {
    /// Where the person consents.
    pub authorize_url: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Whether the provider takes PKCE.
    pub pkce: bool,
    /// Client id and secret as HTTP basic instead of in the form.
    pub basic_client_auth: bool,
    /// (name, JSON pointer) pairs kept from the token answer.
    pub keep: Vec<(String, String)>,
}

/// OAuth 2.0 client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthClient {
    /// Where tokens are given.
    pub token_url: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Client id and secret as HTTP basic instead of in the form.
    pub basic_client_auth: bool,
    /// (name, JSON pointer) pairs kept from the token answer.
    pub keep: Vec<(String, String)>,
}

/// OAuth 2.0 JWT bearer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthJwt {
    /// Where tokens are given.
    pub token_url: String,
    /// The `aud` claim.
    pub audience: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// (name, JSON pointer) pairs kept from the token answer.
    pub keep: Vec<(String, String)>,
}

/// A static key and its place in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPart {
    /// The name of the secret in the connection.
    pub secret: String,
    /// Where it goes.
    pub place: KeyPlace,
    /// What stands before it, such as `Bearer `.
    pub prefix: String,
}

/// Where a static key goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// A header of this name.
    Header(String),
    /// A query parameter of this name.
    Query(String),
}

/// What an answer means to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseClass {
    /// A short limit: wait and send again.
    ThrottledShort,
    /// A long limit (a day): park.
    ThrottledLong,
    /// The credential was refused.
    Auth,
    /// Worth sending again.
    Transient,
    /// Sending again does not help; the guest sees it.
    Permanent,
    /// Fine; the guest sees it.
    Success,
}

/// One rule of classification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseRule {
    /// First and last status.
    pub status: (u16, u16),
    /// A JSON pointer and a text that the value there must hold.
    pub body: Option<(String, String)>,
    /// What it means.
    pub class: ResponseClass,
}

/// Whom a limit is shared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// One connection.
    Connection,
    /// Every connection to one account of the provider.
    RemoteAccount,
    /// Every use of one application.
    Application,
}

/// How units are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitRule {
    /// Smoothed (GCRA) with bursts up to the value.
    Paced(u32),
    /// Never more than the capacity in any window of `per_ms`.
    Rolling,
    /// Slices of `per_ms`, aligned to the epoch.
    Fixed,
    /// Per calendar day or month in a time zone.
    Calendar {
        /// Day or month.
        period: CalendarPeriod,
        /// IANA zone; none means UTC.
        zone: Option<String>,
    },
    /// Requests in flight.
    Concurrent,
}

/// The length of a calendar window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarPeriod {
    /// A day.
    Day,
    /// A month.
    Month,
}

/// One limit of the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The buckets that draw on it.
    pub buckets: Vec<String>,
    /// Whom it is shared by.
    pub scope: LimitScope,
    /// How units are counted.
    pub rule: LimitRule,
    /// Units per window.
    pub capacity: u32,
    /// Window length in milliseconds; ignored by `Calendar` and `Concurrent`.
    pub per_ms: u64,
    /// A response header with what is left.
    pub remaining_header: Option<String>,
    /// A response header with when it resets.
    pub reset_header: Option<String>,
}
