//! The associations of records as they are now: generated, changed, and between live
//! records only.

use std::collections::BTreeMap;

use super::{Change, End, Spread, Types};
use crate::hubspot::account::Account;
use crate::hubspot::kind::Kind;

impl Account {
    /// What a live record is associated with among the records of a kind, by id; `None`
    /// if there is no such live record.
    pub(crate) fn associated(&self, from: End, to: Kind) -> Option<BTreeMap<u64, Types>> {
        if !self.collection(from.0).records.is_live(from.1) {
            return None;
        }
        let mut edges = self.generated(from, to);
        edges.extend(self.edges.changed(from, to));
        let there = &self.collection(to).records;
        edges.retain(|id, types| !types.is_empty() && there.is_live(*id));
        Some(edges)
    }

    /// Types of the association of two records, whether they are live or not.
    pub(crate) fn types_of(&self, from: End, to: End) -> Types {
        let changed = self.edges.changed(from, to.0).remove(&to.1);
        let types = changed.or_else(|| self.generated(from, to.0).remove(&to.1));
        types.unwrap_or_default()
    }

    /// Adds types to an association, or removes them; false where nothing changes.
    pub(crate) fn associate(&self, from: End, to: End, types: &[u32], change: Change) -> bool {
        let current = self.types_of(from, to);
        let edge = (from, to);
        let has_changed = self.edges.set(&self.labels, edge, &current, types, change);
        if has_changed {
            let removed = change == Change::Remove;
            let moved = types.iter().copied();
            let moved: Types = moved
                .filter(|one| current.contains(one) == removed)
                .collect();
            self.tell_associated(from, to, &moved, removed);
        }
        has_changed
    }

    fn generated(&self, from: End, to: Kind) -> BTreeMap<u64, Types> {
        let (here, there) = (self.collection(from.0), self.collection(to));
        let (Some(is_start), Some(index)) =
            (Spread::between(from.0, to), here.records.index_of(from.1))
        else {
            return BTreeMap::new();
        };
        let mut known = self.labels.between(from.0, to).peekable();
        if known.peek().is_none() {
            return BTreeMap::new();
        }
        let (starts, ends) = if is_start {
            (here, there)
        } else {
            (there, here)
        };
        let spread = Spread {
            from_count: starts.records.count,
            to_count: ends.records.count,
            seed: self.config.seed ^ starts.kind.first_id() ^ ends.kind.first_id(),
        };
        let indices = match is_start {
            true => spread.forward(index),
            false => spread.backward(index),
        };
        let edges = indices.into_iter().map(|other| {
            let id = there.records.row(other).id;
            let (start, end) = if is_start {
                (index, other)
            } else {
                (other, index)
            };
            let is_first = spread.forward(start).first() == Some(&end);
            (id, self.labels.generated(from.0, to, is_first))
        });
        edges.collect()
    }
}
