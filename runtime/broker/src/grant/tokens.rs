//! A pair of tokens, and when it is too old to use.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use zeroize::Zeroizing;

const MINUTE_MS: u64 = 60_000;

/// What a token endpoint gave.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    /// Milliseconds since the epoch; none where the answer did not say.
    pub(crate) expires_at_ms: Option<u64>,
    pub(crate) life_ms: u64,
    /// Values that the manifest keeps from the answer.
    pub(crate) kept: BTreeMap<String, String>,
}

/// The form under the seal.
#[derive(Serialize, Deserialize)]
struct Plain<S> {
    access: S,
    refresh: Option<S>,
    expires_at_ms: Option<u64>,
    life_ms: u64,
    #[serde(default)]
    kept: BTreeMap<String, String>,
}

impl Tokens {
    /// Whether the token outlives a request begun now: a tenth of its life or five
    /// minutes are kept back, but never more than half of a short life.
    pub(crate) fn is_fresh(&self, now_ms: u64) -> bool {
        let margin_ms = self.margin_ms();
        self.expires_at_ms
            .is_none_or(|expires_at_ms| now_ms.saturating_add(margin_ms) < expires_at_ms)
    }

    /// Spread by a tenth either way, so that grants of one hour are not renewed in one
    /// minute. The same token has the same margin in every process.
    fn margin_ms(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.access.expose_secret().hash(&mut hasher);
        let percent = 90 + hasher.finish() % 21;
        let margin_ms = (self.life_ms / 10).max(5 * MINUTE_MS) / 100 * percent;
        margin_ms.min(self.life_ms / 2)
    }

    /// Whether it may still be taken, where no newer one is to be had.
    pub(crate) fn is_alive(&self, now_ms: u64) -> bool {
        self.expires_at_ms
            .is_none_or(|expires_at_ms| now_ms < expires_at_ms)
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let plain = Plain {
            access: self.access.expose_secret(),
            refresh: self.refresh.as_ref().map(ExposeSecret::expose_secret),
            expires_at_ms: self.expires_at_ms,
            life_ms: self.life_ms,
            kept: self.kept.clone(),
        };
        // Room enough that no copy of a token is left behind by growing.
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
        serde_json::to_writer(&mut *bytes, &plain).expect("strings and numbers always make JSON");
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let plain: Plain<String> = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            access: plain.access.into(),
            refresh: plain.refresh.map(Into::into),
            expires_at_ms: plain.expires_at_ms,
            life_ms: plain.life_ms,
            kept: plain.kept,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tokens(life_ms: u64) -> Tokens {
        Tokens {
            access: "a".into(),
            refresh: Some("r".into()),
            expires_at_ms: Some(1_000_000_000 + life_ms),
            life_ms,
            kept: BTreeMap::new(),
        }
    }

    #[test]
    fn tokens_are_renewed_before_they_expire_and_short_ones_at_half_their_life() {
        let mut margins = std::collections::BTreeSet::new();
        for number in 0..50 {
            for (life_ms, margin_ms) in [(7_200_000, 720_000), (1_800_000, 300_000)] {
                let mut tokens = tokens(life_ms);
                tokens.access = format!("token-{number}").into();
                let at = |margin_ms| 1_000_000_000 + life_ms - margin_ms;
                assert!(
                    tokens.is_fresh(at(margin_ms * 11 / 10) - 1),
                    "life {life_ms}"
                );
                assert!(!tokens.is_fresh(at(margin_ms * 9 / 10)), "life {life_ms}");
                assert!(tokens.is_alive(at(0) - 1));
                assert!(!tokens.is_alive(at(0)));
                margins.insert(tokens.margin_ms());
            }
        }
        assert!(margins.len() > 10, "they are spread");
        for (life_ms, margin_ms) in [(60_000, 30_000), (1_000, 500)] {
            let tokens = tokens(life_ms);
            let last = 1_000_000_000 + life_ms - margin_ms - 1;
            assert!(
                tokens.is_fresh(last) && !tokens.is_fresh(last + 1),
                "life {life_ms}"
            );
        }
        let mut endless = tokens(0);
        endless.expires_at_ms = None;
        assert!(endless.is_fresh(u64::MAX));
    }

    #[test]
    fn tokens_survive_their_sealed_form() {
        let mut before = tokens(5);
        before.access = "a\"\\".into();
        before
            .kept
            .insert("host".to_owned(), "https://a/\"\u{e4}".to_owned());
        before.refresh = None;
        let after = Tokens::from_bytes(&before.to_bytes()).unwrap();
        assert_eq!(after.access.expose_secret(), "a\"\\");
        assert!(after.refresh.is_none());
        assert_eq!(after.kept, before.kept);
        assert_eq!(after.expires_at_ms, before.expires_at_ms);
    }
}
