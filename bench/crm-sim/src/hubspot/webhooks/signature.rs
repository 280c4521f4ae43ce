//! The signatures that deliveries carry.

use data_encoding::{BASE64, HEXLOWER};
use ring::hmac;
use sha2::{Digest, Sha256};

/// What a receiver decodes in an address before it verifies.
const DECODED: [(&str, &str); 12] = [
    ("%3A", ":"),
    ("%2F", "/"),
    ("%3F", "?"),
    ("%40", "@"),
    ("%21", "!"),
    ("%24", "$"),
    ("%27", "'"),
    ("%28", "("),
    ("%29", ")"),
    ("%2A", "*"),
    ("%2C", ","),
    ("%3B", ";"),
];

/// Version 3: over method, address, body and time.
pub(super) fn v3(secret: &str, url: &str, body: &str, timestamp_ms: i64) -> String {
    let decoded = DECODED.iter().fold(url.to_owned(), |url, (from, to)| {
        url.replace(from, to).replace(&from.to_lowercase(), to)
    });
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = format!("POST{decoded}{body}{timestamp_ms}");
    BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref())
}

/// Version 1, which deliveries go on carrying: over the secret and the body.
pub(super) fn v1(secret: &str, body: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(format!("{secret}{body}")))
}
