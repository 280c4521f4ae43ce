//! The import `vault`: keyed digests, so that no key enters a guest.

use super::{Live, State};
use crate::bindings::vault::{self, Digest, Encoding, Fault};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE, HEXUPPER};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret as _;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

impl vault::Host for State {
    fn sign(
        &mut self,
        secret: String,
        alg: Digest,
        message: Vec<u8>,
        enc: Encoding,
    ) -> wasmtime::Result<Result<String, Fault>> {
        let live = self.enter()?;
        Ok(live
            .key(&secret)
            .map(|key| encode(&mac(key, alg, &message), enc)))
    }

    fn verify(
        &mut self,
        secret: String,
        alg: Digest,
        message: Vec<u8>,
        enc: Encoding,
        signature: String,
    ) -> wasmtime::Result<Result<bool, Fault>> {
        let live = self.enter()?;
        Ok(live.key(&secret).map(|key| {
            decode(&signature, enc).is_some_and(|claimed| is_mac(key, alg, &message, &claimed))
        }))
    }
}

impl Live {
    /// The key of a secret that the manifest names for the vault.
    fn key(&self, name: &str) -> Result<&[u8], Fault> {
        if !self
            .manifest
            .secrets
            .iter()
            .any(|declared| declared == name)
        {
            return Err(Fault::Denied(
                "the manifest names no such secret for the vault".to_owned(),
            ));
        }
        match self.context.secrets.get(name) {
            Some(secret) => Ok(secret.expose_secret().as_bytes()),
            None => Err(Fault::UnknownSecret(
                "the connection has no such secret".to_owned(),
            )),
        }
    }
}

fn mac(key: &[u8], alg: Digest, message: &[u8]) -> Vec<u8> {
    match alg {
        Digest::Sha1 => keyed::<Hmac<Sha1>>(key, message)
            .finalize()
            .into_bytes()
            .to_vec(),
        Digest::Sha256 => keyed::<Hmac<Sha256>>(key, message)
            .finalize()
            .into_bytes()
            .to_vec(),
        Digest::Sha512 => keyed::<Hmac<Sha512>>(key, message)
            .finalize()
            .into_bytes()
            .to_vec(),
    }
}

/// In constant time.
fn is_mac(key: &[u8], alg: Digest, message: &[u8], claimed: &[u8]) -> bool {
    match alg {
        Digest::Sha1 => keyed::<Hmac<Sha1>>(key, message)
            .verify_slice(claimed)
            .is_ok(),
        Digest::Sha256 => keyed::<Hmac<Sha256>>(key, message)
            .verify_slice(claimed)
            .is_ok(),
        Digest::Sha512 => keyed::<Hmac<Sha512>>(key, message)
            .verify_slice(claimed)
            .is_ok(),
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}

fn encode(bytes: &[u8], enc: Encoding) -> String {
    match enc {
        Encoding::Hex => HEXLOWER.encode(bytes),
        Encoding::HexUpper => HEXUPPER.encode(bytes),
        Encoding::Base64 => BASE64.encode(bytes),
        Encoding::Base64Url => BASE64URL_NOPAD.encode(bytes),
    }
}

fn decode(text: &str, enc: Encoding) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    match enc {
        Encoding::Hex | Encoding::HexUpper => HEXLOWER_PERMISSIVE.decode(text).ok(),
        Encoding::Base64 => BASE64.decode(text).ok(),
        Encoding::Base64Url => {
            let end = text
                .iter()
                .rposition(|byte| *byte != b'=')
                .map_or(0, |last| last + 1);
            BASE64URL_NOPAD.decode(&text[..end]).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_agree_with_published_vectors_in_every_encoding() {
        // RFC 2202 and RFC 4231, test case 2.
        let (key, message) = (b"Jefe", b"what do ya want for nothing?");
        let vectors = [
            (Digest::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                Digest::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ];
        for (alg, hex) in vectors {
            assert_eq!(encode(&mac(key, alg, message), Encoding::Hex), hex);
        }
        for alg in [Digest::Sha1, Digest::Sha256, Digest::Sha512] {
            for enc in [
                Encoding::Hex,
                Encoding::HexUpper,
                Encoding::Base64,
                Encoding::Base64Url,
            ] {
                let signature = encode(&mac(key, alg, message), enc);
                let claimed = decode(&signature, enc).unwrap_or_default();
                assert!(is_mac(key, alg, message, &claimed));
                assert!(!is_mac(key, alg, b"another message", &claimed));
                assert!(!is_mac(key, alg, message, &claimed[1..]));
            }
        }
        assert_eq!(decode("not hex", Encoding::Hex), None);
    }
}
