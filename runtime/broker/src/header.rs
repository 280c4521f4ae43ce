//! Which headers a guest may send: none that the host or a hop on the way owns.

use crate::{Config, FetchFault, Rule};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Names that belong to the host: they frame the message, name the peer, carry
/// credentials, or say who sent it.
const OWNED: [&str; 22] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "via",
    "x-http-method-override",
    "x-real-ip",
];
const OWNED_PREFIXES: [&str; 4] = ["proxy-", "sec-", "x-amz-", "x-forwarded-"];

/// Checks and rebuilds a guest's headers. `signed` are the names that its auth
/// method sets.
pub(crate) fn outgoing(
    headers: &[(String, String)],
    signed: &[String],
    config: &Config,
) -> Result<HeaderMap, FetchFault> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if headers.len() > config.header_count_max || bytes > config.header_bytes_max {
        return Err(FetchFault::Invalid(format!(
            "more than {} headers or {} bytes of headers",
            config.header_count_max, config.header_bytes_max
        )));
    }
    let mut out = HeaderMap::new();
    for (at, (name, value)) in headers.iter().enumerate() {
        // Neither the name nor the value is echoed: a guest may have put anything
        // there.
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| FetchFault::Invalid(format!("the name of header {at}")))?;
        let text = name.as_str();
        let owned = OWNED.contains(&text)
            || OWNED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            || signed.iter().any(|one| one.eq_ignore_ascii_case(text));
        if owned {
            let refusal = format!("the host sets header {text}");
            return Err(FetchFault::denied(Rule::Header, refusal));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| FetchFault::Invalid(format!("the value of header {text}")))?;
        out.append(name, value);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(name: &str, value: &str) -> Result<HeaderMap, FetchFault> {
        let signed = ["X-Api-Key".to_owned()];
        outgoing(
            &[(name.to_owned(), value.to_owned())],
            &signed,
            &Config::default(),
        )
    }

    #[test]
    fn names_that_the_host_owns_are_denied_in_any_case() {
        let owned = "Host content-length Transfer-Encoding connection TE trailer upgrade expect \
             proxy-authorization Proxy-Connection cookie AUTHORIZATION forwarded X-Forwarded-For \
             x-forwarded-host x-amz-security-token via accept-encoding X-API-KEY Set-Cookie";
        for name in owned.split_whitespace() {
            let refused = check(name, "v");
            assert!(matches!(refused, Err(FetchFault::Denied(..))), "{name}");
        }
    }

    #[test]
    fn malformed_headers_are_invalid_and_never_echoed() {
        for (name, value) in [
            ("", "v"),
            ("a b", "v"),
            ("a:b", "v"),
            (":authority", "v"),
            ("x\r\nhost", "v"),
            ("naïve", "v"),
            ("x", "canary\r\nhost: evil"),
            ("x", "canary\nevil"),
            ("x", "canary\0"),
        ] {
            let Err(FetchFault::Invalid(text)) = check(name, value) else {
                panic!("{name:?}: {value:?} was taken")
            };
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn ordinary_headers_pass_in_their_order() {
        let headers: Vec<_> = [("Accept", "a"), ("x-one", "1"), ("X-One", "2")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let out = outgoing(&headers, &[], &Config::default()).unwrap();
        let values: Vec<_> = out.get_all("x-one").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn headers_are_capped_in_number_and_bytes() {
        let many = vec![("a".to_owned(), "b".to_owned()); 65];
        assert!(outgoing(&many, &[], &Config::default()).is_err());
        let large = [("a".to_owned(), "b".repeat(40_000))];
        assert!(outgoing(&large, &[], &Config::default()).is_err());
    }
}
