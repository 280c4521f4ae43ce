//! What commits leave: the rows that are read.

use serde::{Deserialize, Serialize};
use tidegate_domain::access::Role;
use tidegate_domain::id::{Sha256, TenantId};

/// Whether a tenant works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// It does.
    Active,
    /// None of its jobs begins and none of its schedules fires; nothing is lost.
    Suspended,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// Of the commit that wrote it.
    pub revision: u64,
    /// For people.
    pub title: String,
    /// Whether it works.
    pub state: TenantState,
    /// Jobs that may run at once; none: as many as the worker allows.
    pub jobs_max: Option<u32>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: u64,
}

/// An API key, without its text, which nobody has but its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its public id.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
    /// For people.
    pub title: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// When it ends, in milliseconds since the epoch; none: never.
    pub expires_at_ms: Option<u64>,
    /// When it was ended, in milliseconds since the epoch.
    pub revoked_at_ms: Option<u64>,
    /// When it was last noted in use, in milliseconds since the epoch.
    pub used_at_ms: Option<u64>,
}

impl KeyRow {
    /// Whether it opens anything at this time.
    pub fn is_valid_at(&self, now_ms: u64) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms.is_none_or(|end_ms| now_ms < end_ms)
    }
}

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A connection.
    Connection,
    /// A sync.
    Sync,
    /// Who hears of which events.
    Subscription,
}

impl DocumentKind {
    /// The word that stands in the database and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            DocumentKind::Connection => "connection",
            DocumentKind::Sync => "sync",
            DocumentKind::Subscription => "subscription",
        }
    }
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// Its name in the tenant.
    pub id: String,
    /// Of the commit that wrote it.
    pub revision: u64,
    /// The document as JSON text.
    pub body: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// When it was last written, in milliseconds since the epoch.
    pub updated_at_ms: u64,
}

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name in the tenant.
    pub name: String,
    /// A keyed hash of the value.
    pub fingerprint: String,
    /// When it was last written, in milliseconds since the epoch.
    pub updated_at_ms: u64,
}

/// Whether a connector version may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// Nobody has looked at what it asks for.
    Pending,
    /// It may.
    Approved,
    /// It may not any more; connections that are pinned to it stop.
    Disabled,
}

/// A connector version, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorRow {
    /// Whether every tenant sees it.
    pub shared: bool,
    /// Of the component.
    pub digest: Sha256,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it declares about itself, as JSON text.
    pub manifest: String,
    /// Whether it may be used.
    pub state: ConnectorState,
    /// Bytes of the component.
    pub wasm_bytes: u64,
    /// When it was added, in milliseconds since the epoch.
    pub created_at_ms: u64,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Counted over all tenants, without gaps.
    pub seq: u64,
    /// The commit's time, in milliseconds since the epoch.
    pub at_ms: u64,
    /// Whose things changed.
    pub tenant: TenantId,
    /// `system`, or `key:` and the key's id.
    pub actor: String,
    /// The caller's network address.
    pub origin: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More, as JSON text.
    pub detail: String,
    /// Of the entry before it and of this one.
    pub sha256: Sha256,
}

/// What following the audit log's chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Every entry follows from the one before.
    Intact {
        /// Entries that were checked.
        entries: u64,
        /// The hash of the last: noted elsewhere, it also proves that none was cut
        /// off the end.
        head: Sha256,
    },
    /// The chain breaks.
    Broken {
        /// The first entry that is missing, or not what was written.
        seq: u64,
    },
}
