//! What an answer means to the host, by the manifest's rules and the headers.

use http::{HeaderMap, HeaderValue};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;
use tidegate_domain::manifest::{Manifest, ResponseClass};

/// Rules on bodies look at no more than this: documents that say "error" are
/// small, and pages of records are not parsed twice.
const CLASSIFIED_BYTES_MAX: usize = 64 << 10;
/// No provider's word keeps us away longer than a day.
const WAIT_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Never handed to a guest, whatever its manifest asks for.
const WITHHELD: [&str; 6] = [
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "authorization",
];

/// The class of an answer: the first rule that matches, else the status.
pub(crate) fn classify(manifest: &Manifest, status: u16, body: &[u8]) -> ResponseClass {
    let mut document: Option<Option<Value>> = None;
    let matches = |rule: &&tidegate_domain::manifest::ResponseRule| {
        let (first, last) = rule.status;
        if !(first..=last).contains(&status) {
            return false;
        }
        let Some((pointer, text)) = &rule.body else {
            return true;
        };
        if body.len() > CLASSIFIED_BYTES_MAX {
            return false;
        }
        if pointer.is_empty() {
            return String::from_utf8_lossy(body).contains(text);
        }
        let document = document.get_or_insert_with(|| serde_json::from_slice(body).ok());
        match document.as_ref().and_then(|json| json.pointer(pointer)) {
            Some(Value::String(found)) => found.contains(text),
            Some(other) => other.to_string().contains(text),
            None => false,
        }
    };
    let mut rules = manifest.responses.iter();
    rules
        .find(matches)
        .map_or_else(|| class_of_status(status), |rule| rule.class)
}

fn class_of_status(status: u16) -> ResponseClass {
    match status {
        200..=399 => ResponseClass::Success,
        401 => ResponseClass::Auth,
        429 => ResponseClass::ThrottledShort,
        408 | 500..=599 => ResponseClass::Transient,
        _ => ResponseClass::Permanent,
    }
}

/// The headers that a guest may see.
pub(crate) fn shown_headers(manifest: &Manifest, headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = |name: &str| {
        let asked = manifest.response_headers.iter();
        let asked =
            name == "content-type" || asked.into_iter().any(|one| one.eq_ignore_ascii_case(name));
        asked && !WITHHELD.contains(&name)
    };
    headers
        .iter()
        .filter(|(name, _)| shown(name.as_str()))
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

/// `Retry-After` as a wait: seconds or an HTTP date.
pub(crate) fn retry_after_ms(headers: &HeaderMap, now_ms: u64) -> Option<u64> {
    let value = headers.get(http::header::RETRY_AFTER)?;
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return wait_of_seconds(seconds);
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    let at_ms = u64::try_from(date.as_millisecond()).ok()?;
    Some(at_ms.saturating_sub(now_ms).min(WAIT_MS_MAX))
}

/// A reset header as a wait. Providers give seconds from now, or a moment in
/// seconds or milliseconds since the epoch; their sizes tell them apart.
pub(crate) fn reset_wait_ms(text: &str, now_ms: u64) -> Option<u64> {
    let number: f64 = text.trim().parse().ok()?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since the epoch are far below 2^53"
    )]
    let now = now_ms as f64;
    if number >= 1e12 {
        wait_of_seconds((number - now) / 1e3)
    } else if number >= 1e9 {
        wait_of_seconds(number - now / 1e3)
    } else {
        wait_of_seconds(number)
    }
}

fn wait_of_seconds(seconds: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    let wait_ms = (seconds * 1e3).ceil() as u64;
    (!seconds.is_nan()).then(|| wait_ms.min(WAIT_MS_MAX))
}

/// A header that holds a whole number.
pub(crate) fn whole_number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

/// What is left, as a header says: a whole number, or `name=used/limit` as Salesforce
/// writes it (`api-usage=18/15000; per-app-api-usage=...`).
pub(crate) fn remaining(value: &HeaderValue) -> Option<u64> {
    if let Some(remaining) = whole_number(value) {
        return Some(remaining);
    }
    let (_, usage) = value.to_str().ok()?.split(';').next()?.split_once('=')?;
    let (used, limit) = usage.trim().split_once('/')?;
    let (used, limit): (u64, u64) = (used.parse().ok()?, limit.parse().ok()?);
    Some(limit.saturating_sub(used))
}

/// What a request cost, by a number in its answer; fractions count as a unit.
pub(crate) fn cost_in(body: &[u8], pointer: &str) -> Option<u64> {
    if body.len() > CLASSIFIED_BYTES_MAX {
        return None;
    }
    let document: Value = serde_json::from_slice(body).ok()?;
    let found = document.pointer(pointer)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    found
        .as_u64()
        .or_else(|| found.as_f64().map(|cost| cost.ceil() as u64))
}

#[cfg(test)]
mod tests;
