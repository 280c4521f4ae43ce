//! Why policy refuses, by the rule's name: what a log and a counter tell apart.

/// A rule that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The manifest has no such endpoint.
    Endpoint,
    /// The path is outside what the endpoint allows.
    Path,
    /// The host, its scheme or its port is not in the manifest.
    Host,
    /// The address names a user.
    User,
    /// The header belongs to the host.
    Header,
    /// A credential does not go there, or the guest set a part of it.
    Credential,
    /// Only https leaves, but for an operator's mapping.
    Https,
    /// The address is not global.
    Address,
    /// The address is this machine's own.
    Own,
}

impl Rule {
    /// The name in logs and figures.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Endpoint => "endpoint",
            Rule::Path => "path",
            Rule::Host => "host",
            Rule::User => "user",
            Rule::Header => "header",
            Rule::Credential => "credential",
            Rule::Https => "https",
            Rule::Address => "address",
            Rule::Own => "own",
        }
    }
}

/// A refusal: the rule, and what a person reads. The text holds no query, no body and
/// no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Denial {
    /// What refused.
    pub rule: Rule,
    text: String,
}

impl Denial {
    pub(crate) fn new(rule: Rule, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { rule, text }
    }
}
