//! Fills `{config.x}` and `{token.x}` in the manifest's URLs.

use crate::Error;
use crate::config::{Config, Origin};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tidegate_domain::manifest::{AuthKind, Manifest};
use url::Url;

/// What templates are filled with.
pub(crate) struct Fill<'a> {
    pub(crate) config: &'a Config,
    /// The connection's settings.
    pub(crate) settings: &'a Map<String, Value>,
    /// What the token answer gave.
    pub(crate) kept: &'a BTreeMap<String, String>,
}

/// A filled base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// Before the operator's mapping.
    pub(super) origin: Origin,
    /// Without the slash at its end.
    pub(super) path: String,
}

/// The value of the token answer that a base URL names.
pub(crate) fn kept_name(base_url: &str) -> Option<&str> {
    let rest = base_url.strip_prefix("https://").unwrap_or(base_url);
    let (name, _) = rest.strip_prefix("{token.")?.split_once('}')?;
    Some(name)
}

/// Refuses templates that could never be filled safely.
pub(crate) fn check_manifest(manifest: &Manifest) -> Result<(), Error> {
    for endpoint in &manifest.endpoints {
        check(&manifest.id, &endpoint.name, &endpoint.base_url)?;
        if let Some(path) = endpoint.paths.iter().find(|path| !path.starts_with('/')) {
            return Err(Error::config(format!(
                "path {path:?} of endpoint {} must start with a slash",
                endpoint.name
            )));
        }
    }
    for method in &manifest.auth {
        let urls: &[&str] = match &method.kind {
            AuthKind::Oauth2Code(code) => &[&code.authorize_url, &code.token_url],
            AuthKind::Oauth2Client(client) => &[&client.token_url],
            AuthKind::Oauth2Jwt(jwt) => &[&jwt.token_url],
            _ => &[],
        };
        for url in urls {
            check(&manifest.id, &method.name, url)?;
        }
    }
    Ok(())
}

fn check(connector: &str, name: &str, template: &str) -> Result<(), Error> {
    let refuse = |why: &str| {
        Err(Error::config(format!(
            "the URL of {name} of connector {connector} {why}"
        )))
    };
    let after_scheme = template.strip_prefix("https://").unwrap_or(template);
    if after_scheme.len() == template.len() && !template.starts_with("{token.") {
        return refuse("must be https");
    }
    let end = after_scheme.find('/').unwrap_or(after_scheme.len());
    let (authority, path) = after_scheme.split_at(end);
    if path.contains('{') {
        return refuse("has a template behind its host");
    }
    if authority.contains("{token.") && !(authority.starts_with('{') && authority.ends_with('}')) {
        return refuse("mixes a kept host with something else");
    }
    Ok(())
}

/// The base of an endpoint.
pub(super) fn fill_base(template: &str, fill: &Fill<'_>) -> Result<Base, Error> {
    let rest = template.strip_prefix("https://").unwrap_or(template);
    if let Some(rest) = rest.strip_prefix("{token.") {
        let (name, path) = rest
            .split_once('}')
            .ok_or_else(|| Error::config("a template has no end"))?;
        let kept = fill.kept.get(name).ok_or_else(|| {
            Error::Auth(format!(
                "the authorisation gave no {name}; authorise the connection again"
            ))
        })?;
        let origin = kept_origin(kept, fill.config)
            .ok_or_else(|| Error::Auth(format!("the token answer's {name} is no https host")))?;
        let url = Url::parse(&format!("{origin}{path}"))
            .map_err(|_| Error::config("a template's path makes no URL"))?;
        return Ok(Base {
            path: url.path().trim_end_matches('/').to_owned(),
            origin,
        });
    }
    let url = fill_url(template, fill.settings)?;
    let origin = Origin::of(&url).ok_or_else(|| Error::config("a base URL has no host"))?;
    Ok(Base {
        path: url.path().trim_end_matches('/').to_owned(),
        origin,
    })
}

/// An https host, or exactly what an operator's mapping leads to.
fn kept_origin(kept: &str, config: &Config) -> Option<Origin> {
    if !kept.contains("://") {
        return Origin::parse(&format!("https://{kept}")).ok();
    }
    let origin = Origin::parse(kept).ok()?;
    (origin.scheme == "https" || config.is_mapping_target(&origin)).then_some(origin)
}

/// A URL with every `{config.x}` filled. Each fills one DNS label, so that no
/// setting can choose another domain.
pub(crate) fn fill_url(template: &str, settings: &Map<String, Value>) -> Result<Url, Error> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{config.") {
        let (name, behind) = after
            .split_once('}')
            .ok_or_else(|| Error::config("a template has no end"))?;
        let label = settings.get(name).and_then(Value::as_str);
        let label = label.filter(|label| is_label(label)).ok_or_else(|| {
            Error::config(format!(
                "the setting {name} must be one part of a host name: letters, digits and hyphens"
            ))
        })?;
        text.push_str(before);
        text.push_str(label);
        rest = behind;
    }
    text.push_str(rest);
    let refuse = || Error::config(format!("{template:?} does not make an https URL"));
    let url = Url::parse(&text).map_err(|_| refuse())?;
    let plain = url.scheme() == "https"
        && url.host_str().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && !text.contains(['{', '}', '\\', '@']);
    plain.then_some(url).ok_or_else(refuse)
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}
