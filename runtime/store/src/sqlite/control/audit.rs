//! The audit log: each entry's hash covers its content and the hash before it.
//!
//! The hash is the sha256 of a JSON array without spaces, `[hash before, seq, at_ms,
//! tenant, actor, origin, action, subject, detail]`, so that any tool can follow it.

use crate::control::{Actor, AuditRow, AuditVerdict, Commit};
use crate::sqlite::encoding::{decode_word, encode};
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, Row, params};
use sha2::Digest as _;
use tidegate_domain::id::{Sha256, TenantId};

pub(super) fn next_seq(database: &Connection) -> Result<u64, Failure> {
    Ok(head(database)?.0 + 1)
}

/// The last entry, or the one before the first that is kept.
fn head(database: &Connection) -> Result<(u64, String), Failure> {
    let head = database
        .prepare_cached(
            "SELECT seq, sha256 FROM audit UNION ALL SELECT seq, sha256 FROM audit_start
             ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(head)
}

pub(super) fn append(database: &Connection, seq: u64, commit: &Commit) -> Result<(), Failure> {
    let (_, before) = head(database)?;
    let actor = match &commit.actor {
        Actor::System => "system".to_owned(),
        Actor::Key(id) => format!("key:{id}"),
    };
    let sha256 = hash(&(
        before.as_str(),
        seq,
        commit.at_ms,
        commit.tenant.as_str(),
        actor.as_str(),
        commit.origin.as_deref(),
        commit.action.as_str(),
        commit.subject.as_str(),
        commit.detail.as_str(),
    ))?;
    database
        .prepare_cached(
            "INSERT INTO audit (seq, at_ms, tenant, actor, origin, action, subject, detail, sha256)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            seq,
            commit.at_ms,
            commit.tenant.as_str(),
            actor,
            commit.origin,
            commit.action,
            commit.subject,
            commit.detail,
            sha256.as_str()
        ])?;
    Ok(())
}

type Hashed<'a> = (
    &'a str,
    u64,
    u64,
    &'a str,
    &'a str,
    Option<&'a str>,
    &'a str,
    &'a str,
    &'a str,
);

fn hash(entry: &Hashed<'_>) -> Result<Sha256, Failure> {
    let hash = sha2::Sha256::digest(encode(entry)?);
    Ok(Sha256::from_bytes(hash.into()))
}

const COLUMNS: &str = "seq, at_ms, tenant, actor, origin, action, subject, detail, sha256";

fn read_row(row: &Row<'_>) -> Result<AuditRow, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(AuditRow {
        seq: row.get(0)?,
        at_ms: row.get(1)?,
        tenant: decode_word("audit entry", &word(2)?)?,
        actor: word(3)?,
        origin: row.get(4)?,
        action: word(5)?,
        subject: word(6)?,
        detail: word(7)?,
        sha256: decode_word("audit entry", &word(8)?)?,
    })
}

pub(super) fn list(
    database: &Connection,
    tenant: Option<&TenantId>,
    after: u64,
    limit: u32,
) -> Result<Vec<AuditRow>, Failure> {
    let of = match tenant {
        Some(_) => "tenant = ?1",
        None => "?1 IS NULL",
    };
    let mut statement = database.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM audit WHERE {of} AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?;
    let mut rows = statement.query(params![tenant.map(TenantId::as_str), after, limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read_row(row)?);
    }
    Ok(entries)
}

pub(super) fn verify(database: &Connection) -> Result<AuditVerdict, Failure> {
    // The start and the entries must be of one moment.
    let snapshot = database.unchecked_transaction()?;
    let (start, mut before): (u64, String) =
        snapshot.query_row("SELECT seq, sha256 FROM audit_start", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut statement = snapshot.prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    let mut seq = start;
    while let Some(row) = rows.next()? {
        seq += 1;
        // An entry that cannot be read is not what was written either.
        let follows = read_row(row).is_ok_and(|entry| entry.seq == seq && links(&before, &entry));
        if !follows {
            return Ok(AuditVerdict::Broken { seq });
        }
        before = row.get(8)?;
    }
    Ok(AuditVerdict::Intact {
        entries: seq - start,
        head: decode_word("audit entry", &before)?,
    })
}

fn links(before: &str, entry: &AuditRow) -> bool {
    let expected = hash(&(
        before,
        entry.seq,
        entry.at_ms,
        entry.tenant.as_str(),
        entry.actor.as_str(),
        entry.origin.as_deref(),
        entry.action.as_str(),
        entry.subject.as_str(),
        entry.detail.as_str(),
    ));
    expected.is_ok_and(|expected| expected == entry.sha256)
}
