//! Counts what landed: from the objects that the commit log shows, never from what
//! was sent.

use crate::cli::Place;
use crate::lake;
use crate::sync_run::Document;
use anyhow::{Context as _, Result};
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::RangeInclusive;
use tidegate_domain::record::Operation;
use tidegate_landing::lake::marks;

/// Figures of what landed in some slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Rows of every operation.
    pub(crate) rows: u64,
    /// Distinct keys among them.
    pub(crate) distinct_keys: u64,
    /// Rows that are no deletes.
    pub(crate) upserts: u64,
    /// Rows that are deletes.
    pub(crate) deletes: u64,
    /// Objects.
    pub(crate) objects: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// The last slot of each stream's log, so that a later tally can start behind it.
pub(crate) async fn last_slot(place: &Place, document: &Document) -> Result<u64> {
    let views = lake::views(place, document).await?;
    Ok(views
        .iter()
        .map(|view| view.slots.saturating_sub(1))
        .max()
        .unwrap_or(0))
}

/// Counts what landed in these slots.
pub(crate) async fn of(
    place: &Place,
    document: &Document,
    slots: RangeInclusive<u64>,
) -> Result<Tally> {
    let target = lake::target(place, document).await?;
    let mut tally = Tally::default();
    // 64 bits of a random hash stand for a key: among ten million, two of them are
    // alike with a chance of 3 in a million.
    let (hasher, mut keys) = (RandomState::new(), HashSet::new());
    for view in lake::views(place, document).await? {
        for seen in view
            .objects
            .iter()
            .filter(|seen| slots.contains(&seen.slot))
        {
            let bytes = target.read(&seen.key).await?;
            let bytes =
                bytes.with_context(|| format!("{} is gone, but a slot names it", seen.location))?;
            tally.objects += 1;
            tally.bytes += bytes.len() as u64;
            marks::for_each(seen.object.format, bytes, |mark| {
                tally.rows += 1;
                keys.insert(hasher.hash_one(&*mark.key));
                match mark.operation.as_ref() == Operation::Delete.as_str() {
                    true => tally.deletes += 1,
                    false => tally.upserts += 1,
                }
            })?;
        }
    }
    tally.distinct_keys = keys.len() as u64;
    Ok(tally)
}
