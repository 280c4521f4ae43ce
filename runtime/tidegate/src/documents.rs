//! Configuration as code: a directory of YAML, read and checked without a server.
//!
//! Every `.yaml` and `.yml` file below the directory holds one or more documents, and
//! each document says what it is by `kind` and `id`; the rest is its configuration. So
//! a file may be named and moved at will, and one file is enough to begin with.
//!
//! ```yaml
//! kind: connection
//! id: hubspot-main
//! connector: hubspot
//! secrets: { token: "${env:HUBSPOT_TOKEN}" }
//! ---
//! kind: sync
//! id: crm
//! connection: hubspot-main
//! streams: [{ name: contacts }]
//! target: { url: s3://acme-lake/crm, access_key: "${env:KEY_ID}", secret_key: "${env:KEY}" }
//! ```

use crate::yaml::{self, Flaw, Node, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use tidegate_domain::id::ConnectionId;
use tidegate_domain::spec::{ConnectorRef, DocumentKey, DocumentSet, Problem, did_you_mean};

/// Bytes of one file; a configuration is written by people.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Files below one directory.
const FILES_MAX: usize = 10_000;
/// What a document says of itself, beside its configuration.
const OWN_KEYS: [&str; 2] = ["kind", "id"];

/// A directory as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// What it says.
    pub(crate) set: DocumentSet,
    /// Where each document stands.
    sources: BTreeMap<DocumentKey, Source>,
    /// Those that say what they are, and whose rest cannot be read.
    unread: BTreeSet<DocumentKey>,
    /// How many files were read.
    pub(crate) files: usize,
    /// Everything that is wrong, in the order of the files.
    pub(crate) findings: Vec<Finding>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    node: Node,
}

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    pub(crate) reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}:{}: {}",
            self.path.display(),
            self.place,
            self.reason
        )
    }
}

/// A directory that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file or directory is not there, or not for us.
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Nothing to check.
    #[error("{path} holds no .yaml file; make an example with `tidegate init {path}`")]
    Empty { path: PathBuf },
    /// It is not a configuration.
    #[error("{path} holds more than {FILES_MAX} .yaml files")]
    TooMany { path: PathBuf },
}

/// Reads and checks all documents below `folder`, or those of one file.
pub(crate) fn read(folder: &Path) -> Result<Documents, Error> {
    let mut paths = Vec::new();
    match folder.is_file() {
        true => paths.push(folder.to_owned()),
        false => collect(folder, &mut paths)?,
    }
    paths.sort();
    if paths.is_empty() {
        let path = folder.to_owned();
        return Err(Error::Empty { path });
    }
    let mut documents = Documents {
        files: paths.len(),
        ..Documents::default()
    };
    for path in paths {
        let text = text(&path)?;
        match text.and_then(|text| yaml::parse(&text)) {
            Ok(nodes) => nodes
                .into_iter()
                .for_each(|node| documents.add(&path, node)),
            Err(flaw) => documents.find(&path, flaw),
        }
    }
    documents.check();
    documents.findings.sort();
    Ok(documents)
}

fn collect(path: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        // A link to a directory is not followed: it may lead round in a circle.
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if is_folder {
            collect(&path, paths)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            let path = entry.path();
            return Err(Error::TooMany { path });
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<Result<String, Flaw>, Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let flaw = |reason: String| {
        Ok(Err(Flaw {
            place: Place::START,
            reason,
        }))
    };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return flaw(format!("a file may have {FILE_BYTES_MAX} bytes"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Ok(text)),
        Err(_) => flaw("the file is not UTF-8".to_owned()),
    }
}

impl Documents {
    fn find(&mut self, path: &Path, flaw: Flaw) {
        self.findings.push(Finding {
            path: path.to_owned(),
            place: flaw.place,
            reason: flaw.reason,
        });
    }

    fn add(&mut self, path: &Path, node: Node) {
        if let Err(flaw) = self.take(path, node) {
            self.find(path, flaw);
        }
    }

    fn take(&mut self, path: &Path, node: Node) -> Result<(), Flaw> {
        let key = key(&node)?;
        let id_place = node.place_of("/id");
        if let Some(other) = self.sources.get(&key) {
            let (path, place) = (other.path.display(), other.node.place_of("/id"));
            return Err(Flaw {
                place: id_place,
                reason: format!("{key} is there twice; the other is at {path}:{place}"),
            });
        }
        self.unread.insert(key.clone());
        match &key {
            DocumentKey::Connection(id) => {
                let spec = yaml::decode_without(&node, &OWN_KEYS)?;
                self.set.connections.insert(id.clone(), spec);
            }
            DocumentKey::Sync(id) => {
                let spec = yaml::decode_without(&node, &OWN_KEYS)?;
                self.set.syncs.insert(id.clone(), spec);
            }
            DocumentKey::Subscription(id) => {
                let spec = yaml::decode_without(&node, &OWN_KEYS)?;
                self.set.subscriptions.insert(id.clone(), spec);
            }
        }
        self.unread.remove(&key);
        let path = path.to_owned();
        self.sources.insert(key, Source { path, node });
        Ok(())
    }

    /// Where a connection's component is, if a file of its own is named.
    pub(crate) fn component(&self, id: &ConnectionId) -> Option<PathBuf> {
        let ConnectorRef::Path(path) = &self.set.connections.get(id)?.connector else {
            return None;
        };
        let source = &self.sources.get(&DocumentKey::Connection(id.clone()))?.path;
        Some(source.parent()?.join(path))
    }

    fn check(&mut self) {
        let mut found = Vec::new();
        for (key, problem) in self.set.validate() {
            if !self.blames_an_unread(&key, &problem) {
                found.push((key, problem.pointer, problem.reason));
            }
        }
        for (id, connection) in &self.set.connections {
            let key = DocumentKey::Connection(id.clone());
            if connection.digest.is_some() {
                let reason = "the server writes the digest; name it in connector as sha256:<hex>";
                found.push((key.clone(), "/digest".to_owned(), reason.to_owned()));
            }
            if let Some(path) = self.component(id)
                && !path.is_file()
            {
                let reason = format!("there is no file {}", path.display());
                found.push((key, "/connector".to_owned(), reason));
            }
        }
        for (key, pointer, reason) in found {
            if let Some(source) = self.sources.get(&key) {
                self.findings.push(Finding {
                    path: source.path.clone(),
                    place: source.node.place_of(&pointer),
                    reason: format!("{key}: {reason}"),
                });
            }
        }
    }
}

impl Documents {
    /// Whether it says that a document is missing which is there, and has a finding of
    /// its own.
    fn blames_an_unread(&self, key: &DocumentKey, problem: &Problem) -> bool {
        let DocumentKey::Sync(id) = key else {
            return false;
        };
        let sync = &self.set.syncs[id];
        let after = sync.schedule.as_ref().and_then(|it| it.after.clone());
        let named = match problem.pointer.as_str() {
            "/connection" => Some(DocumentKey::Connection(sync.connection.clone())),
            "/schedule/after" => after.map(DocumentKey::Sync),
            _ => None,
        };
        named.is_some_and(|named| self.unread.contains(&named))
    }
}

/// What a document says that it is.
fn key(node: &Node) -> Result<DocumentKey, Flaw> {
    let text = |name: &str, hint: &str| {
        let field = node.field(name);
        let found = field.and_then(|field| Some((field.place, field.text()?)));
        found.ok_or_else(|| Flaw {
            place: field.map_or(node.place, |field| field.place),
            reason: format!("say {name}: {hint}"),
        })
    };
    let [kinds @ .., last] = DocumentKey::KINDS;
    let kinds = format!("{} or {last}", kinds.join(", "));
    let (kind_place, kind) = text("kind", &kinds)?;
    let (place, id) = text("id", "and a name for this document")?;
    let parsed = DocumentKey::parse(kind, id).ok_or_else(|| Flaw {
        place: kind_place,
        reason: format!(
            "there is no kind {kind}, only {kinds}{}",
            did_you_mean(kind, DocumentKey::KINDS)
        ),
    })?;
    parsed.map_err(|error| Flaw {
        place,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
