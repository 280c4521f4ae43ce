//! Doors for fuzzers: each takes any bytes, and panics where a promise does not hold.
//! The targets of `fuzz/` and the tests below come in here.

use crate::config::{Config, Origin, PolicyMode};
use crate::decode::{Decoder, Encoding};
use crate::endpoint::Policy;
use crate::request::Target;
use crate::{Connection, answer, header};
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_domain::job::Class;
use tidegate_domain::manifest::{Endpoint, EndpointRole, Manifest, ResponseClass, ResponseRule};

/// What no provider's word exceeds: a day.
const WAIT_MS_MAX: u64 = 24 * 60 * 60 * 1000;
const BODY_BYTES_MAX: u64 = 1 << 20;

fn manifest() -> Manifest {
    let endpoint = |name: &str, base_url: &str, path: &str| Endpoint {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        role: EndpointRole::Data,
        paths: vec![path.to_owned()],
        cookies: false,
    };
    Manifest {
        id: "crm".to_owned(),
        title: String::new(),
        version: String::new(),
        config_schema: String::new(),
        endpoints: vec![
            endpoint("api", "https://api.crm.test", "/v1/"),
            endpoint("nested", "https://nested.crm.test:8443/base", "/inner"),
        ],
        allowed_hosts: vec!["files.crm.test".to_owned(), "*.sites.test".to_owned()],
        auth: Vec::new(),
        limits: Vec::new(),
        secrets: Vec::new(),
        response_headers: Vec::new(),
        responses: Vec::new(),
        paging_pointers: Vec::new(),
        extra: String::new(),
    }
}

fn connection() -> Connection {
    Connection {
        tenant: TenantId::parse("acme").expect("a name"),
        id: ConnectionId::parse("crm-1").expect("a name"),
        manifest: Arc::new(manifest()),
        config: serde_json::Map::new(),
        secrets: BTreeMap::new(),
        oauth_app: None,
        account: None,
        quota_share: None,
        connector: None,
        class: Class::Live,
    }
}

/// A link or a path of a guest: what passes goes to a listed host below a listed path,
/// and every later parser finds the same host and path.
pub fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (connection, kept) = (connection(), BTreeMap::new());
    let config = Config {
        policy: PolicyMode::Enforce,
        ..Config::default()
    };
    let policy = Policy {
        config: &config,
        connection: &connection,
        kept: &kept,
    };
    let path = |endpoint: &str| Target::Endpoint {
        endpoint: endpoint.to_owned(),
        path: text.to_owned(),
        query: vec![(text.to_owned(), text.to_owned())],
    };
    for target in [
        path("api"),
        path("nested"),
        Target::Absolute(text.to_owned()),
        Target::Absolute(format!("https://api.crm.test{text}")),
    ] {
        let Ok(allowed) = policy.allow(&target) else {
            continue;
        };
        let url = &allowed.url;
        let origin = Origin::of(url).expect("what is allowed has an origin");
        assert_eq!(origin.scheme, "https");
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        let below = match (origin.host.as_str(), origin.port) {
            ("api.crm.test", 443) => "/v1/",
            ("nested.crm.test", 8443) => "/base/inner",
            ("files.crm.test", 443) => "/",
            (host, 443) if host.ends_with(".sites.test") => "/",
            other => panic!("{other:?} is not in the manifest"),
        };
        assert!(url.path().starts_with(below), "{}", url.path());
        assert!(!url.path().split('/').any(|segment| segment == ".."));
        let uri: http::Uri = url.as_str().parse().expect("a URL that is sent is a URI");
        assert_eq!(uri.host(), Some(origin.host.as_str()));
        assert_eq!(uri.path(), url.path());
        assert_eq!(
            uri.query().unwrap_or_default(),
            url.query().unwrap_or_default()
        );
    }
}

/// Headers of a guest, as lines of `name:value`: none that passes is the host's, and
/// none ends its line early.
pub fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pairs: Vec<_> = text
        .split('\u{1e}')
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let signed = ["x-key".to_owned()];
    let config = Config::default();
    let Ok(passed) = header::outgoing(&pairs, &signed, &config) else {
        return;
    };
    assert!(passed.len() <= config.header_count_max);
    for (name, value) in &passed {
        let name = name.as_str();
        let framing = [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "x-key",
        ];
        assert!(
            !framing.contains(&name) && !name.starts_with("proxy-"),
            "{name}"
        );
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':')
        );
        assert!(
            !value
                .as_bytes()
                .iter()
                .any(|byte| matches!(byte, b'\r' | b'\n' | 0))
        );
    }
}

/// `Retry-After` and the headers of limits: no word of a provider keeps us away for
/// longer than a day.
pub fn limit_headers(bytes: &[u8]) {
    let now_ms = 1_800_000_000_000;
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let _whole = answer::whole_number(&value);
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, value);
        let wait = answer::retry_after_ms(&headers, now_ms);
        assert!(wait.is_none_or(|wait_ms| wait_ms <= WAIT_MS_MAX));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let wait = answer::reset_wait_ms(text, now_ms);
        assert!(wait.is_none_or(|wait_ms| wait_ms <= WAIT_MS_MAX));
    }
}

/// A body in each encoding, in pieces: never more than the cap comes out.
pub fn body(bytes: &[u8]) {
    let config = Config {
        body_memory_bytes_max: usize::MAX,
        ..Config::default()
    };
    for encoding in [
        Encoding::Identity,
        Encoding::Gzip,
        Encoding::Brotli,
        Encoding::Zstd,
    ] {
        let Ok(mut decoder) = Decoder::new(encoding, &config, BODY_BYTES_MAX, None) else {
            continue;
        };
        let taken = bytes.chunks(97).try_for_each(|chunk| decoder.take(chunk));
        if taken.is_err() {
            continue;
        }
        if let Ok(whole) = decoder.finish() {
            assert!(whole.len() as u64 <= BODY_BYTES_MAX);
            assert!(encoding != Encoding::Identity || whole == bytes);
        }
    }
}

/// A pointer and a text (two lines), then a document: any answer has one class.
pub fn response_rules(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (pointer, wanted) = (text(), text());
    let document = parts.next().unwrap_or_default();
    let mut manifest = manifest();
    manifest.responses = vec![ResponseRule {
        status: (200, 299),
        body: Some((pointer, wanted)),
        class: ResponseClass::ThrottledLong,
    }];
    let class = answer::classify(&manifest, 200, document);
    assert!(matches!(
        class,
        ResponseClass::Success | ResponseClass::ThrottledLong
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pieces that parsers stumble over, in any order.
    fn hostile(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    const ADDRESS: &[&str] = &[
        "https://",
        "http://",
        "HTTPS:",
        "//",
        "/",
        "\\",
        "@",
        ":443",
        ":8443",
        ":80",
        "?",
        "#",
        "..",
        "%2e",
        "%2f",
        "%5c",
        "%252e",
        "%00",
        ";",
        ".",
        "api.crm.test",
        "nested.crm.test",
        "/v1/",
        "/base/inner",
        "files.crm.test",
        "a.sites.test",
        "evil.test",
        "127.0.0.1",
        "0x7f.1",
        "[::1]",
        "\t",
        "\n",
        "\u{3002}",
        "\u{ff0f}",
        "&",
        "=",
        "+",
        " ",
    ];
    const HEADER: &[&str] = &[
        "x-a",
        ":",
        "host",
        "Content-Length",
        "transfer-encoding",
        "X-KEY",
        "proxy-x",
        "\r\n",
        "\r",
        "\n",
        "\0",
        " ",
        "\t",
        "\u{1e}",
        "chunked",
        "1",
        "\u{e9}",
        "authorization",
    ];
    const LIMIT: &[&str] = &[
        "-",
        "+",
        "1",
        "9",
        "0",
        ".",
        "e",
        "E",
        "99999999999",
        "inf",
        "nan",
        "Sun, 06 Nov 1994",
        " 08:49:37 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        " ",
        ",",
        "x",
    ];
    const DOCUMENT: &[&str] = &[
        "\n",
        "/",
        "~0",
        "~1",
        "/a",
        "/0",
        "/-1",
        "{",
        "}",
        "[",
        "]",
        "\"a\"",
        ":",
        ",",
        "1e400",
        "\"\\ud800\"",
        "null",
        "[[[[[[[[[[[[[[[[",
        "{\"a\":",
        "a",
        "18446744073709551616",
    ];

    /// Bytes at which a door once broke.
    #[test]
    fn what_a_fuzzer_found_stays_mended() {
        for link in ["https://`=0dddXdd.sites.test/./", "https://a=b.sites.test/"] {
            address(link.as_bytes());
            address(link.trim_start_matches("https://").as_bytes());
            address(format!(".{}", link.trim_start_matches("https://")).as_bytes());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_address_leads_to_the_manifest_or_nowhere(bytes in hostile(ADDRESS)) {
            address(&bytes);
        }

        #[test]
        fn a_header_is_the_guests_own_and_one_line(bytes in hostile(HEADER)) {
            headers(&bytes);
        }

        #[test]
        fn no_word_of_a_provider_stops_us_for_more_than_a_day(bytes in hostile(LIMIT)) {
            limit_headers(&bytes);
        }

        #[test]
        fn any_document_has_one_class(bytes in hostile(DOCUMENT)) {
            response_rules(&bytes);
        }

        #[test]
        fn bytes_that_were_packed_and_damaged_never_pass_the_cap(
            plain in prop::collection::vec(any::<u8>(), 0..2000),
            zstd: bool,
            at: prop::sample::Index,
            to: u8,
        ) {
            let mut packed = if zstd {
                zstd::stream::encode_all(&plain[..], 1).unwrap_or_default()
            } else {
                use std::io::Write as _;
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                let written = encoder.write_all(&plain).and_then(|()| encoder.finish());
                written.unwrap_or_default()
            };
            let length = packed.len();
            packed[at.index(length)] = to;
            body(&packed);
        }
    }
}
