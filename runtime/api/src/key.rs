//! API keys: how their text is made, read and hashed.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const PREFIX: &str = "tg_";
/// Bytes of the part that is secret: nobody guesses 256 random bits.
const SECRET_BYTES: usize = 32;
const SECRET_CHARS: usize = 43;
const ID_BYTES: usize = 8;
const ID_CHARS: usize = 16;

/// A key that was just made; its text is shown once and never stored.
pub struct Minted {
    /// Names the key where it must not be shown.
    pub id: String,
    /// The whole text.
    pub text: SecretString,
    /// What the store keeps.
    pub sha256: [u8; 32],
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Minted")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Makes a key.
///
/// # Errors
/// Where the operating system gives no random bytes.
pub fn mint() -> Result<Minted, getrandom::Error> {
    let mut id = [0; ID_BYTES];
    getrandom::fill(&mut id)?;
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(&mut secret[..])?;
    let id = HEXLOWER.encode(&id);
    let secret = Zeroizing::new(BASE64URL_NOPAD.encode(&secret[..]));
    let text = SecretString::from(format!("{PREFIX}{id}_{}", *secret));
    let sha256 = sha256(text.expose_secret());
    Ok(Minted { id, text, sha256 })
}

/// What the store knows a key by. A key is 256 random bits, so there is no
/// dictionary to try, and a slow hash would only cost every request.
pub(crate) fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether the text could be a key at all; anything else is not looked up.
pub(crate) fn is_well_formed(text: &str) -> bool {
    let Some((id, secret)) = text
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'))
    else {
        return false;
    };
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    id.len() == ID_CHARS
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && secret.len() == SECRET_CHARS
        && secret.bytes().all(base64url)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_minted_key_is_well_formed_and_its_hash_is_of_the_whole_text() {
        let (one, other) = (mint().unwrap(), mint().unwrap());
        assert!(is_well_formed(one.text.expose_secret()));
        assert_eq!(one.sha256, sha256(one.text.expose_secret()));
        assert_ne!(one.sha256, other.sha256);
        assert!(!format!("{one:?}").contains(one.text.expose_secret()));
    }

    #[test]
    fn other_texts_are_not_keys() {
        let good = mint().unwrap();
        let good = good.text.expose_secret();
        for bad in [
            "",
            "tg_",
            "tg__",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}x"),
            &good.to_uppercase(),
            &good.replace("tg_", "tg-"),
        ] {
            assert!(!is_well_formed(bad), "{bad:?} was taken");
        }
    }
}
