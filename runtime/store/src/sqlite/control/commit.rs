//! One commit: answers that were given, the writes, what they mention, the entry in
//! the audit log.

use super::{audit, writes};
use crate::Error;
use crate::control::{ANSWER_KEPT_MS, Commit, Committed, Idempotency, Reference, Write};
use crate::queue::Enqueued;
use crate::sqlite::encoding::{decode, encode};
use crate::sqlite::events;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tidegate_domain::id::TenantId;

/// A commit on its way.
pub(super) struct Change<'a> {
    pub(super) database: &'a Connection,
    pub(super) tenant: &'a TenantId,
    pub(super) at_ms: u64,
    pub(super) revision: u64,
    /// What became of the jobs so far.
    pub(super) jobs: Vec<Enqueued>,
    /// What the writes mention, or remove.
    pub(super) mentioned: BTreeSet<Reference>,
}

/// What is remembered of a commit beside its answer.
#[derive(Serialize, Deserialize)]
struct Outcome {
    revision: u64,
    jobs: Vec<Enqueued>,
}

pub(super) fn run(database: &Connection, commit: &Commit) -> Result<Committed, Failure> {
    if let Some(idempotency) = &commit.idempotency
        && let Some(committed) = replay(database, commit, idempotency)?
    {
        return Ok(committed);
    }
    let mut change = Change {
        database,
        tenant: &commit.tenant,
        at_ms: commit.at_ms,
        revision: audit::next_seq(database)?,
        jobs: Vec::new(),
        mentioned: BTreeSet::new(),
    };
    for write in &commit.writes {
        if !matches!(write, Write::PutTenant { .. }) {
            change.check_tenant()?;
        }
        change.apply(write)?;
    }
    let goes = |write: &Write| matches!(write, Write::DeleteTenant { .. });
    if !commit.writes.iter().any(goes) {
        change.check_tenant()?;
    }
    change.check_mentions()?;
    events::insert(database, &commit.tenant, commit.at_ms, &commit.events)?;
    audit::append(database, change.revision, commit)?;
    let outcome = Outcome {
        revision: change.revision,
        jobs: change.jobs,
    };
    if let Some(idempotency) = &commit.idempotency {
        remember(database, commit, idempotency, &outcome)?;
    }
    Ok(Committed {
        revision: outcome.revision,
        jobs: outcome.jobs,
        replayed: None,
    })
}

/// The answer that the key was given, if it still counts.
fn replay(
    database: &Connection,
    commit: &Commit,
    idempotency: &Idempotency,
) -> Result<Option<Committed>, Failure> {
    let found: Option<(String, String, String)> = database
        .prepare_cached(
            "SELECT request_sha256, answer, outcome FROM answers
             WHERE tenant = ?1 AND key = ?2 AND at_ms > ?3",
        )?
        .query_row(
            params![
                commit.tenant.as_str(),
                idempotency.key,
                i64::try_from(commit.at_ms).unwrap_or(i64::MAX) - KEPT
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((request, answer, outcome)) = found else {
        return Ok(None);
    };
    if request != idempotency.request_sha256.as_str() {
        return Err(Error::KeyReused.into());
    }
    let outcome: Outcome = decode("answer", &outcome)?;
    Ok(Some(Committed {
        revision: outcome.revision,
        jobs: outcome.jobs,
        replayed: Some(answer),
    }))
}

/// [`ANSWER_KEPT_MS`] as SQLite counts.
const KEPT: i64 = ANSWER_KEPT_MS.cast_signed();

fn remember(
    database: &Connection,
    commit: &Commit,
    idempotency: &Idempotency,
    outcome: &Outcome,
) -> Result<(), Failure> {
    database
        .prepare_cached(
            "INSERT OR REPLACE INTO answers (tenant, key, request_sha256, answer, outcome, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            commit.tenant.as_str(),
            idempotency.key,
            idempotency.request_sha256.as_str(),
            idempotency.answer,
            encode(outcome)?,
            commit.at_ms
        ])?;
    Ok(())
}

impl Change<'_> {
    fn check_tenant(&self) -> Result<(), Failure> {
        let known = self
            .database
            .prepare_cached("SELECT 1 FROM tenants WHERE id = ?1")?
            .exists([self.tenant.as_str()])?;
        if known {
            return Ok(());
        }
        Err(not_found(format!("tenant {}", self.tenant)))
    }

    /// What was mentioned must be there; of what went, nothing may be left that
    /// mentions it.
    fn check_mentions(&self) -> Result<(), Failure> {
        for target in &self.mentioned {
            let (kind, id) = writes::columns(target);
            // A shared connector may be mentioned by any tenant.
            let mention: Option<(String, String)> = self
                .database
                .prepare_cached(
                    "SELECT m.kind, m.id FROM mentions m
                     WHERE m.to_kind = ?1 AND m.to_id = ?2 AND (m.tenant = ?3 OR ?1 = 'connector')
                       AND NOT EXISTS (SELECT 1 FROM documents d
                           WHERE d.tenant = m.tenant AND d.kind = ?1 AND d.id = ?2)
                       AND NOT (?1 = 'secret' AND EXISTS (SELECT 1 FROM secrets s
                           WHERE s.tenant = m.tenant AND s.name = ?2))
                       AND NOT (?1 = 'connector' AND EXISTS (SELECT 1 FROM connectors c
                           WHERE c.owner IN (m.tenant, '') AND c.digest = ?2))
                     LIMIT 1",
                )?
                .query_row(params![kind, id, self.tenant.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            if let Some((from_kind, from_id)) = mention {
                return Err(Error::Dangling {
                    from: format!("{from_kind} {from_id}"),
                    to: format!("{kind} {id}"),
                }
                .into());
            }
        }
        Ok(())
    }
}

pub(super) fn not_found(what: String) -> Failure {
    Failure::Known(Error::NotFound { what })
}
