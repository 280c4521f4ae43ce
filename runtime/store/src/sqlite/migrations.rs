//! The schema's history: numbered, only forward, each step in one transaction.

use super::failure::Failure;
use crate::Error;
use rusqlite::Connection;

/// What brings the schema from version `n` to `n + 1`, at index `n`. A released
/// entry never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_service.sql"),
    include_str!("migrations/0003_outbox.sql"),
    include_str!("migrations/0004_schemas.sql"),
    include_str!("migrations/0005_limits.sql"),
    include_str!("migrations/0006_grants.sql"),
    include_str!("migrations/0007_grant_uses.sql"),
];

/// Brings the schema to this build's version.
pub(super) fn run(database: &mut Connection) -> Result<(), Failure> {
    let known = i64::try_from(MIGRATIONS.len()).expect("there are few migrations");
    let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(pending) = usize::try_from(found)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
    else {
        return Err(Error::Schema { found, known }.into());
    };
    for (version, migration) in (found + 1..).zip(pending) {
        let transaction = database.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
