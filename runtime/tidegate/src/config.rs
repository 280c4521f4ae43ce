//! The sync file, which a tenant writes and keeps in git (the operator's file is the
//! engine's). It refuses unknown keys, and secrets do not stand in it: they are named
//! by `${env:NAME}` or `${file:path}`.

use crate::yaml::{self, Flaw, Node, Place};
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidegate_domain::batch::BatchPolicy;
use tidegate_domain::id::{ConnectionId, SyncId, TenantId};
use tidegate_domain::spec::{
    OauthAppSpec, SchemaPolicy, SecretRef, StreamSpec, TargetSpec, validate_streams,
};

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
    pub(crate) streams: Vec<StreamSpec>,
    /// Where it lands.
    pub(crate) target: TargetSpec,
    /// When a batch is sealed.
    #[serde(default)]
    pub(crate) batch: BatchPolicy,
    /// What happens when the source's schema changes.
    #[serde(default)]
    pub(crate) schema_policy: SchemaPolicy,
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
    #[serde(default)]
    pub(crate) config: serde_json::Map<String, serde_json::Value>,
    /// The OAuth application, for connectors that use one.
    pub(crate) oauth_app: Option<OauthAppSpec>,
    /// Secrets by the names that the connector's manifest gives them.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, SecretRef>,
    /// The provider's own id of the account, so that connections of one account
    /// share one budget.
    pub(crate) account: Option<String>,
    /// Percent of the account's limits that may be used; the rest is left to others.
    pub(crate) quota_share: Option<u8>,
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
    #[error("{path}:{place}: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// Why.
        reason: String,
    },
    /// A secret is on a server, and this is none.
    #[error("{field}: only a server keeps secrets; name it as ${{env:NAME}} or ${{file:path}}")]
    OnServer {
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

/// Reads a secret from where it is.
pub(crate) fn resolve(secret: &SecretRef, field: &str) -> Result<SecretString, Error> {
    let missing = |place: &str, problem| Error::MissingSecret {
        field: field.to_owned(),
        place: place.to_owned(),
        problem,
    };
    let (place, text) = match secret {
        SecretRef::Env(name) => (
            name,
            std::env::var(name).map_err(|_| missing(name, "is not set"))?,
        ),
        SecretRef::File(path) => (
            path,
            std::fs::read_to_string(path).map_err(|_| missing(path, "cannot be read"))?,
        ),
        SecretRef::Secret(_) => {
            return Err(Error::OnServer {
                field: field.to_owned(),
            });
        }
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(missing(place, "is empty"));
    }
    Ok(SecretString::from(text))
}

/// Reads a document.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let node = node(path)?;
    yaml::decode(&node).map_err(|flaw| flawed(path, flaw))
}

/// Reads the one YAML document of a file.
pub(crate) fn node(path: &Path) -> Result<Node, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut documents = yaml::parse(&text).map_err(|flaw| flawed(path, flaw))?;
    let flaw = |place, reason: &str| {
        let reason = reason.to_owned();
        flawed(path, Flaw { place, reason })
    };
    match (documents.pop(), documents.pop()) {
        (Some(node), None) => Ok(node),
        (None, _) => Err(flaw(Place::START, "the file is empty")),
        (Some(second), Some(_)) => Err(flaw(second.place, "one document is wanted here")),
    }
}

pub(crate) fn flawed(path: &Path, flaw: Flaw) -> Error {
    Error::Parse {
        path: path.to_owned(),
        place: flaw.place,
        reason: flaw.reason,
    }
}

impl SyncFile {
    /// Reads a sync file, and checks what its types cannot.
    pub(crate) fn read(path: &Path) -> Result<SyncFile, Error> {
        let node = node(path)?;
        let file: SyncFile = yaml::decode(&node).map_err(|flaw| flawed(path, flaw))?;
        let problems = validate_streams(&file.streams);
        match problems.into_iter().chain(file.target.validate()).next() {
            None => Ok(file),
            Some(problem) => {
                let place = node.place_of(&problem.pointer);
                let reason = problem.reason;
                Err(flawed(path, Flaw { place, reason }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use secrecy::ExposeSecret;
    use tidegate_domain::record::Format;
    use tidegate_domain::sync::Mode;

    const GOOD: &str = "
tenant: acme
sync: crm
connection: { id: hubspot, connector: hubspot.wasm }
streams: [{ name: contacts }]
target: { url: 'file:///tmp/lake' }
";

    fn parse(text: &str) -> Result<SyncFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.yaml");
        std::fs::write(&path, text).unwrap();
        SyncFile::read(&path).map_err(|error| error.to_string())
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
            assert!(error.contains("sync.yaml:"), "{name}: {error}");
        }
    }

    #[test]
    fn a_secret_is_read_from_where_it_is() {
        let literal =
            parse(&GOOD.replace("hubspot.wasm", "hubspot.wasm, secrets: { token: hunter2 }"));
        let error = literal.unwrap_err();
        assert!(
            error.contains("must name a secret") && !error.contains("hunter2"),
            "{error}"
        );
        let named = |text: &str| resolve(&SecretRef::parse(text).unwrap(), "x");
        let unset = named("${env:TIDEGATE_NO_SUCH_SECRET}").unwrap_err();
        assert!(unset.to_string().contains("TIDEGATE_NO_SUCH_SECRET"));
        assert!(matches!(named("${secret:a}"), Err(Error::OnServer { .. })));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let found = named(&format!("${{file:{}}}", path.display())).unwrap();
        assert_eq!(found.expose_secret(), "s3cret");
    }
}
