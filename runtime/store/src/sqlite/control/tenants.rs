//! The end of a tenant: its key, and every row that is its own.

use super::commit::Change;
use super::writes::check;
use crate::Error;
use crate::control::Expected;
use crate::sqlite::failure::Failure;
use rusqlite::OptionalExtension as _;

/// By column that names the tenant, in an order that keeps what refers to a row no
/// longer than the row. Attempts, log lines and deliveries go with what they are of;
/// the audit log stays.
const TABLES: &[(&str, &str)] = &[
    ("data_keys", "tenant"),
    ("grants", "tenant"),
    ("grant_uses", "tenant"),
    ("secrets", "tenant"),
    ("api_keys", "tenant"),
    ("kv", "tenant"),
    ("schedules", "tenant"),
    ("deliveries", "tenant"),
    ("events", "tenant"),
    ("requests", "tenant"),
    ("jobs", "tenant"),
    ("catalogs", "tenant"),
    ("contracts", "tenant"),
    ("mentions", "tenant"),
    ("documents", "tenant"),
    ("connectors", "owner"),
    ("answers", "tenant"),
    ("streams", "tenant"),
    ("tenants", "id"),
];

pub(super) fn delete(change: &Change<'_>, expected: Expected) -> Result<(), Failure> {
    let (database, tenant) = (change.database, change.tenant.as_str());
    let found: Option<(u64, bool)> = database
        .prepare_cached(
            "SELECT revision, state = 'suspended' AND NOT EXISTS (
                 SELECT 1 FROM jobs WHERE jobs.tenant = tenants.id AND finished = 0)
             FROM tenants WHERE id = ?1",
        )?
        .query_row([tenant], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let revision = found.map(|(revision, _)| revision);
    check(&format!("tenant {tenant}"), expected, revision)?;
    if found.is_some_and(|(_, rests)| !rests) {
        let tenant = change.tenant.clone();
        return Err(Error::TenantInUse { tenant }.into());
    }
    database
        .prepare_cached(
            "DELETE FROM intents WHERE stream_id IN (SELECT id FROM streams WHERE tenant = ?1)",
        )?
        .execute([tenant])?;
    for (table, column) in TABLES {
        database
            .prepare_cached(&format!("DELETE FROM {table} WHERE {column} = ?1"))?
            .execute([tenant])?;
    }
    database
        .prepare_cached(
            "DELETE FROM components WHERE digest NOT IN (SELECT digest FROM connectors)",
        )?
        .execute([])?;
    Ok(())
}
