//! How requests are authorised, without a secret in sight.

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
        Self::Keys(vec![KeyPart {
            secret: secret.into(),
            place,
            prefix: prefix.into(),
        }])
    }
}
