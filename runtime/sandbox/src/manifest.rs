//! From what a component says of itself to the manifest that everyone else reads.

use crate::bindings::manifest as wit;
use crate::settings::{MEMORY_MIB_DEFAULT, MEMORY_MIB_MAX};
use serde_json::Value;
use std::collections::BTreeSet;
use tidegate_domain::manifest::{
    AuthKind, AuthMethod, CalendarPeriod, Endpoint, EndpointRole, KeyPart, KeyPlace, Limit,
    LimitRule, LimitScope, Manifest, OauthClient, OauthCode, OauthJwt, ResponseClass, ResponseRule,
};

/// Bytes of a manifest as JSON.
const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Entries of each list.
const ENTRIES_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 128;

/// Converts and checks; the text of the error tells an author what to change.
pub(crate) fn from_guest(spec: wit::Spec) -> Result<Manifest, String> {
    let manifest = Manifest {
        id: spec.id,
        title: spec.title,
        version: spec.version,
        config_schema: spec.config_schema,
        endpoints: spec.endpoints.into_iter().map(endpoint).collect(),
        allowed_hosts: spec.allowed_hosts,
        auth: spec.auth.into_iter().map(auth_method).collect(),
        limits: spec.limits.into_iter().map(limit).collect(),
        secrets: spec.secrets,
        response_headers: spec.response_headers,
        responses: spec.responses.into_iter().map(response_rule).collect(),
        paging_pointers: spec.paging_pointers,
        extra: spec.extra,
    };
    check(&manifest)?;
    Ok(manifest)
}

/// What a manifest asks for in `extra`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Memory of an instance, in MiB.
    pub(crate) memory_mib: u64,
    /// To be kept from reading records.
    pub(crate) blind: bool,
}

impl Wishes {
    pub(crate) fn of(manifest: &Manifest) -> Result<Wishes, String> {
        let extra: Value = match manifest.extra.trim() {
            "" => Value::Null,
            text => {
                serde_json::from_str(text).map_err(|error| format!("extra is not JSON: {error}"))?
            }
        };
        let memory_mib = match extra.get("memory_mib").map(Value::as_u64) {
            None => MEMORY_MIB_DEFAULT,
            Some(Some(mib @ 1..=MEMORY_MIB_MAX)) => mib,
            Some(_) => return Err(format!("extra.memory_mib must be 1 to {MEMORY_MIB_MAX}")),
        };
        let blind = match extra.get("blind").map(Value::as_bool) {
            None => false,
            Some(Some(blind)) => blind,
            Some(None) => return Err("extra.blind must be true or false".to_owned()),
        };
        Ok(Wishes { memory_mib, blind })
    }
}

fn check(manifest: &Manifest) -> Result<(), String> {
    let bytes = serde_json::to_vec(manifest).map_or(usize::MAX, |json| json.len());
    if bytes > MANIFEST_BYTES_MAX {
        return Err(format!("it is larger than {MANIFEST_BYTES_MAX} bytes"));
    }
    let lists = [
        ("endpoints", manifest.endpoints.len()),
        ("allowed-hosts", manifest.allowed_hosts.len()),
        ("auth", manifest.auth.len()),
        ("limits", manifest.limits.len()),
        ("secrets", manifest.secrets.len()),
        ("response-headers", manifest.response_headers.len()),
        ("responses", manifest.responses.len()),
        ("paging-pointers", manifest.paging_pointers.len()),
    ];
    if let Some((list, _)) = lists.iter().find(|(_, entries)| *entries > ENTRIES_MAX) {
        return Err(format!("{list} has more than {ENTRIES_MAX} entries"));
    }
    name("id", &manifest.id)?;
    name("version", &manifest.version)?;
    names(
        "endpoint",
        manifest.endpoints.iter().map(|endpoint| &endpoint.name),
    )?;
    names(
        "auth method",
        manifest.auth.iter().map(|method| &method.name),
    )?;
    names("secret", manifest.secrets.iter())?;
    if let Some(endpoint) = manifest
        .endpoints
        .iter()
        .find(|endpoint| !endpoint.base_url.starts_with("https://"))
    {
        return Err(format!(
            "the base-url of endpoint {} must start with https://",
            endpoint.name
        ));
    }
    for pointer in &manifest.paging_pointers {
        if !pointer.starts_with('/') {
            return Err(format!("paging pointer {pointer:?} must start with /"));
        }
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(&manifest.config_schema).is_err() {
        return Err("config-schema is not JSON".to_owned());
    }
    Wishes::of(manifest).map(|_| ())
}

fn names<'a>(what: &str, all: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for text in all {
        name(what, text)?;
        if !seen.insert(text) {
            return Err(format!("{what} {text} is there twice"));
        }
    }
    Ok(())
}

fn name(what: &str, text: &str) -> Result<(), String> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(plain) {
        return Err(format!(
            "{what} {text:?} is not a name: use 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, '_', '-', '.', '+'"
        ));
    }
    Ok(())
}

fn endpoint(endpoint: wit::Endpoint) -> Endpoint {
    Endpoint {
        name: endpoint.name,
        base_url: endpoint.base_url,
        role: match endpoint.role {
            wit::EndpointRole::Data => EndpointRole::Data,
            wit::EndpointRole::Metadata => EndpointRole::Metadata,
        },
        paths: endpoint.paths,
        cookies: endpoint.cookies,
    }
}

fn auth_method(method: wit::AuthMethod) -> AuthMethod {
    let kind = match method.kind {
        wit::AuthKind::Oauth2Code(code) => AuthKind::Oauth2Code(OauthCode {
            authorize_url: code.authorize_url,
            token_url: code.token_url,
            scopes: code.scopes,
            pkce: code.pkce,
            basic_client_auth: code.basic_client_auth,
            keep: code.keep,
        }),
        wit::AuthKind::Oauth2Client(client) => AuthKind::Oauth2Client(OauthClient {
            token_url: client.token_url,
            scopes: client.scopes,
            basic_client_auth: client.basic_client_auth,
            keep: client.keep,
        }),
        wit::AuthKind::Oauth2Jwt(jwt) => AuthKind::Oauth2Jwt(OauthJwt {
            token_url: jwt.token_url,
            audience: jwt.audience,
            scopes: jwt.scopes,
            keep: jwt.keep,
        }),
        wit::AuthKind::StaticKeys(keys) => {
            AuthKind::StaticKeys(keys.into_iter().map(key_part).collect())
        }
        wit::AuthKind::SignedJwt(jwt) => AuthKind::SignedJwt {
            algorithm: jwt.algorithm,
            claims: jwt.claims,
            lifetime_s: jwt.lifetime_s,
        },
        wit::AuthKind::AwsSigv4(aws) => AuthKind::AwsSigv4 {
            service: aws.service,
            region: aws.region,
        },
        wit::AuthKind::Basic => AuthKind::Basic,
    };
    AuthMethod {
        name: method.name,
        kind,
    }
}

fn key_part(part: wit::KeyPart) -> KeyPart {
    KeyPart {
        secret: part.secret,
        place: match part.place {
            wit::KeyPlace::Header(name) => KeyPlace::Header(name),
            wit::KeyPlace::Query(name) => KeyPlace::Query(name),
        },
        prefix: part.prefix,
    }
}

fn limit(limit: wit::Limit) -> Limit {
    Limit {
        buckets: limit.buckets,
        scope: match limit.scope {
            wit::LimitScope::Connection => LimitScope::Connection,
            wit::LimitScope::RemoteAccount => LimitScope::RemoteAccount,
            wit::LimitScope::Application => LimitScope::Application,
        },
        rule: match limit.rule {
            wit::LimitRule::Paced(burst) => LimitRule::Paced(burst),
            wit::LimitRule::Rolling => LimitRule::Rolling,
            wit::LimitRule::Fixed => LimitRule::Fixed,
            wit::LimitRule::Calendar(window) => LimitRule::Calendar {
                period: match window.period {
                    wit::CalendarPeriod::Day => CalendarPeriod::Day,
                    wit::CalendarPeriod::Month => CalendarPeriod::Month,
                },
                zone: window.zone,
            },
            wit::LimitRule::Concurrent => LimitRule::Concurrent,
        },
        capacity: limit.capacity,
        per_ms: limit.per_ms,
        remaining_header: limit.remaining_header,
        reset_header: limit.reset_header,
    }
}

fn response_rule(rule: wit::ResponseRule) -> ResponseRule {
    ResponseRule {
        status: rule.status,
        body: rule.body,
        class: match rule.class {
            wit::ResponseClass::ThrottledShort => ResponseClass::ThrottledShort,
            wit::ResponseClass::ThrottledLong => ResponseClass::ThrottledLong,
            wit::ResponseClass::Auth => ResponseClass::Auth,
            wit::ResponseClass::Transient => ResponseClass::Transient,
            wit::ResponseClass::Permanent => ResponseClass::Permanent,
            wit::ResponseClass::Success => ResponseClass::Success,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            id: "crm".to_owned(),
            title: "A CRM".to_owned(),
            version: "1.0.0".to_owned(),
            config_schema: "{}".to_owned(),
            endpoints: vec![Endpoint {
                name: "api".to_owned(),
                base_url: "https://api.example.com".to_owned(),
                role: EndpointRole::Data,
                paths: Vec::new(),
                cookies: false,
            }],
            allowed_hosts: Vec::new(),
            auth: Vec::new(),
            limits: Vec::new(),
            secrets: Vec::new(),
            response_headers: Vec::new(),
            responses: Vec::new(),
            paging_pointers: vec!["/next".to_owned()],
            extra: String::new(),
        }
    }

    #[test]
    fn a_manifest_is_held_to_names_https_and_memory() {
        assert_eq!(check(&manifest()), Ok(()));
        let broken: [fn(&mut Manifest); 8] = [
            |manifest| manifest.id.clear(),
            |manifest| manifest.version = "a b".to_owned(),
            |manifest| manifest.endpoints[0].base_url = "http://api.example.com".to_owned(),
            |manifest| manifest.endpoints.push(manifest.endpoints[0].clone()),
            |manifest| manifest.paging_pointers.push("next".to_owned()),
            |manifest| manifest.config_schema = "{".to_owned(),
            |manifest| manifest.extra = r#"{"memory_mib":257}"#.to_owned(),
            |manifest| manifest.title = "x".repeat(MANIFEST_BYTES_MAX),
        ];
        for (at, change) in broken.iter().enumerate() {
            let mut manifest = manifest();
            change(&mut manifest);
            assert!(check(&manifest).is_err(), "change {at} went through");
        }
    }

    #[test]
    fn memory_and_blindness_are_what_the_manifest_asks_for() {
        let mut manifest = manifest();
        let default = Wishes {
            memory_mib: MEMORY_MIB_DEFAULT,
            blind: false,
        };
        assert_eq!(Wishes::of(&manifest), Ok(default));
        manifest.extra = r#"{"blind":true,"memory_mib":128}"#.to_owned();
        assert_eq!(
            Wishes::of(&manifest),
            Ok(Wishes {
                memory_mib: 128,
                blind: true
            })
        );
        manifest.extra = r#"{"blind":"yes"}"#.to_owned();
        assert!(Wishes::of(&manifest).is_err());
    }
}
