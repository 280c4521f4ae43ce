//! Connector versions and the bytes of their components.

use super::commit::{Change, not_found};
use super::writes::conflict;
use crate::control::{ConnectorRow, ConnectorState, Page, Write};
use crate::sqlite::encoding::{decode_word, encode_word};
use crate::sqlite::failure::Failure;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tidegate_domain::id::{Sha256, TenantId};

pub(super) fn put(change: &mut Change<'_>, write: &Write) -> Result<(), Failure> {
    let Write::PutConnector {
        shared,
        digest,
        name,
        version,
        manifest,
        state,
        wasm,
    } = write
    else {
        return Ok(());
    };
    let owner = change.owner(*shared);
    let other: Option<String> = change
        .database
        .prepare_cached(
            "SELECT digest FROM connectors
             WHERE owner = ?1 AND name = ?2 AND version = ?3 AND digest <> ?4",
        )?
        .query_row(params![owner, name, version, digest.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    if other.is_some() {
        return Err(conflict(format!("connector {name}@{version}"), None));
    }
    change
        .database
        .prepare_cached(
            "INSERT INTO components (digest, wasm) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![digest.as_str(), &wasm[..]])?;
    change
        .database
        .prepare_cached(
            "INSERT INTO connectors (owner, digest, name, version, manifest, state, wasm_bytes,
                                     created_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (owner, digest) DO NOTHING",
        )?
        .execute(params![
            owner,
            digest.as_str(),
            name,
            version,
            manifest,
            encode_word(state)?,
            wasm.len(),
            change.at_ms
        ])?;
    Ok(())
}

pub(super) fn set_state(
    change: &Change<'_>,
    shared: bool,
    digest: &Sha256,
    state: ConnectorState,
) -> Result<(), Failure> {
    let set = change
        .database
        .prepare_cached("UPDATE connectors SET state = ?3 WHERE owner = ?1 AND digest = ?2")?
        .execute(params![
            change.owner(shared),
            digest.as_str(),
            encode_word(&state)?
        ])?;
    if set == 0 {
        return Err(not_found(format!("connector {digest}")));
    }
    Ok(())
}

pub(super) fn delete(
    change: &mut Change<'_>,
    shared: bool,
    digest: &Sha256,
) -> Result<(), Failure> {
    let deleted = change
        .database
        .prepare_cached("DELETE FROM connectors WHERE owner = ?1 AND digest = ?2")?
        .execute(params![change.owner(shared), digest.as_str()])?;
    if deleted == 0 {
        return Err(not_found(format!("connector {digest}")));
    }
    change
        .database
        .prepare_cached(
            "DELETE FROM components WHERE digest = ?1
               AND NOT EXISTS (SELECT 1 FROM connectors WHERE digest = ?1)",
        )?
        .execute([digest.as_str()])?;
    change.mention_connector(digest);
    Ok(())
}

const COLUMNS: &str = "owner, digest, name, version, manifest, state, wasm_bytes, created_at_ms";

fn read_row(row: &Row<'_>) -> Result<ConnectorRow, Failure> {
    let word = |at| row.get::<_, String>(at);
    Ok(ConnectorRow {
        shared: word(0)?.is_empty(),
        digest: decode_word("connector", &word(1)?)?,
        name: word(2)?,
        version: word(3)?,
        manifest: word(4)?,
        state: decode_word("connector", &word(5)?)?,
        wasm_bytes: row.get(6)?,
        created_at_ms: row.get(7)?,
    })
}

pub(super) fn find(
    database: &Connection,
    tenant: &TenantId,
    digest: &Sha256,
) -> Result<Option<ConnectorRow>, Failure> {
    // The empty owner sorts before every tenant.
    database
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM connectors WHERE owner IN (?1, '') AND digest = ?2
             ORDER BY owner DESC LIMIT 1"
        ))?
        .query_row(params![tenant.as_str(), digest.as_str()], |row| {
            Ok(read_row(row))
        })
        .optional()?
        .transpose()
}

pub(super) fn list(
    database: &Connection,
    tenant: &TenantId,
    page: &Page,
) -> Result<Vec<ConnectorRow>, Failure> {
    let mut statement = database.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM connectors AS c
         WHERE digest > coalesce(?2, '') AND (owner = ?1 OR owner = '' AND NOT EXISTS (
             SELECT 1 FROM connectors o WHERE o.owner = ?1 AND o.digest = c.digest))
         ORDER BY digest LIMIT ?3"
    ))?;
    let mut rows = statement.query(params![tenant.as_str(), page.after, page.limit])?;
    let mut connectors = Vec::new();
    while let Some(row) = rows.next()? {
        connectors.push(read_row(row)?);
    }
    Ok(connectors)
}

pub(super) fn wasm(
    database: &Connection,
    tenant: &TenantId,
    digest: &Sha256,
) -> Result<Option<Vec<u8>>, Failure> {
    let found = database
        .prepare_cached(
            "SELECT wasm FROM components WHERE digest = ?2 AND EXISTS (
                 SELECT 1 FROM connectors WHERE owner IN (?1, '') AND digest = ?2)",
        )?
        .query_row(params![tenant.as_str(), digest.as_str()], |row| row.get(0))
        .optional()?;
    Ok(found)
}
