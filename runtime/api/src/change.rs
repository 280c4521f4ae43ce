//! A change that a caller makes: one commit, with its audit entry and
//! what a repeated request is answered.

use crate::api::Api;
use crate::caller::Caller;
use crate::problem::{Code, Problem};
use data_encoding::BASE64;
use serde_json::Value;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_store::clock::now_ms;
use tidegate_store::control::{Actor, Commit, DocumentKind, Idempotency, Write};
use tidegate_store::queue::Enqueued;

/// What is to change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    action: String,
    subject: String,
    detail: Value,
    writes: Vec<Write>,
    answer: Value,
}

impl Change {
    /// A change without writes: it is only noted in the audit log.
    pub(crate) fn new(action: impl Into<String>, subject: impl Into<String>) -> Change {
        Change {
            action: action.into(),
            subject: subject.into(),
            detail: Value::Object(serde_json::Map::new()),
            writes: Vec::new(),
            answer: Value::Null,
        }
    }

    /// More for the audit log; no secret.
    #[must_use]
    pub(crate) fn detail(mut self, detail: Value) -> Change {
        self.detail = detail;
        self
    }

    /// With a write, after those before it.
    #[must_use]
    pub(crate) fn write(mut self, write: Write) -> Change {
        self.writes.push(write);
        self
    }

    /// With writes, after those before them.
    #[must_use]
    pub(crate) fn writes(mut self, writes: impl IntoIterator<Item = Write>) -> Change {
        self.writes.extend(writes);
        self
    }

    /// What a repeated request needs to be answered alike, beside what the store
    /// remembers. It may hold a secret: it is sealed.
    #[must_use]
    pub(crate) fn answer(mut self, answer: Value) -> Change {
        self.answer = answer;
        self
    }
}

/// What a change did, now or when the same request was first sent.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// What became of its jobs.
    pub(crate) jobs: Vec<Enqueued>,
    /// See [`Change::answer`]; the first request's.
    pub(crate) answer: Value,
}

impl Api {
    /// Makes a change of the caller's tenant.
    pub(crate) async fn commit(&self, caller: &Caller, change: Change) -> Result<Done, Problem> {
        self.commit_of(caller, &caller.tenant, change).await
    }

    /// Makes a change of any tenant, for routes that only the platform may use.
    pub(crate) async fn commit_of(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        change: Change,
    ) -> Result<Done, Problem> {
        let idempotency = match &caller.repeat {
            None => None,
            Some(repeat) => Some(Idempotency {
                key: remembered_as(caller, &repeat.key),
                request_sha256: repeat.request_sha256.clone(),
                answer: self.seal_answer(caller, tenant, &change.answer).await?,
            }),
        };
        let removed = removed_connections(&change.writes);
        let committed = self
            .store()
            .commit(Commit {
                tenant: tenant.clone(),
                actor: Actor::Key(caller.key.clone()),
                origin: caller.origin.clone(),
                action: change.action,
                subject: change.subject,
                detail: change.detail.to_string(),
                at_ms: now_ms(),
                writes: change.writes,
                idempotency,
                events: Vec::new(),
            })
            .await?;
        for connection in removed {
            self.node().broker.forget_connection(tenant, &connection);
        }
        let answer = match committed.replayed {
            None => change.answer,
            Some(sealed) => self.unseal_answer(caller, tenant, &sealed).await?,
        };
        Ok(Done {
            jobs: committed.jobs,
            answer,
        })
    }

    async fn seal_answer(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        answer: &Value,
    ) -> Result<String, Problem> {
        if answer.is_null() {
            return Ok(String::new());
        }
        let sealed = self
            .seal(tenant, &answer_of(caller), answer.to_string().as_bytes())
            .await?;
        Ok(BASE64.encode(&sealed))
    }

    async fn unseal_answer(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        sealed: &str,
    ) -> Result<Value, Problem> {
        if sealed.is_empty() {
            return Ok(Value::Null);
        }
        let lost = || Problem::new(Code::Internal, "the first answer cannot be read any more");
        let sealed = BASE64.decode(sealed.as_bytes()).map_err(|_| lost())?;
        let plain = self.unseal(tenant, &answer_of(caller), &sealed).await?;
        serde_json::from_slice(&plain).map_err(|_| lost())
    }
}

/// A client's key counts for one API key only: an answer may hold what only its
/// first receiver may see.
fn remembered_as(caller: &Caller, key: &str) -> String {
    format!("{}:{key}", caller.key)
}

fn answer_of(caller: &Caller) -> String {
    format!("answer for key {}", caller.key)
}

/// Connections that go with these writes: this process must not go on with their tokens.
fn removed_connections(writes: &[Write]) -> Vec<ConnectionId> {
    let removed = writes.iter().filter_map(|write| match write {
        Write::DeleteDocument {
            kind: DocumentKind::Connection,
            id,
            ..
        } => ConnectionId::parse(id.clone()).ok(),
        _ => None,
    });
    removed.collect()
}
