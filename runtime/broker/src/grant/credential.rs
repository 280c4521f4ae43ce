//! What signs a request.

use crate::{Connection, Error, FetchFault};
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use tidegate_domain::manifest::{AuthKind, AuthMethod, KeyPart, KeyPlace, Manifest};
use url::Url;
use zeroize::Zeroizing;

/// Refuses auth methods that this build cannot serve.
pub(crate) fn check_manifest(manifest: &Manifest) -> Result<(), Error> {
    let unsupported = |method: &AuthMethod, kind: &str| {
        Err(Error::config(format!(
            "auth method {} of connector {} is {kind}, which is not supported by this build",
            method.name, manifest.id
        )))
    };
    for method in &manifest.auth {
        match &method.kind {
            AuthKind::SignedJwt { .. } => return unsupported(method, "a signed JWT"),
            AuthKind::AwsSigv4 { .. } => return unsupported(method, "an AWS signature"),
            AuthKind::StaticKeys(parts) => {
                for part in parts {
                    if let KeyPlace::Header(name) = &part.place
                        && HeaderName::from_bytes(name.as_bytes()).is_err()
                    {
                        return Err(Error::config(format!("{name:?} is no header name")));
                    }
                }
            }
            AuthKind::Oauth2Code(_)
            | AuthKind::Oauth2Client(_)
            | AuthKind::Oauth2Jwt(_)
            | AuthKind::Basic => {}
        }
    }
    Ok(())
}

/// What signs one request.
pub(crate) enum Credential {
    /// An access token.
    Bearer(SecretString),
    /// User and password.
    Basic(SecretString, SecretString),
    /// Values and their places.
    Keys(Vec<(KeyPart, SecretString)>),
}

/// The credential of a method that needs no token endpoint.
pub(crate) fn of_secrets(
    connection: &Connection,
    method: &AuthMethod,
) -> Result<Credential, Error> {
    let secret = |name: &str| {
        let found = connection.secrets.get(name).cloned();
        found.ok_or_else(|| {
            Error::Auth(format!("connection {} has no secret {name}", connection.id))
        })
    };
    match &method.kind {
        AuthKind::Basic => Ok(Credential::Basic(secret("username")?, secret("password")?)),
        AuthKind::StaticKeys(parts) => {
            let filled = parts
                .iter()
                .map(|part| Ok((part.clone(), secret(&part.secret)?)));
            Ok(Credential::Keys(filled.collect::<Result<_, Error>>()?))
        }
        _ => Err(Error::config(format!(
            "auth method {} is not supported by this build",
            method.name
        ))),
    }
}

/// Header names that the method sets; a guest may not.
pub(crate) fn signed_headers(method: &AuthMethod) -> Vec<String> {
    places(method)
        .filter_map(|place| match place {
            KeyPlace::Header(name) => Some(name.clone()),
            KeyPlace::Query(_) => None,
        })
        .collect()
}

/// Query parameters that the method sets; a guest may not.
pub(crate) fn signed_query(method: &AuthMethod) -> Vec<String> {
    places(method)
        .filter_map(|place| match place {
            KeyPlace::Header(_) => None,
            KeyPlace::Query(name) => Some(name.clone()),
        })
        .collect()
}

fn places(method: &AuthMethod) -> impl Iterator<Item = &KeyPlace> {
    let parts: &[KeyPart] = match &method.kind {
        AuthKind::StaticKeys(parts) => parts,
        _ => &[],
    };
    parts.iter().map(|part| &part.place)
}

impl Credential {
    /// Signs. Values are marked sensitive, so that no layer below logs or indexes
    /// them.
    pub(crate) fn sign(&self, headers: &mut HeaderMap, url: &mut Url) -> Result<(), FetchFault> {
        match self {
            Credential::Bearer(token) => {
                let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
                headers.insert(header::AUTHORIZATION, sensitive(&text)?);
            }
            Credential::Basic(user, password) => {
                headers.insert(
                    header::AUTHORIZATION,
                    basic(user.expose_secret(), password)?,
                );
            }
            Credential::Keys(keys) => {
                for (part, secret) in keys {
                    let text = Zeroizing::new(format!("{}{}", part.prefix, secret.expose_secret()));
                    match &part.place {
                        KeyPlace::Header(name) => {
                            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                                FetchFault::Host(Error::config("a key has no valid header name"))
                            })?;
                            headers.insert(name, sensitive(&text)?);
                        }
                        KeyPlace::Query(name) => {
                            url.query_pairs_mut().append_pair(name, &text);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// HTTP basic, with both parts form-encoded where they are an OAuth client's
/// (RFC 6749, 2.3.1); callers encode.
pub(super) fn basic(user: &str, password: &SecretString) -> Result<HeaderValue, FetchFault> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
    sensitive(&text)
}

fn sensitive(text: &str) -> Result<HeaderValue, FetchFault> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        FetchFault::Auth("the credential holds characters that no header can carry".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
