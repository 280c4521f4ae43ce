//! Reading tenants, keys, documents and secrets.

use super::writes::columns;
use crate::control::{DocumentKind, DocumentRow, KeyRow, Page, Reference, SecretRow, TenantRow};
use crate::sqlite::encoding::decode_word;
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use tidegate_domain::id::{Sha256, TenantId};

/// All rows of a statement.
fn all<T>(
    database: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut statement = database.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn one<T>(
    database: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    Ok(all(database, sql, params, read)?.pop())
}

fn read_tenant(row: &Row<'_>) -> Result<TenantRow, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(TenantRow {
        id: decode_word("tenant", &word(0)?)?,
        revision: row.get(1)?,
        title: word(2)?,
        state: decode_word("tenant", &word(3)?)?,
        jobs_max: row.get(4)?,
        created_at_ms: row.get(5)?,
    })
}

pub(super) fn tenant(database: &Connection, id: &TenantId) -> Result<Option<TenantRow>, Failure> {
    let sql = "SELECT id, revision, title, state, jobs_max, created_at_ms
               FROM tenants WHERE id = ?1";
    one(database, sql, [id.as_str()], read_tenant)
}

pub(super) fn tenants(database: &Connection, page: &Page) -> Result<Vec<TenantRow>, Failure> {
    let sql = "SELECT id, revision, title, state, jobs_max, created_at_ms
               FROM tenants WHERE id > coalesce(?1, '') ORDER BY id LIMIT ?2";
    all(database, sql, params![page.after, page.limit], read_tenant)
}

fn read_key(row: &Row<'_>) -> Result<KeyRow, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(KeyRow {
        id: word(0)?,
        tenant: decode_word("key", &word(1)?)?,
        role: decode_word("key", &word(2)?)?,
        title: word(3)?,
        created_at_ms: row.get(4)?,
        expires_at_ms: row.get(5)?,
        revoked_at_ms: row.get(6)?,
        used_at_ms: row.get(7)?,
    })
}

pub(super) fn key_by_hash(
    database: &Connection,
    sha256: &Sha256,
) -> Result<Option<KeyRow>, Failure> {
    let sql = "SELECT id, tenant, role, title, created_at_ms, expires_at_ms, revoked_at_ms,
                      used_at_ms
               FROM api_keys WHERE sha256 = ?1";
    one(database, sql, [sha256.as_str()], read_key)
}

pub(super) fn keys(
    database: &Connection,
    tenant: &TenantId,
    page: &Page,
) -> Result<Vec<KeyRow>, Failure> {
    let sql = "SELECT id, tenant, role, title, created_at_ms, expires_at_ms, revoked_at_ms,
                      used_at_ms
               FROM api_keys WHERE tenant = ?1 AND id > coalesce(?2, '') ORDER BY id LIMIT ?3";
    let of = params![tenant.as_str(), page.after, page.limit];
    all(database, sql, of, read_key)
}

fn read_document(row: &Row<'_>) -> Result<DocumentRow, Failure> {
    Ok(DocumentRow {
        id: row.get(0)?,
        revision: row.get(1)?,
        body: row.get(2)?,
        created_at_ms: row.get(3)?,
        updated_at_ms: row.get(4)?,
    })
}

pub(super) fn document(
    database: &Connection,
    tenant: &TenantId,
    kind: DocumentKind,
    id: &str,
) -> Result<Option<DocumentRow>, Failure> {
    let sql = "SELECT id, revision, body, created_at_ms, updated_at_ms FROM documents
               WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
    let of = params![tenant.as_str(), kind.as_str(), id];
    one(database, sql, of, read_document)
}

pub(super) fn documents(
    database: &Connection,
    tenant: &TenantId,
    kind: DocumentKind,
    page: &Page,
) -> Result<Vec<DocumentRow>, Failure> {
    let sql = "SELECT id, revision, body, created_at_ms, updated_at_ms FROM documents
               WHERE tenant = ?1 AND kind = ?2 AND id > coalesce(?3, '') ORDER BY id LIMIT ?4";
    let of = params![tenant.as_str(), kind.as_str(), page.after, page.limit];
    all(database, sql, of, read_document)
}

pub(super) fn referrers(
    database: &Connection,
    tenant: &TenantId,
    to: &Reference,
) -> Result<Vec<(DocumentKind, String)>, Failure> {
    let sql = "SELECT kind, id FROM mentions
               WHERE to_kind = ?1 AND to_id = ?2 AND tenant = ?3 ORDER BY kind, id";
    let (kind, id) = columns(to);
    all(database, sql, params![kind, id, tenant.as_str()], |row| {
        let kind = decode_word("mention", &row.get::<_, String>(0)?)?;
        Ok((kind, row.get(1)?))
    })
}

pub(super) fn secret(
    database: &Connection,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    let sql = "SELECT sealed FROM secrets WHERE tenant = ?1 AND name = ?2";
    let found = database
        .prepare_cached(sql)?
        .query_row(params![tenant.as_str(), name], |row| row.get(0))
        .optional()?;
    Ok(found)
}

pub(super) fn secrets(
    database: &Connection,
    tenant: &TenantId,
    page: &Page,
) -> Result<Vec<SecretRow>, Failure> {
    let sql = "SELECT name, fingerprint, updated_at_ms FROM secrets
               WHERE tenant = ?1 AND name > coalesce(?2, '') ORDER BY name LIMIT ?3";
    let of = params![tenant.as_str(), page.after, page.limit];
    all(database, sql, of, |row| {
        Ok(SecretRow {
            name: row.get(0)?,
            fingerprint: row.get(1)?,
            updated_at_ms: row.get(2)?,
        })
    })
}
