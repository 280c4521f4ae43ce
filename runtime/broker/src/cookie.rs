//! Cookies of one partition's requests, where an endpoint declares that it needs them:
//! each goes back to the origin that set it and to nobody else.

use crate::config::Origin;
use http::{HeaderMap, HeaderValue, header};
use jiff::fmt::rfc2822::DateTimeParser;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tidegate_store::clock::now_ms;

/// Cookies of one origin; more are not kept (RFC 6265, 6.1 asks for 50).
const COOKIES_MAX: usize = 50;
/// Bytes of one name and value.
const COOKIE_BYTES_MAX: usize = 4096;

/// What was set so far. Domains and paths are not looked at: a cookie is its origin's.
#[derive(Default)]
pub(crate) struct Jar(Mutex<BTreeMap<Origin, BTreeMap<String, String>>>);

impl Jar {
    /// What to send to the origin.
    pub(crate) fn header(&self, origin: &Origin) -> Option<HeaderValue> {
        let jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = jar.get(origin)?.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut header = HeaderValue::from_str(&pairs.join("; ")).ok()?;
        header.set_sensitive(true);
        (!pairs.is_empty()).then_some(header)
    }

    /// Notes what the origin's answer sets and takes back.
    pub(crate) fn take(&self, origin: &Origin, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let Some((name, value, lives)) = line.to_str().ok().and_then(parse) else {
                continue;
            };
            let mut jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let cookies = jar.entry(origin.clone()).or_default();
            if !lives {
                cookies.remove(name);
            } else if cookies.len() < COOKIES_MAX || cookies.contains_key(name) {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Name, value, and whether it lives on.
fn parse(line: &str) -> Option<(&str, &str, bool)> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';')
    };
    if name.is_empty() || !plain(name) || !plain(value) {
        return None;
    }
    if name.len() + value.len() > COOKIE_BYTES_MAX {
        return None;
    }
    let attributes: Vec<_> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim()))
        .collect();
    let named = |wanted: &str| {
        let mut found = attributes.iter().filter(|(key, _)| key == wanted);
        found.next_back().map(|(_, value)| *value)
    };
    let lives = match (named("max-age"), named("expires")) {
        (Some(seconds), _) => seconds.parse::<i64>().is_ok_and(|seconds| seconds > 0),
        (None, Some(date)) => is_to_come(date),
        (None, None) => true,
    };
    Some((name, value, lives))
}

/// A date that cannot be read ends nothing.
fn is_to_come(date: &str) -> bool {
    match DateTimeParser::new().parse_timestamp(date.replace('-', " ")) {
        Ok(at) => u64::try_from(at.as_millisecond()).is_ok_and(|at_ms| at_ms > now_ms()),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
    }

    fn set(jar: &Jar, origin: &Origin, lines: &[&str]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::SET_COOKIE, HeaderValue::from_str(line).unwrap());
        }
        jar.take(origin, &headers);
    }

    #[test]
    fn cookies_go_back_to_their_origin_until_they_are_taken_back() {
        let (jar, crm) = (Jar::default(), origin("https://crm.test"));
        set(
            &jar,
            &crm,
            &[
                "a=1; Path=/; Secure",
                "b=\"2\"; HttpOnly",
                "c=3; Domain=evil.test",
            ],
        );
        assert_eq!(jar.header(&crm).unwrap(), "a=1; b=\"2\"; c=3");
        for other in [
            "https://crm.test:8443",
            "http://crm.test",
            "https://evil.test",
        ] {
            assert!(jar.header(&origin(other)).is_none(), "{other}");
        }
        set(
            &jar,
            &crm,
            &[
                "a=; Max-Age=0",
                "b=; Expires=Thu, 01-Jan-1970 00:00:00 GMT",
                "c=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60",
            ],
        );
        assert_eq!(jar.header(&crm).unwrap(), "c=4");
        set(&jar, &crm, &["c=; max-age=-1"]);
        assert!(jar.header(&crm).is_none());
    }

    #[test]
    fn what_is_no_cookie_or_too_much_is_not_kept() {
        let (jar, crm) = (Jar::default(), origin("https://crm.test"));
        let large = format!("a={}", "x".repeat(5000));
        set(
            &jar,
            &crm,
            &["", "a", "=1", "a b=1", "a=1 2", "a=\tb\tc", &large],
        );
        assert!(jar.header(&crm).is_none());
        for number in 0..60 {
            set(&jar, &crm, &[&format!("n{number}=1")]);
        }
        let kept = jar.header(&crm).unwrap();
        assert_eq!(kept.to_str().unwrap().split("; ").count(), COOKIES_MAX);
    }
}
