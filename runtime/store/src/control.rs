//! The control plane: what tenants configured, and every change to it as one
//! audited commit.

mod rows;

pub use rows::{
    AuditRow, AuditVerdict, ConnectorRow, ConnectorState, DocumentKind, DocumentRow, KeyRow,
    SecretRow, TenantRow, TenantState,
};

use crate::Error;
use crate::events::NewEvent;
use crate::queue::{Enqueue, Enqueued};
use async_trait::async_trait;
use tidegate_domain::access::Role;
use tidegate_domain::id::{JobId, Sha256, SyncId, TenantId};

/// How long an answer is kept for its `Idempotency-Key`.
pub const ANSWER_KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// One change of a tenant's control plane: all of it happens, with its audit entry,
/// its events and its answer, or nothing does. Without writes it only notes
/// something in the audit log, such as a refusal.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Whose things change.
    pub tenant: TenantId,
    /// Who changes them.
    pub actor: Actor,
    /// From where: the network address of the caller, where there is one.
    pub origin: Option<String>,
    /// What is done, as `noun.verb`: `sync.put`.
    pub action: String,
    /// To what: `sync crm`.
    pub subject: String,
    /// More, as JSON text for the audit log. No secrets.
    pub detail: String,
    /// The caller's clock, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The changes, made in this order.
    pub writes: Vec<Write>,
    /// What a repeated request is answered.
    pub idempotency: Option<Idempotency>,
    /// What subscribers hear of it.
    pub events: Vec<NewEvent>,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Tidegate itself.
    System,
    /// The holder of this API key, by the key's id.
    Key(String),
}

/// A request that may be repeated and must count once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's `Idempotency-Key`; unique in the tenant for [`ANSWER_KEPT_MS`].
    pub key: String,
    /// Of the whole request, so that a key is not used for two.
    pub request_sha256: Sha256,
    /// What to remember of the answer; [`Committed`] is remembered with it.
    pub answer: String,
}

/// What must be there for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there.
    Any,
    /// Nothing.
    Absent,
    /// Something, whatever its revision.
    Present,
    /// Exactly this revision.
    Revision(u64),
}

/// Where something is mentioned. References are checked when the whole commit was
/// written, so the order of writes does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A document of the tenant.
    Document(DocumentKind, String),
    /// A secret of the tenant, by name.
    Secret(String),
    /// A connector version that the tenant sees.
    Connector(Sha256),
}

/// One change, of something that belongs to the commit's tenant.
#[derive(Clone, Debug)]
pub enum Write {
    /// Makes or changes the tenant itself.
    PutTenant {
        /// What must be there.
        expected: Expected,
        /// For people.
        title: String,
        /// Whether it works.
        state: TenantState,
        /// Jobs that may run at once; none: as many as the worker allows.
        jobs_max: Option<u32>,
    },
    /// Removes the tenant with all that is kept of it, its data key first of all; only
    /// the audit log still names it. It must be suspended and have no job that is not
    /// over: else [`Error::TenantInUse`].
    DeleteTenant {
        /// What must be there.
        expected: Expected,
    },
    /// Adds a key. An id or a hash that exists is a [`Error::Conflict`].
    PutKey {
        /// Its public id.
        id: String,
        /// Of the whole key text. The text is 256 random bits, so that no slow hash
        /// is needed: there is nothing to guess.
        sha256: Sha256,
        /// What it may do.
        role: Role,
        /// For people.
        title: String,
        /// When it ends, in milliseconds since the epoch; none: never.
        expires_at_ms: Option<u64>,
    },
    /// Ends a key at once; one that ended stays as it is.
    RevokeKey {
        /// Its id.
        id: String,
    },
    /// Makes or changes a document.
    PutDocument {
        /// What it describes.
        kind: DocumentKind,
        /// Its name in the tenant.
        id: String,
        /// What must be there.
        expected: Expected,
        /// The document as JSON text, secrets by reference only.
        body: String,
        /// All that it mentions; must exist, and cannot go while this document does.
        references: Vec<Reference>,
    },
    /// Removes a document that nothing mentions. With [`Expected::Any`] there may be
    /// none.
    DeleteDocument {
        /// What it describes.
        kind: DocumentKind,
        /// Its name in the tenant.
        id: String,
        /// What must be there.
        expected: Expected,
    },
    /// Makes or replaces a secret.
    PutSecret {
        /// Its name in the tenant.
        name: String,
        /// Encrypted by the caller.
        sealed: Vec<u8>,
        /// A keyed hash of the value: tells a change, tells nothing else.
        fingerprint: String,
    },
    /// Removes a secret that nothing mentions; there may be none.
    DeleteSecret {
        /// Its name in the tenant.
        name: String,
    },
    /// Adds a connector version. The same digest again changes nothing; the same
    /// name and version with another digest is a [`Error::Conflict`].
    PutConnector {
        /// Whether every tenant sees it, rather than the commit's alone.
        shared: bool,
        /// Of the component.
        digest: Sha256,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// What it declares about itself, as JSON text.
        manifest: String,
        /// Whether it may be used.
        state: ConnectorState,
        /// The component's bytes.
        wasm: std::sync::Arc<[u8]>,
    },
    /// Approves or disables a connector version.
    SetConnectorState {
        /// Whether it is one that every tenant sees.
        shared: bool,
        /// Of the component.
        digest: Sha256,
        /// Whether it may be used.
        state: ConnectorState,
    },
    /// Removes a connector version that no document mentions.
    DeleteConnector {
        /// Whether it is one that every tenant sees.
        shared: bool,
        /// Of the component.
        digest: Sha256,
    },
    /// Asks for a job.
    PutJob(Box<Enqueue>),
    /// Asks for a job's end. One that waits is over with this commit; one that runs is
    /// told through its claim; one that is over stays as it is.
    CancelJob {
        /// Which.
        id: JobId,
        /// What subscribers hear if it is over with this commit; who runs it tells of
        /// the end otherwise.
        events: Vec<NewEvent>,
    },
    /// Says when a sync is next due by its schedule; none: it is not.
    SetSchedule {
        /// Which.
        sync: SyncId,
        /// In milliseconds since the epoch.
        next_at_ms: Option<u64>,
    },
    /// Delivers what happened from an event on once more.
    ReplayEvents {
        /// To whom: the document of kind [`DocumentKind::Subscription`].
        subscription: String,
        /// The first event, by number.
        since: u64,
    },
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of the audit entry, and the revision of every document and tenant
    /// that the commit wrote. A revision is never used twice, not even for a
    /// document that was deleted and made again.
    pub revision: u64,
    /// What became of each [`Write::PutJob`], in order.
    pub jobs: Vec<Enqueued>,
    /// The remembered answer, if an earlier commit had the same `Idempotency-Key`;
    /// then this one did nothing, and the other fields are the earlier one's.
    pub replayed: Option<String>,
}

/// Part of a list: what comes after a name, in order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last name that was seen.
    pub after: Option<String>,
    /// Rows at the most.
    pub limit: u32,
}

/// Commits, and what they left. Everything is read within one tenant.
#[async_trait]
pub trait ControlStore: Send + Sync {
    /// Makes the change.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Dangling`],
    /// [`Error::KeyReused`], [`Error::Quota`]; nothing is changed by any of them.
    async fn commit(&self, commit: Commit) -> Result<Committed, Error>;

    /// The tenant.
    async fn tenant(&self, id: &TenantId) -> Result<Option<TenantRow>, Error>;
    /// All tenants, by id. For the platform only.
    async fn tenants(&self, page: &Page) -> Result<Vec<TenantRow>, Error>;

    /// The key with this hash, ended or not, whosever it is: this is how a tenant is
    /// found.
    async fn key_by_hash(&self, sha256: &Sha256) -> Result<Option<KeyRow>, Error>;
    /// The tenant's keys, by id.
    async fn keys(&self, tenant: &TenantId, page: &Page) -> Result<Vec<KeyRow>, Error>;
    /// Notes that a key was used. Not audited; call it once in a while.
    async fn touch_key(&self, id: &str, at_ms: u64) -> Result<(), Error>;

    /// The document.
    async fn document(
        &self,
        tenant: &TenantId,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<DocumentRow>, Error>;
    /// The tenant's documents of a kind, by id.
    async fn documents(
        &self,
        tenant: &TenantId,
        kind: DocumentKind,
        page: &Page,
    ) -> Result<Vec<DocumentRow>, Error>;
    /// The documents that mention this, by kind and id.
    async fn referrers(
        &self,
        tenant: &TenantId,
        to: &Reference,
    ) -> Result<Vec<(DocumentKind, String)>, Error>;

    /// The sealed secret.
    async fn secret(&self, tenant: &TenantId, name: &str) -> Result<Option<Vec<u8>>, Error>;
    /// The tenant's secrets without their values, by name.
    async fn secrets(&self, tenant: &TenantId, page: &Page) -> Result<Vec<SecretRow>, Error>;

    /// A connector version that the tenant sees, its own before a shared one.
    async fn connector(
        &self,
        tenant: &TenantId,
        digest: &Sha256,
    ) -> Result<Option<ConnectorRow>, Error>;
    /// The connector versions that the tenant sees, its own and the shared, by digest.
    async fn connectors(&self, tenant: &TenantId, page: &Page) -> Result<Vec<ConnectorRow>, Error>;
    /// The bytes of a component that the tenant sees.
    async fn connector_wasm(
        &self,
        tenant: &TenantId,
        digest: &Sha256,
    ) -> Result<Option<Vec<u8>>, Error>;

    /// The audit log after an entry, oldest first: of one tenant, or of all for the
    /// platform.
    async fn audit(
        &self,
        tenant: Option<&TenantId>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error>;
    /// Follows the whole chain of the audit log.
    async fn verify_audit(&self) -> Result<AuditVerdict, Error>;
}
