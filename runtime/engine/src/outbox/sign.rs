//! The signature of the Standard Webhooks specification, version 1 (`v1`): HMAC-SHA256
//! over id, time and body.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// A subscription's key.
pub(super) struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// The key in a secret: `whsec_` and base64, or any other text as it is. None where
    /// the base64 is none.
    pub(super) fn of(secret: &SecretString) -> Option<SigningKey> {
        let text = secret.expose_secret().trim();
        let key = match text.strip_prefix("whsec_") {
            Some(encoded) => BASE64.decode(encoded.as_bytes()).ok()?,
            None => text.as_bytes().to_vec(),
        };
        let hmac = Hmac::new_from_slice(&key).expect("HMAC takes a key of any length");
        Some(SigningKey(hmac))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, at_s: u64, body: &str) -> String {
        let mut hmac = self.0.clone();
        hmac.update(format!("{id}.{at_s}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(&hmac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_specification_s_own_example_comes_out() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let key = SigningKey::of(&secret).unwrap();
        let signature = key.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_broken_key_signs_nothing() {
        assert!(SigningKey::of(&SecretString::from("whsec_***")).is_none());
        assert!(SigningKey::of(&SecretString::from("plain text")).is_some());
    }
}
