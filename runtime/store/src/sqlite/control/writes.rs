//! The writes of a commit, each in a few statements.

use super::commit::{Change, not_found};
use super::{connectors, tenants};
use crate::Error;
use crate::control::{DocumentKind, Expected, Reference, TenantState, Write};
use crate::sqlite::encoding::encode_word;
use crate::sqlite::failure::Failure;
use crate::sqlite::{events, grants, queue, schedules, schemas};
use rusqlite::{Connection, OptionalExtension as _, params};
use tidegate_domain::id::Sha256;

/// How a reference stands in the database.
pub(super) fn columns(reference: &Reference) -> (&'static str, &str) {
    match reference {
        Reference::Document(kind, id) => (kind.as_str(), id),
        Reference::Secret(name) => ("secret", name),
        Reference::Connector(digest) => ("connector", digest.as_str()),
    }
}

pub(super) fn touch_key(database: &Connection, id: &str, at_ms: u64) -> Result<(), Failure> {
    database
        .prepare_cached("UPDATE api_keys SET used_at_ms = ?2 WHERE id = ?1")?
        .execute(params![id, at_ms])?;
    Ok(())
}

/// Compares what is there with what the caller expects.
pub(super) fn check(what: &str, expected: Expected, found: Option<u64>) -> Result<(), Failure> {
    let right = match expected {
        Expected::Any => true,
        Expected::Absent => found.is_none(),
        Expected::Present if found.is_none() => return Err(not_found(what.to_owned())),
        Expected::Present => true,
        Expected::Revision(revision) => found == Some(revision),
    };
    if right {
        return Ok(());
    }
    Err(conflict(what.to_owned(), found))
}

pub(super) fn conflict(what: String, found: Option<u64>) -> Failure {
    Failure::Known(Error::Conflict { what, found })
}

impl Change<'_> {
    pub(super) fn apply(&mut self, write: &Write) -> Result<(), Failure> {
        match write {
            Write::PutTenant {
                expected,
                title,
                state,
                jobs_max,
            } => self.put_tenant(*expected, title, *state, *jobs_max),
            Write::DeleteTenant { expected } => tenants::delete(self, *expected),
            Write::PutKey { .. } => self.put_key(write),
            Write::RevokeKey { id } => self.revoke_key(id),
            Write::PutDocument {
                kind,
                id,
                expected,
                body,
                references,
            } => {
                self.put_document(*kind, id, *expected, body)?;
                self.mention(*kind, id, references)
            }
            Write::DeleteDocument { kind, id, expected } => {
                self.delete_document(*kind, id, *expected)
            }
            Write::PutSecret {
                name,
                sealed,
                fingerprint,
            } => self.put_secret(name, sealed, fingerprint),
            Write::DeleteSecret { name } => self.delete_secret(name),
            Write::PutConnector { .. } => connectors::put(self, write),
            Write::SetConnectorState {
                shared,
                digest,
                state,
            } => connectors::set_state(self, *shared, digest, *state),
            Write::DeleteConnector { shared, digest } => connectors::delete(self, *shared, digest),
            Write::PutJob(enqueue) => {
                let put = queue::enqueue(self.database, self.tenant, enqueue, self.at_ms)?;
                self.jobs.push(put);
                Ok(())
            }
            Write::CancelJob { id, events } => {
                queue::cancel(self.database, self.tenant, id, events, self.at_ms)
            }
            Write::SetSchedule { sync, next_at_ms } => {
                schedules::set(self.database, self.tenant, sync, *next_at_ms)
            }
            Write::ReplayEvents {
                subscription,
                since,
            } => events::replay(self.database, self.tenant, subscription, *since, self.at_ms),
        }
    }

    fn put_tenant(
        &self,
        expected: Expected,
        title: &str,
        state: TenantState,
        jobs_max: Option<u32>,
    ) -> Result<(), Failure> {
        let found = self
            .database
            .prepare_cached("SELECT revision FROM tenants WHERE id = ?1")?
            .query_row([self.tenant.as_str()], |row| row.get(0))
            .optional()?;
        check(&format!("tenant {}", self.tenant), expected, found)?;
        self.database
            .prepare_cached(
                "INSERT INTO tenants (id, revision, title, state, jobs_max, created_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET revision = excluded.revision,
                     title = excluded.title, state = excluded.state,
                     jobs_max = excluded.jobs_max",
            )?
            .execute(params![
                self.tenant.as_str(),
                self.revision,
                title,
                encode_word(&state)?,
                jobs_max,
                self.at_ms
            ])?;
        Ok(())
    }

    fn put_key(&self, write: &Write) -> Result<(), Failure> {
        let Write::PutKey {
            id,
            sha256,
            role,
            title,
            expires_at_ms,
        } = write
        else {
            return Ok(());
        };
        let put = self
            .database
            .prepare_cached(
                "INSERT INTO api_keys (id, tenant, sha256, role, title, created_at_ms,
                                       expires_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                id,
                self.tenant.as_str(),
                sha256.as_str(),
                encode_word(role)?,
                title,
                self.at_ms,
                expires_at_ms
            ])?;
        if put == 0 {
            return Err(conflict(format!("key {id}"), None));
        }
        Ok(())
    }

    fn revoke_key(&self, id: &str) -> Result<(), Failure> {
        let revoked = self
            .database
            .prepare_cached(
                "UPDATE api_keys SET revoked_at_ms = coalesce(revoked_at_ms, ?3)
                 WHERE id = ?1 AND tenant = ?2",
            )?
            .execute(params![id, self.tenant.as_str(), self.at_ms])?;
        if revoked == 0 {
            return Err(not_found(format!("key {id}")));
        }
        Ok(())
    }

    fn document_revision(&self, kind: DocumentKind, id: &str) -> Result<Option<u64>, Failure> {
        let found = self
            .database
            .prepare_cached(
                "SELECT revision FROM documents WHERE tenant = ?1 AND kind = ?2 AND id = ?3",
            )?
            .query_row(params![self.tenant.as_str(), kind.as_str(), id], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(found)
    }

    fn put_document(
        &self,
        kind: DocumentKind,
        id: &str,
        expected: Expected,
        body: &str,
    ) -> Result<(), Failure> {
        let found = self.document_revision(kind, id)?;
        check(&format!("{} {id}", kind.as_str()), expected, found)?;
        self.database
            .prepare_cached(
                "INSERT INTO documents (tenant, kind, id, revision, body, created_at_ms,
                                        updated_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
                 ON CONFLICT (tenant, kind, id) DO UPDATE SET revision = excluded.revision,
                     body = excluded.body, updated_at_ms = excluded.updated_at_ms",
            )?
            .execute(params![
                self.tenant.as_str(),
                kind.as_str(),
                id,
                self.revision,
                body,
                self.at_ms
            ])?;
        if kind == DocumentKind::Sync {
            queue::rouse(self.database, self.tenant, id, self.at_ms)?;
        }
        Ok(())
    }

    fn mention(
        &mut self,
        kind: DocumentKind,
        id: &str,
        references: &[Reference],
    ) -> Result<(), Failure> {
        self.database
            .prepare_cached("DELETE FROM mentions WHERE tenant = ?1 AND kind = ?2 AND id = ?3")?
            .execute(params![self.tenant.as_str(), kind.as_str(), id])?;
        for reference in references {
            let (to_kind, to_id) = columns(reference);
            self.database
                .prepare_cached(
                    "INSERT INTO mentions (tenant, kind, id, to_kind, to_id)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    self.tenant.as_str(),
                    kind.as_str(),
                    id,
                    to_kind,
                    to_id
                ])?;
            self.mentioned.insert(reference.clone());
        }
        Ok(())
    }

    fn delete_document(
        &mut self,
        kind: DocumentKind,
        id: &str,
        expected: Expected,
    ) -> Result<(), Failure> {
        let found = self.document_revision(kind, id)?;
        check(&format!("{} {id}", kind.as_str()), expected, found)?;
        self.database
            .prepare_cached("DELETE FROM documents WHERE tenant = ?1 AND kind = ?2 AND id = ?3")?
            .execute(params![self.tenant.as_str(), kind.as_str(), id])?;
        match kind {
            DocumentKind::Subscription => {
                events::forget_subscription(self.database, self.tenant, id)?;
            }
            DocumentKind::Connection => {
                schemas::forget_connection(self.database, self.tenant, id)?;
                grants::forget_connection(self.database, self.tenant, id)?;
            }
            DocumentKind::Sync => schemas::forget_sync(self.database, self.tenant, id)?,
        }
        if kind == DocumentKind::Sync {
            queue::rouse(self.database, self.tenant, id, self.at_ms)?;
        }
        self.mentioned
            .insert(Reference::Document(kind, id.to_owned()));
        Ok(())
    }

    fn put_secret(&self, name: &str, sealed: &[u8], fingerprint: &str) -> Result<(), Failure> {
        self.database
            .prepare_cached(
                "INSERT OR REPLACE INTO secrets (tenant, name, sealed, fingerprint, updated_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                self.tenant.as_str(),
                name,
                sealed,
                fingerprint,
                self.at_ms
            ])?;
        Ok(())
    }

    fn delete_secret(&mut self, name: &str) -> Result<(), Failure> {
        self.database
            .prepare_cached("DELETE FROM secrets WHERE tenant = ?1 AND name = ?2")?
            .execute(params![self.tenant.as_str(), name])?;
        self.mentioned.insert(Reference::Secret(name.to_owned()));
        Ok(())
    }

    /// The owner of a connector: the tenant, or nobody in particular.
    pub(super) fn owner(&self, shared: bool) -> &str {
        if shared { "" } else { self.tenant.as_str() }
    }

    pub(super) fn mention_connector(&mut self, digest: &Sha256) {
        self.mentioned.insert(Reference::Connector(digest.clone()));
    }
}
