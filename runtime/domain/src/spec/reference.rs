//! What a document only names: connectors and secrets.

use crate::id::Sha256;
use crate::text_schema::text_schema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which connector a connection uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ConnectorRef {
    /// `name@version`, or `name` for the newest approved one.
    Named {
        /// The connector's id.
        name: String,
        /// Its version; none takes the newest approved one.
        version: Option<String>,
    },
    /// `sha256:<hex>`: exactly this component.
    Digest(Sha256),
    /// A component's file, relative to the document; in local files only.
    Path(String),
}

/// Why a text names no connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no connector: use name, name@version, sha256:<64 hex digits> or ./file.wasm")]
pub struct InvalidConnectorRef(String);

/// Characters of a connector's name or version.
const CONNECTOR_CHARS_MAX: usize = 64;

impl ConnectorRef {
    /// Parses the text; what holds a `/` or ends in `.wasm` is a path.
    ///
    /// # Errors
    /// [`InvalidConnectorRef`].
    pub fn parse(text: &str) -> Result<Self, InvalidConnectorRef> {
        let invalid = || InvalidConnectorRef(text.chars().take(120).collect());
        let word = |part: &str| {
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte);
            (1..=CONNECTOR_CHARS_MAX).contains(&part.len()) && part.bytes().all(safe)
        };
        if let Some(hex) = text.strip_prefix("sha256:") {
            let digest = Sha256::try_from(hex.to_owned());
            return Ok(ConnectorRef::Digest(digest.map_err(|_| invalid())?));
        }
        let is_wasm = std::path::Path::new(text)
            .extension()
            .is_some_and(|extension| extension == "wasm");
        if text.contains('/') || is_wasm {
            let fits = !text.contains('\0') && text.len() <= 4096;
            return fits
                .then(|| ConnectorRef::Path(text.to_owned()))
                .ok_or_else(invalid);
        }
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !word(name) || !version.is_none_or(word) {
            return Err(invalid());
        }
        Ok(ConnectorRef::Named {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        })
    }
}

impl fmt::Display for ConnectorRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectorRef::Named {
                name,
                version: Some(version),
            } => write!(out, "{name}@{version}"),
            ConnectorRef::Named { name, .. } => out.write_str(name),
            ConnectorRef::Digest(digest) => write!(out, "sha256:{digest}"),
            ConnectorRef::Path(path) => out.write_str(path),
        }
    }
}

impl TryFrom<String> for ConnectorRef {
    type Error = InvalidConnectorRef;
    fn try_from(text: String) -> Result<Self, InvalidConnectorRef> {
        Self::parse(&text)
    }
}

impl From<ConnectorRef> for String {
    fn from(reference: ConnectorRef) -> String {
        reference.to_string()
    }
}

text_schema!(
    ConnectorRef,
    "A connector: `name@version`, `name` (the newest approved), `sha256:<hex>`, or in local files a path.",
    "^[^\\x00]+$",
    4096
);

/// Where a secret is. A document holds no secret, so a literal is refused, and the
/// refusal does not repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// `${env:NAME}`: a variable of the process that reads the file.
    Env(String),
    /// `${file:PATH}`: a file on the machine that reads the document.
    File(String),
    /// `${secret:NAME}`: a secret of the tenant, kept by the server.
    Secret(SecretName),
}

/// Why a text names no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must name a secret as ${{env:NAME}}, ${{file:path}} or ${{secret:NAME}}, so that none is checked in"
)]
pub struct InvalidSecretRef;

impl SecretRef {
    /// Parses the text.
    ///
    /// # Errors
    /// [`InvalidSecretRef`] for a literal.
    pub fn parse(text: &str) -> Result<Self, InvalidSecretRef> {
        let inner = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let (kind, place) = inner
            .and_then(|inner| inner.split_once(':'))
            .filter(|(_, place)| !place.is_empty() && !place.contains(['\0', '\n']))
            .ok_or(InvalidSecretRef)?;
        match kind {
            "env" => Ok(SecretRef::Env(place.to_owned())),
            "file" => Ok(SecretRef::File(place.to_owned())),
            "secret" => SecretName::parse(place).map(SecretRef::Secret),
            _ => Err(InvalidSecretRef),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(out, "${{env:{name}}}"),
            SecretRef::File(path) => write!(out, "${{file:{path}}}"),
            SecretRef::Secret(name) => write!(out, "${{secret:{name}}}"),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = InvalidSecretRef;
    fn try_from(text: String) -> Result<Self, InvalidSecretRef> {
        Self::parse(&text)
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        reference.to_string()
    }
}

text_schema!(
    SecretRef,
    "Where a secret is: `${env:NAME}` or `${file:PATH}` in local files, `${secret:NAME}` on the server. A literal is refused.",
    "^\\$\\{(env|file|secret):.+\\}$",
    4096
);

/// The name of a tenant's secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

/// Characters of a secret's name: enough for a place with two ids in it.
const SECRET_NAME_CHARS_MAX: usize = 256;

impl SecretName {
    /// Parses the text.
    ///
    /// # Errors
    /// [`InvalidSecretRef`] where it is empty, too long, or holds another character
    /// than letters, digits, `_`, `-` and `.`.
    pub fn parse(text: &str) -> Result<Self, InvalidSecretRef> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if (1..=SECRET_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(safe) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSecretRef)
        }
    }

    /// The name of a place in a document. Characters that a name cannot hold become
    /// `_`, and a name that is too long keeps its end, which tells places apart.
    pub(super) fn of_place(parts: &[&str]) -> SecretName {
        let safe = |letter: char| match letter {
            '_' | '-' | '.' => letter,
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '_',
        };
        let name: String = parts.join(".").chars().map(safe).collect();
        SecretName(name[name.len().saturating_sub(SECRET_NAME_CHARS_MAX)..].to_owned())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for SecretName {
    type Error = InvalidSecretRef;
    fn try_from(text: String) -> Result<Self, InvalidSecretRef> {
        Self::parse(&text)
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> String {
        name.0
    }
}

text_schema!(
    SecretName,
    "The name of a secret of the tenant.",
    "^[A-Za-z0-9_.-]+$",
    SECRET_NAME_CHARS_MAX
);
