//! Where a request may go: an endpoint of the manifest, or a link that leads to
//! one. One parser (`url`) reads every address, once; what it read is compared and
//! is what is sent.

mod template;

pub(crate) use template::{Fill, check_manifest, fill_url, kept_name};

use crate::config::{Config, Origin, PolicyMode};
use crate::request::Target;
use crate::{Connection, FetchFault, Rule};
use std::collections::BTreeMap;
use template::Base;
use tidegate_domain::manifest::{Endpoint, EndpointRole};
use url::Url;

/// An address that policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// What is sent, after the operator's mapping.
    pub(crate) url: Url,
    pub(crate) endpoint: String,
    pub(crate) role: EndpointRole,
    /// Whether a credential may go there. Hosts of a wildcard may be anybody's.
    pub(crate) takes_credentials: bool,
    /// Whether cookies are kept and sent.
    pub(crate) cookies: bool,
}

/// The rules of one connection, with what its token answer kept.
pub(crate) struct Policy<'a> {
    pub(crate) config: &'a Config,
    pub(crate) connection: &'a Connection,
    pub(crate) kept: &'a BTreeMap<String, String>,
}

impl Policy<'_> {
    /// The address of a request, if policy allows it.
    pub(crate) fn allow(&self, target: &Target) -> Result<Allowed, FetchFault> {
        match target {
            Target::Endpoint {
                endpoint,
                path,
                query,
            } => self.endpoint(endpoint, path, query),
            Target::Absolute(link) => self.absolute(link),
        }
    }

    fn endpoint(
        &self,
        name: &str,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Allowed, FetchFault> {
        let manifest = &self.connection.manifest;
        let endpoint = manifest.endpoint(name).ok_or_else(|| {
            FetchFault::denied(Rule::Endpoint, "the manifest has no such endpoint")
        })?;
        if !path.starts_with('/') || path.starts_with("//") {
            let text = "a path starts with exactly one slash".to_owned();
            return Err(FetchFault::Invalid(text));
        }
        check_characters(path)?;
        let base = self.base(endpoint)?;
        let mut text = format!("{}{}{path}", base.origin, base.path);
        append_query(&mut text, query);
        let url = Url::parse(&text)
            .map_err(|_| FetchFault::Invalid("the path does not make a URL".to_owned()))?;
        if Origin::of(&url).as_ref() != Some(&base.origin) {
            return Err(FetchFault::denied(Rule::Host, "the path left its origin"));
        }
        if !below(&url, &base, &endpoint.paths) {
            let text = format!("the path is outside endpoint {name}");
            self.refuse(Rule::Path, &text)?;
        }
        Ok(self.allowed(&url, &base, endpoint))
    }

    /// A link is what the provider says, so it is held against every endpoint.
    fn absolute(&self, link: &str) -> Result<Allowed, FetchFault> {
        check_characters(link)?;
        let malformed = || FetchFault::Invalid("the link is not an absolute URL".to_owned());
        let (scheme, rest) = link.split_once("://").ok_or_else(malformed)?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.is_empty() || authority.contains('@') {
            return Err(FetchFault::denied(Rule::User, "the link names a user"));
        }
        let url = Url::parse(link).map_err(|_| malformed())?;
        let origin = Origin::of(&url)
            .filter(|_| scheme.eq_ignore_ascii_case(url.scheme()))
            .ok_or_else(malformed)?;
        let mut same_origin = None;
        for endpoint in &self.connection.manifest.endpoints {
            // One that cannot be filled (yet) is no reason to refuse another.
            let Ok(base) = self.base(endpoint) else {
                continue;
            };
            if base.origin != origin && self.config.mapped(&base.origin) != Some(&origin) {
                continue;
            }
            if below(&url, &base, &endpoint.paths) {
                return Ok(self.allowed(&url, &base, endpoint));
            }
            same_origin.get_or_insert((base, endpoint));
        }
        if let Some((base, endpoint)) = same_origin {
            let text = "the link is outside the paths of every endpoint";
            self.refuse(Rule::Path, text)?;
            return Ok(self.allowed(&url, &base, endpoint));
        }
        self.allowed_host(url, &origin)
    }

    fn allowed_host(&self, url: Url, origin: &Origin) -> Result<Allowed, FetchFault> {
        let known = origin.scheme == "https" && origin.port == 443;
        let hosts = &self.connection.manifest.allowed_hosts;
        let is_name = url.domain().is_some();
        let exact = hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(&origin.host));
        let wild = is_name
            && hosts.iter().any(|host| {
                let suffix = host.strip_prefix('*').map(str::to_ascii_lowercase);
                suffix.is_some_and(|suffix| suffix.len() > 1 && origin.host.ends_with(&suffix))
            });
        let text = format!("{} is not in the manifest", origin.host);
        if !known {
            return Err(FetchFault::denied(Rule::Host, text));
        }
        if has_hidden_dots(url.path()) {
            let text = "the link has dots behind an encoded slash";
            return Err(FetchFault::denied(Rule::Path, text));
        }
        if !(exact || wild) {
            self.refuse(Rule::Host, &text)?;
        }
        let mapped = self.config.mapped(origin);
        Ok(Allowed {
            endpoint: origin.host.clone(),
            role: EndpointRole::Data,
            takes_credentials: exact,
            cookies: false,
            url: mapped.map_or_else(|| url.clone(), |to| to.replace_in(&url)),
        })
    }

    /// Refuses, or only says so where the operator asked for no more. Nothing but the
    /// manifest's own lists can be waived so: addresses, schemes, headers and
    /// credentials never.
    fn refuse(&self, rule: Rule, text: &str) -> Result<(), FetchFault> {
        if self.config.policy == PolicyMode::Enforce {
            return Err(FetchFault::denied(rule, text));
        }
        let connection = &self.connection.id;
        tracing::warn!(rule = rule.name(), connection.id = %connection, "would be refused: {text}");
        tracing::event!(target: "metric", tracing::Level::INFO, egress.reported = 1u64, egress.denied.reason = rule.name());
        Ok(())
    }

    fn base(&self, endpoint: &Endpoint) -> Result<Base, FetchFault> {
        let fill = Fill {
            config: self.config,
            settings: &self.connection.config,
            kept: self.kept,
        };
        template::fill_base(&endpoint.base_url, &fill).map_err(FetchFault::Host)
    }

    fn allowed(&self, url: &Url, base: &Base, endpoint: &Endpoint) -> Allowed {
        let to = self.config.mapped(&base.origin).unwrap_or(&base.origin);
        Allowed {
            url: to.replace_in(url),
            endpoint: endpoint.name.clone(),
            role: endpoint.role,
            takes_credentials: true,
            cookies: endpoint.cookies,
        }
    }
}

/// What a URL parser would repair or cut off is refused instead.
fn check_characters(text: &str) -> Result<(), FetchFault> {
    let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#');
    if text.bytes().any(odd) {
        return Err(FetchFault::Invalid(
            "an address holds only percent-encoded ASCII, no backslash and no fragment".to_owned(),
        ));
    }
    // Servers end the path there, pass it on, or refuse it: each its own way.
    if text
        .split('?')
        .next()
        .is_some_and(|path| path.contains("%00"))
    {
        let text = "a path holds no percent-encoded NUL".to_owned();
        return Err(FetchFault::Invalid(text));
    }
    Ok(())
}

fn append_query(text: &mut String, query: &[(String, String)]) {
    let encode = |part: &str| -> String {
        let plus_for_space: String =
            url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
        plus_for_space.replace('+', "%20")
    };
    for (name, value) in query {
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(&encode(name));
        text.push('=');
        text.push_str(&encode(value));
    }
}

/// Whether the parsed path, its dots resolved, stays below the base and one of the
/// prefixes, by whole segments.
fn below(url: &Url, base: &Base, prefixes: &[String]) -> bool {
    let Some(path) = url.path().strip_prefix(base.path.as_str()) else {
        return false;
    };
    if !path.starts_with('/') || has_hidden_dots(path) {
        return false;
    }
    prefixes.is_empty() || prefixes.iter().any(|prefix| starts_with(path, prefix))
}

/// By whole segments; `*` stands for any one of them.
pub(crate) fn starts_with(path: &str, prefix: &str) -> bool {
    let mut segments = path.split('/');
    let mut wanted = prefix.split('/').peekable();
    while let Some(want) = wanted.next() {
        // The end of a prefix such as `/v1/`, which asks for something below it.
        if want.is_empty() && wanted.peek().is_none() {
            return segments.next().is_some();
        }
        let is_met = match segments.next() {
            Some(segment) if want == "*" => is_one_segment(segment),
            Some(segment) => segment == want,
            None => false,
        };
        if !is_met {
            return false;
        }
    }
    true
}

/// Not empty, and one to a server that decodes slashes first, too.
fn is_one_segment(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    !lower.is_empty()
        && !["%2f", "%5c", "%25", ";"]
            .iter()
            .any(|one| lower.contains(one))
}

/// Dots that the URL parser leaves alone and a server may still resolve: beside a
/// percent-encoded slash or backslash.
fn has_hidden_dots(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let plain = lower
        .replace("%25", "%")
        .replace("%2f", "/")
        .replace("%5c", "/")
        .replace("%2e", ".");
    plain
        .split(['/', ';'])
        .any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests;
