//! The sync file, which a tenant writes and keeps in git (the operator's file is the
//! engine's). It refuses unknown keys, and secrets do not stand in it: they are named
//! by `${env:NAME}` or `${file:path}`.

use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidegate_domain::batch::BatchPolicy;
use tidegate_domain::id::{ConnectionId, StreamName, SyncId, TenantId};
use tidegate_domain::record::Format;
use tidegate_domain::sync::{Landing, Mode};

/// A sync file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncFile {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// Its id; part of every object key.
    pub(crate) sync: SyncId,
    /// Where records come from.
    pub(crate) connection: ConnectionFile,
    /// What is read.
    pub(crate) streams: Vec<StreamFile>,
    /// Where it lands.
    pub(crate) target: TargetFile,
    /// When a batch is sealed.
    #[serde(default)]
    pub(crate) batch: BatchPolicy,
}

/// A connection in a sync file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionFile {
    /// Its id; grants are stored under it.
    pub(crate) id: ConnectionId,
    /// The component, relative to the sync file.
    pub(crate) connector: PathBuf,
    /// The connector's own configuration.
    #[serde(default = "empty_object")]
    pub(crate) config: serde_json::Value,
    /// The OAuth application, for connectors that use one.
    pub(crate) oauth_app: Option<OauthAppFile>,
    /// Secrets by the names that the connector's manifest gives them.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The provider's own id of the account, so that connections of one account
    /// share one budget.
    pub(crate) account: Option<String>,
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// An OAuth application in a sync file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OauthAppFile {
    /// Public.
    pub(crate) client_id: String,
    /// Secret.
    pub(crate) client_secret: Secret,
    /// The loopback port of the redirect address (`http://127.0.0.1:PORT/callback`),
    /// for providers that want it registered; any free one without it.
    #[serde(default)]
    pub(crate) redirect_port: u16,
}

/// A stream in a sync file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamFile {
    /// Its name in the connection's catalog.
    pub(crate) name: StreamName,
    /// How it is read.
    #[serde(default = "incremental")]
    pub(crate) mode: Mode,
    /// How it lands.
    #[serde(default = "append_dedup")]
    pub(crate) landing: Landing,
    /// Fields to read; empty reads all.
    #[serde(default)]
    pub(crate) fields: Vec<String>,
    /// Bounds of the history; without them all of it.
    pub(crate) window: Option<WindowFile>,
    /// Partitions to plan for, and to read at the same time.
    #[serde(default = "four")]
    pub(crate) partitions_max: u32,
}

fn incremental() -> Mode {
    Mode::Incremental
}

fn append_dedup() -> Landing {
    Landing::AppendDedup
}

fn four() -> u32 {
    4
}

/// A span of time in a sync file, half-open.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowFile {
    /// First instant, RFC 3339.
    pub(crate) since: jiff::Timestamp,
    /// First instant after it, RFC 3339; without it the run's own time.
    pub(crate) until: Option<jiff::Timestamp>,
}

/// A target in a sync file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetFile {
    /// `file:///directory` or `s3://bucket/prefix`.
    pub(crate) url: String,
    /// The file format.
    #[serde(default = "parquet")]
    pub(crate) format: Format,
    /// Another S3 than Amazon's.
    pub(crate) endpoint: Option<String>,
    /// The bucket's region.
    #[serde(default = "us_east_1")]
    pub(crate) region: String,
    /// Whether the bucket is in the path rather than in the host name.
    #[serde(default)]
    pub(crate) path_style: bool,
    /// The access key's id.
    pub(crate) access_key: Option<Secret>,
    /// The access key.
    pub(crate) secret_key: Option<Secret>,
}

fn parquet() -> Format {
    Format::Parquet
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

/// A secret, given by reference. A literal is refused, so that no secret is ever
/// checked in.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(..)")
    }
}

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not YAML, or not of our shape.
    #[error("{path} is not valid: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A value is well-formed but cannot work.
    #[error("{field}: {reason}")]
    Value {
        /// Which one.
        field: String,
        /// What to change.
        reason: String,
    },
    /// A secret is given as a literal.
    #[error(
        "{field} must name a secret as ${{env:NAME}} or ${{file:path}}, so that none is checked in"
    )]
    LiteralSecret {
        /// Which one.
        field: String,
    },
    /// A secret's place is empty.
    #[error("{field} names {place}, which {problem}; set it and run again")]
    MissingSecret {
        /// Which one.
        field: String,
        /// The variable or file.
        place: String,
        /// Is not set, cannot be read.
        problem: &'static str,
    },
}

impl Secret {
    /// Reads the secret from where it is.
    pub(crate) fn resolve(&self, field: &str) -> Result<SecretString, Error> {
        let literal = || Error::LiteralSecret {
            field: field.to_owned(),
        };
        let inner = self
            .0
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let (kind, place) = inner
            .and_then(|inner| inner.split_once(':'))
            .ok_or_else(literal)?;
        let missing = |problem| Error::MissingSecret {
            field: field.to_owned(),
            place: place.to_owned(),
            problem,
        };
        let text = match kind {
            "env" => std::env::var(place).map_err(|_| missing("is not set"))?,
            "file" => std::fs::read_to_string(place).map_err(|_| missing("cannot be read"))?,
            _ => return Err(literal()),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(missing("is empty"));
        }
        Ok(SecretString::from(text))
    }
}

/// Reads a document.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_saphyr::from_str(&text).map_err(|error| Error::Parse {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

impl SyncFile {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let wrong = |field: String, reason: &str| Error::Value {
            field,
            reason: reason.to_owned(),
        };
        if self.streams.is_empty() {
            return Err(wrong("streams".to_owned(), "name at least one stream"));
        }
        for (at, stream) in self.streams.iter().enumerate() {
            let field = |name: &str| format!("streams[{at}].{name}");
            if self.streams[..at]
                .iter()
                .any(|other| other.name == stream.name)
            {
                return Err(wrong(field("name"), "this stream is there twice"));
            }
            if !(1..=256).contains(&stream.partitions_max) {
                return Err(wrong(field("partitions_max"), "use 1 to 256"));
            }
            if stream.landing == Landing::Overwrite && stream.mode == Mode::Incremental {
                return Err(wrong(
                    field("landing"),
                    "overwrite needs mode full_refresh; use append_dedup with incremental",
                ));
            }
            if let Some(window) = &stream.window
                && (window.until.is_some_and(|until| window.since >= until)
                    || window.since.as_millisecond() < 0)
            {
                return Err(wrong(
                    field("window"),
                    "since must be before until, and not before 1970",
                ));
            }
        }
        if !self.connection.config.is_object() {
            return Err(wrong("connection.config".to_owned(), "must be a mapping"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use secrecy::ExposeSecret;

    const GOOD: &str = "
tenant: acme
sync: crm
connection: { id: hubspot, connector: hubspot.wasm }
streams: [{ name: contacts }]
target: { url: 'file:///tmp/lake' }
";

    fn parse(text: &str) -> Result<SyncFile, String> {
        let file: SyncFile = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        file.validate().map_err(|error| error.to_string())?;
        Ok(file)
    }

    #[test]
    fn a_short_file_is_enough() {
        let file = parse(GOOD).unwrap();
        assert_eq!(file.streams[0].mode, Mode::Incremental);
        assert_eq!(file.target.format, Format::Parquet);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("an unknown key", GOOD.replace("sync: crm", "sync: crm\nspeed: 9"), "speed"),
            ("a bad id", GOOD.replace("acme", "../etc"), "tenant"),
            ("a stream twice", GOOD.replace("[{ name: contacts }]", "[{ name: a }, { name: a }]"), "twice"),
            ("no stream", GOOD.replace("[{ name: contacts }]", "[]"), "at least one"),
            (
                "overwrite of increments",
                GOOD.replace("name: contacts", "name: contacts, landing: overwrite"),
                "full_refresh",
            ),
            (
                "an empty window",
                GOOD.replace(
                    "name: contacts",
                    "name: contacts, window: { since: 2024-01-01T00:00:00Z, until: 2024-01-01T00:00:00Z }",
                ),
                "before until",
            ),
        ];
        for (name, text, expected) in table {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn a_secret_is_a_reference_and_never_printed() {
        let literal = Secret("hunter2".to_owned());
        assert!(matches!(
            literal.resolve("x"),
            Err(Error::LiteralSecret { .. })
        ));
        assert!(!format!("{literal:?}").contains("hunter2"));
        let unset = Secret("${env:TIDEGATE_NO_SUCH_SECRET}".to_owned())
            .resolve("x")
            .unwrap_err();
        assert!(unset.to_string().contains("TIDEGATE_NO_SUCH_SECRET"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let found = Secret(format!("${{file:{}}}", path.display()))
            .resolve("x")
            .unwrap();
        assert_eq!(found.expose_secret(), "s3cret");
    }
}
