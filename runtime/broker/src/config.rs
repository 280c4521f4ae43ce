//! What an operator sets, and nobody else can.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tidegate_domain::manifest::{Limit, LimitRule, LimitScope};
use url::Url;

/// Settings of the broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Origins that are reached elsewhere.
    pub mappings: Vec<Mapping>,
    /// Whether the manifest's lists of hosts and paths are enforced or only reported.
    pub policy: PolicyMode,
    /// Host names (or literal addresses) that may resolve to private addresses.
    pub private_hosts: Vec<String>,
    /// Certificate authorities trusted beside the platform's: a PEM file.
    pub extra_authorities: Option<PathBuf>,
    /// Bytes of a decoded answer, at the most.
    pub body_bytes_max: u64,
    /// A decoded answer larger than this leaves memory for an unlinked file.
    pub body_memory_bytes_max: usize,
    /// Decoded bytes for each received byte, at the most; applied past 1 MiB.
    pub decompression_ratio_max: u64,
    /// Headers of a request or an answer, at the most.
    pub header_count_max: usize,
    /// Bytes of all names and values of these headers, at the most.
    pub header_bytes_max: usize,
    /// Milliseconds until a TCP and TLS connection stands.
    pub connect_timeout_ms: u64,
    /// Milliseconds from the request to the last header of its answer.
    pub first_byte_timeout_ms: u64,
    /// Milliseconds between two pieces of a body.
    pub idle_timeout_ms: u64,
    /// Milliseconds for one request to a token endpoint. The right to refresh holds
    /// more than twice as long.
    pub token_timeout_ms: u64,
    /// Milliseconds until a refused grant is asked for once more, before a person is.
    pub refusal_confirmed_after_ms: u64,
    /// Where answers of token endpoints are kept, sealed, until the store has them;
    /// none keeps them in memory only.
    pub salvage_dir: Option<PathBuf>,
    /// Milliseconds for one try, from the socket to the last byte of the body.
    pub attempt_timeout_ms: u64,
    /// Milliseconds for one request with all waits and retries.
    pub total_timeout_ms: u64,
    /// Milliseconds that a request waits for its limits; a longer wait is the
    /// engine's to park.
    pub patience_ms: u64,
    /// Tries after the first, at the most.
    pub retries_max: u32,
    /// Multiplies every limit of every manifest; `inf` turns limits off.
    pub limit_scale: f64,
    /// The operator's own limits: in place of a manifest's, or beside them.
    pub limits: Vec<LimitSetting>,
    /// Accounts and connections whose limits are in memory, at the most. Those that are
    /// idle and whole again are forgotten first; with none of these, new ones are
    /// refused.
    pub limit_accounts_max: usize,
    /// Where large bodies are spilled.
    pub spool_dir: PathBuf,
    /// Requests of one tenant in flight, at the most.
    pub tenant_requests_max: usize,
    /// Idle connections kept for each tenant and origin.
    pub idle_connections_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mappings: Vec::new(),
            policy: PolicyMode::Enforce,
            private_hosts: Vec::new(),
            extra_authorities: None,
            body_bytes_max: 256 << 20,
            body_memory_bytes_max: 4 << 20,
            decompression_ratio_max: 100,
            header_count_max: 64,
            header_bytes_max: 32 << 10,
            connect_timeout_ms: 10_000,
            first_byte_timeout_ms: 45_000,
            idle_timeout_ms: 20_000,
            token_timeout_ms: 20_000,
            refusal_confirmed_after_ms: 60_000,
            salvage_dir: None,
            attempt_timeout_ms: 300_000,
            total_timeout_ms: 300_000,
            patience_ms: 30_000,
            retries_max: 5,
            limit_scale: 1.0,
            limits: Vec::new(),
            limit_accounts_max: 1_000_000,
            spool_dir: std::env::temp_dir(),
            tenant_requests_max: 64,
            idle_connections_max: 16,
        }
    }
}

impl Config {
    /// Checks what the types cannot; [`Broker::new`](crate::Broker::new) does too.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        if self.limit_scale.is_nan() || self.limit_scale <= 0.0 {
            return Err(Error::config(
                "limit_scale must be above 0; use inf to turn limits off",
            ));
        }
        if self.tenant_requests_max == 0 {
            return Err(Error::config("tenant_requests_max must be at least 1"));
        }
        if self.limit_accounts_max == 0 {
            return Err(Error::config("limit_accounts_max must be at least 1"));
        }
        for setting in &self.limits {
            crate::limiter::check_setting(setting)?;
        }
        let mut seen = std::collections::HashSet::new();
        for mapping in &self.mappings {
            if mapping.from.scheme != "https" {
                return Err(Error::config(format!(
                    "the mapping from {} must start at an https origin",
                    mapping.from
                )));
            }
            if !seen.insert(&mapping.from) {
                return Err(Error::config(format!("{} is mapped twice", mapping.from)));
            }
        }
        Ok(())
    }

    /// Where requests to this origin really go.
    pub(crate) fn mapped(&self, origin: &Origin) -> Option<&Origin> {
        self.mappings
            .iter()
            .find(|mapping| mapping.from == *origin)
            .map(|mapping| &mapping.to)
    }

    pub(crate) fn is_mapping_target(&self, origin: &Origin) -> bool {
        self.mappings.iter().any(|mapping| mapping.to == *origin)
    }
}

/// What the manifest's lists of hosts and paths do. Addresses, schemes, headers and
/// credentials are enforced in every mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyMode {
    /// What is not listed is refused.
    Enforce,
    /// What is not listed passes, without a credential to other hosts, and is
    /// reported: to learn what a manifest lacks before it is enforced.
    Report,
}

/// A limit that the operator sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSetting {
    /// The connector, by the id of its manifest.
    pub connector: String,
    /// Of this account of the provider; of each account without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The buckets that draw on it; all without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
    /// Whom it is shared by.
    #[serde(default = "LimitSetting::default_scope")]
    pub scope: LimitScope,
    /// How units are counted.
    pub rule: LimitRule,
    /// Units per window.
    pub capacity: u32,
    /// The window in milliseconds, where the rule has one.
    #[serde(default)]
    pub per_ms: u64,
    /// Whether a request is one unit whatever it costs.
    #[serde(default)]
    pub counts_requests: bool,
    /// Whether it stands in place of the manifest's limits of the same kind and buckets.
    /// Otherwise both hold, and so the stricter.
    #[serde(default)]
    pub instead: bool,
}

impl LimitSetting {
    fn default_scope() -> LimitScope {
        LimitScope::RemoteAccount
    }

    pub(crate) fn is_about(&self, connector: &str, account: Option<&str>) -> bool {
        self.connector == connector
            && (self.account.is_none() || self.account.as_deref() == account)
    }

    /// The limit; with `all` where it names no buckets.
    pub(crate) fn limit(&self, all: Vec<String>) -> Limit {
        let buckets = if self.buckets.is_empty() {
            all
        } else {
            self.buckets.clone()
        };
        Limit {
            buckets,
            scope: self.scope,
            rule: self.rule.clone(),
            capacity: self.capacity,
            per_ms: self.per_ms,
            remaining_header: None,
            reset_header: None,
        }
    }

    pub(crate) fn replaces(&self, declared: &Limit) -> bool {
        let same_kind = match (&self.rule, &declared.rule) {
            (LimitRule::Calendar { period, .. }, LimitRule::Calendar { period: other, .. }) => {
                period == other
            }
            (rule, other) => std::mem::discriminant(rule) == std::mem::discriminant(other),
        };
        let mut buckets = declared.buckets.iter();
        let of_buckets = self.buckets.is_empty() || buckets.any(|one| self.buckets.contains(one));
        self.instead && same_kind && of_buckets
    }
}

/// One origin that an operator serves from another place. Only its `to` may be
/// plain http or a private address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Exact `https://host[:port]` of an endpoint, authorize or token URL.
    pub from: Origin,
    /// `http` or `https`, host and port.
    pub to: Origin,
}

/// Scheme, host and port: what a request may be sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    /// `https` or `http`.
    pub scheme: String,
    /// Lower case, punycode; an IPv6 address stands in brackets.
    pub host: String,
    /// Always explicit.
    pub port: u16,
}

impl Origin {
    /// The origin of a URL, if it has one that HTTP can use. A URL's host may hold what
    /// no name has, such as `=` and backticks; other parsers stop there.
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if url.domain().is_some_and(|name| !name.bytes().all(in_names)) {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Parses `scheme://host[:port]`, with nothing after it but one slash.
    ///
    /// # Errors
    /// Where anything else stands there: a path, user, query or fragment.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = || Error::config(format!("{text:?} is not scheme://host[:port]"));
        let tricky = |byte: u8| byte <= b' ' || byte >= 0x7F || matches!(byte, b'\\' | b'@');
        if text.bytes().any(tricky) {
            return Err(refuse());
        }
        let url = Url::parse(text).map_err(|_| refuse())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        match Self::of(&url) {
            Some(origin) if bare => Ok(origin),
            _ => Err(refuse()),
        }
    }

    /// Puts this origin in the place of the URL's own.
    pub(crate) fn replace_in(&self, url: &Url) -> Url {
        let mut text = self.to_string();
        text.push_str(&url[url::Position::BeforePath..]);
        Url::parse(&text).expect("an origin and the path of a URL make a URL")
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("https", 443) | ("http", 80) => Ok(()),
            (_, port) => write!(out, ":{port}"),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.to_string()
    }
}
