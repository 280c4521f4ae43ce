//! One face for all simulators, for whoever drives the one that was named.

use std::pin::Pin;

use anyhow::Context as _;
use serde_json::Value;

use crate::control::{self, Steered};
use crate::server::Servers;
use crate::truth::{self, RecordVersion};

/// A current record, as a perfect copy would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its id as it stands on the wire.
    pub id: String,
    /// When it was last modified, in milliseconds since the epoch.
    pub modified_ms: i64,
    /// Whether it is archived or deleted.
    pub is_gone: bool,
}

/// What ends a simulator.
pub type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A running simulator, whichever API it has. Kinds of records are called as in the
/// control API.
pub trait Simulator: Send + Sync {
    /// Start of every API address: `http://127.0.0.1:port`.
    fn base_url(&self) -> &str;
    /// The addresses of the real API that it answers for.
    fn origins(&self) -> Vec<String>;
    /// The OAuth application's id and secret, where a person consents.
    fn app(&self) -> Option<(String, String)>;
    /// Fresh static keys by name, where none does.
    fn keys(&self) -> Vec<(&'static str, String)>;
    /// Does what the control API does at this path, and answers alike.
    ///
    /// # Errors
    /// Where there is no such control, or the body is not what it takes.
    fn steer(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value>;
    /// Current records in id order, those that are gone included: a snapshot of the
    /// moment of the call.
    ///
    /// # Errors
    /// Where there is no such kind.
    fn current(&self, kind: &str) -> anyhow::Result<Box<dyn Iterator<Item = Current> + '_>>;
    /// Modification times of all versions of a record, oldest first, in milliseconds
    /// since the epoch; empty for an unknown one.
    fn versions_of(&self, kind: &str, id: &str) -> Vec<i64>;
    /// A whole record as one of its versions had it, as JSON text.
    fn version_json(&self, kind: &str, id: &str, modified_ms: i64) -> Option<String>;
    /// Closes every connection and waits until all tasks have ended.
    fn shutdown(self: Box<Self>) -> Ended;
}

/// What a simulator says about itself to have the face of all.
pub(crate) trait Faced: Send + Sync + 'static {
    type Api: Steered;

    fn api(&self) -> &Self::Api;
    fn address(&self) -> &str;
    fn servers(&self) -> &Servers;
    /// The addresses of the real API.
    fn real_origins(&self) -> Vec<String>;
    fn oauth_app(&self) -> Option<(String, String)>;
    fn static_keys(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl<S: Faced> Simulator for S {
    fn base_url(&self) -> &str {
        self.address()
    }

    fn origins(&self) -> Vec<String> {
        self.real_origins()
    }

    fn app(&self) -> Option<(String, String)> {
        self.oauth_app()
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        self.static_keys()
    }

    fn steer(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let segments: Vec<&str> = path.split('/').collect();
        let method = method.parse().context("a method of HTTP")?;
        let done = control::steer(self.api(), &method, &segments, body.to_string().as_bytes())?;
        done.with_context(|| format!("there is no control {method} {path}"))
    }

    fn current(&self, kind: &str) -> anyhow::Result<Box<dyn Iterator<Item = Current> + '_>> {
        let api = self.api();
        let known = api.parse_kind(kind);
        let kind = known.with_context(|| format!("there are no {kind}"))?;
        let current = truth::Current::new(api.records(kind));
        Ok(Box::new(current.map(move |version: RecordVersion| {
            Current {
                id: api.wire_id(kind, version.id),
                modified_ms: version.modified_ms,
                is_gone: version.archived,
            }
        })))
    }

    fn versions_of(&self, kind: &str, id: &str) -> Vec<i64> {
        let api = self.api();
        let Some(kind) = api.parse_kind(kind) else {
            return Vec::new();
        };
        let Some(id) = api.parse_id(kind, id) else {
            return Vec::new();
        };
        let versions = truth::versions_of(api.records(kind), id);
        versions.iter().map(|version| version.modified_ms).collect()
    }

    fn version_json(&self, kind: &str, id: &str, modified_ms: i64) -> Option<String> {
        let api = self.api();
        let kind = api.parse_kind(kind)?;
        let id = api.parse_id(kind, id)?;
        String::from_utf8(api.version_json(kind, id, modified_ms)?).ok()
    }

    fn shutdown(self: Box<Self>) -> Ended {
        Box::pin(async move { self.servers().shutdown().await })
    }
}
