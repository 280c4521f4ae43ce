#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::Mapping;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_domain::job::Class;
use tidegate_domain::manifest::Manifest;

fn endpoint(name: &str, base_url: &str, paths: &[&str]) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        role: EndpointRole::Data,
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        cookies: false,
    }
}

fn connection(endpoints: Vec<Endpoint>) -> Connection {
    let manifest = Manifest {
        id: "crm".to_owned(),
        title: String::new(),
        version: String::new(),
        config_schema: "{}".to_owned(),
        endpoints,
        allowed_hosts: vec!["files.example.net".to_owned(), "*.cdn.example".to_owned()],
        auth: Vec::new(),
        limits: Vec::new(),
        secrets: Vec::new(),
        response_headers: Vec::new(),
        responses: Vec::new(),
        paging_pointers: Vec::new(),
        extra: "{}".to_owned(),
    };
    Connection {
        tenant: TenantId::parse("acme").unwrap(),
        id: ConnectionId::parse("one").unwrap(),
        manifest: Arc::new(manifest),
        config: serde_json::from_value(json!({
            "region": "eu1", "evil": "a.evil.com/", "empty": "", "dashed": "-a"
        }))
        .unwrap(),
        secrets: std::collections::BTreeMap::new(),
        oauth_app: None,
        account: None,
        quota_share: None,
        class: Class::Live,
        connector: None,
    }
}

fn crm() -> Connection {
    connection(vec![
        endpoint("api", "https://api.example.com", &["/crm/", "/v2"]),
        endpoint("open", "https://open.example.com/base/", &[]),
        endpoint("own", "https://{token.host}", &[]),
        endpoint("regional", "https://{config.region}.example.com", &[]),
        endpoint("evil", "https://{config.evil}.example.com", &[]),
        endpoint("empty", "https://{config.empty}.example.com", &[]),
        endpoint("dashed", "https://{config.dashed}.example.com", &[]),
    ])
}

struct Case {
    config: Config,
    connection: Connection,
    kept: BTreeMap<String, String>,
}

impl Case {
    fn new() -> Self {
        let origin = |text: &str| Origin::parse(text).unwrap();
        let config = Config {
            mappings: vec![Mapping {
                from: origin("https://open.example.com"),
                to: origin("http://127.0.0.1:8080"),
            }],
            ..Config::default()
        };
        let kept = [("host".to_owned(), "https://acme.my.example.org".to_owned())].into();
        Self {
            config,
            connection: crm(),
            kept,
        }
    }

    fn allow(&self, target: &Target) -> Result<Allowed, FetchFault> {
        let policy = Policy {
            config: &self.config,
            connection: &self.connection,
            kept: &self.kept,
        };
        policy.allow(target)
    }

    fn path(&self, endpoint: &str, path: &str) -> Option<String> {
        self.query(endpoint, path, &[])
    }

    fn query(&self, endpoint: &str, path: &str, query: &[(&str, &str)]) -> Option<String> {
        let query = query
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let target = Target::Endpoint {
            endpoint: endpoint.to_owned(),
            path: path.to_owned(),
            query: query.collect(),
        };
        self.allow(&target).ok().map(|allowed| allowed.url.into())
    }

    fn link(&self, link: &str) -> Option<Allowed> {
        self.allow(&Target::Absolute(link.to_owned())).ok()
    }
}

#[test]
fn a_star_in_a_prefix_stands_for_one_segment() {
    let prefix = "/sobjects/*/describe";
    for good in [
        "/sobjects/Account/describe",
        "/sobjects/a__c/describe/layouts",
    ] {
        assert!(starts_with(good, prefix), "{good} was refused");
    }
    for bad in [
        "/sobjects/Account",
        "/sobjects/Account/001",
        "/sobjects//describe",
        "/sobjects/a/b/describe",
        "/sobjects/a%2Fb/describe",
        "/sobjects/a%252fb/describe",
        "/sobjects/a;b/describe",
        "/sobjects/Account/describes",
        "/x/sobjects/Account/describe",
    ] {
        assert!(!starts_with(bad, prefix), "{bad} was let through");
    }
    assert!(starts_with("/a/b", "/a/*") && !starts_with("/a/", "/a/*"));
    assert!(starts_with("/a/b/", "/a/*/") && !starts_with("/a/b", "/a/*/"));
}

#[test]
fn paths_stay_below_their_prefixes_by_whole_segments() {
    let case = Case::new();
    for good in [
        "/crm/contacts",
        "/crm/a/../b",
        "/v2",
        "/v2/deals?cursor=a%20b&x=1",
        "/crm/%C3%A4",
        "/crm/a..b/...",
    ] {
        assert!(case.path("api", good).is_some(), "{good} was refused");
    }
    for bad in [
        "",
        "crm/x",
        "//evil.com/crm/",
        "/\\evil.com",
        "/v2x",
        "/crm",
        "/admin",
        "/crm/../admin",
        "/crm/%2e%2e/admin",
        "/crm/.%2E/admin",
        "/crm/..%2fadmin",
        "/crm/..%2Fadmin/..%2f",
        "/crm/%2e%2e%2fadmin",
        "/crm/%252e%252e/admin",
        "/crm/..%5cadmin",
        "/crm/..;/admin",
        "/crm/x#fragment",
        "/crm/x y",
        "/crm/\r\nhost:evil",
        "/crm/\u{e4}",
        "/crm/\0",
        "@evil.com/crm/",
    ] {
        assert_eq!(case.path("api", bad), None, "{bad:?} was taken");
    }
}

#[test]
fn queries_are_encoded_here() {
    let url = Case::new().query("api", "/v2/x?a=1", &[("q&", "a b+c#/\u{e4}"), ("e", "")]);
    assert_eq!(
        url.unwrap(),
        "https://api.example.com/v2/x?a=1&q%26=a%20b%2Bc%23%2F%C3%A4&e="
    );
}

#[test]
fn templates_choose_a_label_or_a_kept_https_host_and_nothing_else() {
    let mut case = Case::new();
    assert_eq!(
        case.path("regional", "/a").unwrap(),
        "https://eu1.example.com/a"
    );
    for endpoint in ["evil", "empty", "dashed"] {
        assert_eq!(case.path(endpoint, "/a"), None, "{endpoint}");
    }
    assert_eq!(
        case.path("own", "/a").unwrap(),
        "https://acme.my.example.org/a"
    );
    for good in [
        "acme.example.org",
        "https://acme.example.org/",
        "http://127.0.0.1:8080",
    ] {
        case.kept.insert("host".to_owned(), good.to_owned());
        assert!(case.path("own", "/a").is_some(), "{good}");
    }
    for bad in [
        "http://acme.example.org",
        "http://127.0.0.1:8081",
        "https://user@acme.example.org",
        "https://acme.example.org/path",
        "https://acme.example.org?x",
        "https://acme.example.org\\@evil.com",
        "https://acme.example.org/#",
        "file:///etc/passwd",
        "",
    ] {
        case.kept.insert("host".to_owned(), bad.to_owned());
        assert_eq!(case.path("own", "/a"), None, "{bad:?}");
    }
}

#[test]
fn an_operators_mapping_moves_the_origin_and_keeps_the_path() {
    let case = Case::new();
    assert_eq!(
        case.path("open", "/x?y=1").unwrap(),
        "http://127.0.0.1:8080/base/x?y=1"
    );
    for link in [
        "https://open.example.com/base/n?p=2",
        "http://127.0.0.1:8080/base/n?p=2",
    ] {
        let allowed = case.link(link).unwrap();
        assert_eq!(allowed.url.as_str(), "http://127.0.0.1:8080/base/n?p=2");
        assert_eq!(allowed.endpoint, "open");
    }
}

#[test]
fn links_lead_to_an_endpoint_or_nowhere() {
    let case = Case::new();
    for (good, endpoint, credentials) in [
        ("https://api.example.com/crm/next?after=1", "api", true),
        ("HTTPS://API.EXAMPLE.COM:443/crm/next", "api", true),
        ("https://acme.my.example.org/anything", "own", true),
        (
            "https://files.example.net/f?sig=1",
            "files.example.net",
            true,
        ),
        ("https://a.b.cdn.example/f", "a.b.cdn.example", false),
    ] {
        let allowed = case
            .link(good)
            .unwrap_or_else(|| panic!("{good} was refused"));
        assert_eq!(allowed.endpoint, endpoint);
        assert_eq!(allowed.takes_credentials, credentials, "{good}");
    }
    for bad in [
        "",
        "/crm/next",
        "//api.example.com/crm/next",
        "https:/api.example.com/crm/next",
        "https:api.example.com/crm/next",
        "https:///api.example.com/crm/next",
        "http://api.example.com/crm/next",
        "ftp://api.example.com/crm/next",
        "file:///etc/passwd",
        "https://api.example.com:8443/crm/next",
        "https://api.example.com/admin",
        "https://api.example.com/crm/../admin",
        "https://api.example.com/crm/..%2fadmin",
        "https://api.example.com.evil.com/crm/next",
        "https://api.example.com@evil.com/crm/next",
        "https://evil.com@api.example.com/crm/next",
        "https://@api.example.com/crm/next",
        "https://api.example.com\\@evil.com/crm/next",
        "https://evil.com\\.api.example.com/crm/next",
        "https://evil.com#api.example.com/crm/next",
        "https://evil.com?api.example.com/crm/next",
        "https://evil.com/https://api.example.com/crm/next",
        "https://api.example.com\t/crm/next",
        " https://api.example.com/crm/next",
        "https://api.exam\nple.com/crm/next",
        "https://\u{430}pi.example.com/crm/next",
        "https://api。example。com/crm/next",
        "https://cdn.example/f",
        "https://evilcdn.example/f",
        "http://a.cdn.example/f",
        "https://a.cdn.example:8443/f",
        "https://127.0.0.1/crm/next",
        "https://2130706433/crm/next",
        "https://0x7f.1/crm/next",
        "https://[::ffff:127.0.0.1]/crm/next",
        "http://127.0.0.1:8080/elsewhere",
        "http://127.0.0.1:8081/base/x",
        "http://localhost:8080/base/x",
        "http://169.254.169.254/latest/meta-data",
    ] {
        assert_eq!(case.link(bad), None, "{bad:?} was taken");
    }
}

#[test]
fn manifests_with_unsafe_urls_are_refused() {
    for bad in [
        "http://api.example.com",
        "https://x{token.host}",
        "https://{token.host}.evil.com",
        "https://api.example.com/{config.region}",
        "ftp://x",
    ] {
        let connection = connection(vec![endpoint("api", bad, &[])]);
        assert!(check_manifest(&connection.manifest).is_err(), "{bad}");
    }
    assert!(check_manifest(&crm().manifest).is_ok());
}

proptest! {
    #[test]
    fn no_path_leaves_its_origin_or_its_prefix(path in "[/.%2eEfF5cC\\\\a-c?@:#;]{0,24}") {
        let case = Case::new();
        if let Some(url) = case.path("api", &path) {
            let url = Url::parse(&url).unwrap();
            prop_assert_eq!(url.host_str(), Some("api.example.com"));
            let path = url.path();
            prop_assert!(path.starts_with("/crm/") || path == "/v2" || path.starts_with("/v2/"));
        }
    }

    #[test]
    fn no_link_reaches_an_unknown_host(link in "https?:[/\\\\]{1,3}[a-z.@:/\\\\?#%0-9]{0,30}") {
        let case = Case::new();
        if let Some(allowed) = case.link(&link) {
            let host = allowed.url.host_str().unwrap().to_owned();
            let known = ["api.example.com", "127.0.0.1", "acme.my.example.org", "eu1.example.com", "files.example.net"];
            prop_assert!(known.contains(&host.as_str()) || host.ends_with(".cdn.example"), "{link} -> {host}");
        }
    }
}
