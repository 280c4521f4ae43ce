//! What the operator decides for the API.

use serde::{Deserialize, Serialize};

/// The API's part of the operator's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address that browsers and providers reach the API by, without a slash at
    /// the end: `https://tidegate.example.com`. OAuth providers send people back to
    /// `<public_url>/v1/oauth/callback`.
    pub public_url: String,
    /// Requests that one key may send, per second and in the long run.
    pub requests_per_second: u32,
    /// Requests that one key may send at once.
    pub requests_burst: u32,
    /// Bytes of an uploaded component.
    pub component_bytes_max: usize,
    /// Answers that wait for a job, and streams of a job's events, that one tenant may
    /// hold open.
    pub followers_max: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            public_url: "http://127.0.0.1:8474".to_owned(),
            requests_per_second: 50,
            requests_burst: 200,
            component_bytes_max: 16 * 1024 * 1024,
            followers_max: 100,
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("api.{name}: {reason}")]
pub struct InvalidSetting {
    name: &'static str,
    reason: &'static str,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the field.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let wrong = |name, reason| Err(InvalidSetting { name, reason });
        let origin = self
            .public_url
            .strip_prefix("https://")
            .or_else(|| self.public_url.strip_prefix("http://"));
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\"<>\\".contains(&byte);
        if !origin
            .is_some_and(|rest| !rest.is_empty() && !rest.ends_with('/') && rest.bytes().all(plain))
        {
            return wrong(
                "public_url",
                "use http(s)://host[:port][/path] without a slash at the end",
            );
        }
        if self.requests_per_second == 0 || self.requests_burst == 0 {
            return wrong(
                "requests_per_second",
                "it and requests_burst must be 1 at least",
            );
        }
        if self.component_bytes_max == 0 {
            return wrong("component_bytes_max", "must be 1 at least");
        }
        Ok(())
    }

    /// Whether browsers reach the API over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin_with_perhaps_a_path() {
        let with = |url: &str| Config {
            public_url: url.to_owned(),
            ..Config::default()
        };
        assert_eq!(Config::default().check(), Ok(()));
        assert_eq!(with("https://a.example/tidegate").check(), Ok(()));
        for bad in [
            "",
            "a.example",
            "ftp://a",
            "https://",
            "https://a/",
            "https://a?b",
            "https://u@a",
        ] {
            assert!(with(bad).check().is_err(), "{bad} was taken");
        }
    }
}
