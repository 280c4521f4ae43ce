//! Which records are associated with which: generated edges as functions of the records'
//! places, and what was changed since on top of them.

mod labels;
mod reading;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use labels::{Category, Label, Labels};

use crate::generate::mix;
use crate::hubspot::kind::Kind;

/// Every eighth record is associated with nothing.
const ALONE: u64 = 8;
/// Every fifth is associated with two.
const DOUBLE: u64 = 5;

/// One end of an association.
pub(crate) type End = (Kind, u64);

/// Types of the association of two records, smallest first; empty for none.
pub(crate) type Types = Vec<u32>;

/// Edges that differ from the generated ones, each in both directions.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    changed: Mutex<BTreeMap<(End, End), Types>>,
}

/// What a change makes of the types of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Add,
    Remove,
}

impl Edges {
    /// What was changed about the edges from one record to the records of a kind.
    pub(crate) fn changed(&self, from: End, to: Kind) -> BTreeMap<u64, Types> {
        let changed = self.lock();
        let range = (from, (to, 0))..=(from, (to, u64::MAX));
        let edges = changed.range(range);
        edges
            .map(|((_, (_, id)), types)| (*id, types.clone()))
            .collect()
    }

    /// Kinds of the records that edges from this one were changed to.
    pub(crate) fn kinds(&self, from: End) -> Vec<Kind> {
        let changed = self.lock();
        let low = (Kind::Contacts, 0);
        let edges = changed.range((from, low)..);
        let mut kinds: Vec<Kind> = edges
            .take_while(|((start, _), _)| *start == from)
            .map(|((_, (kind, _)), _)| *kind)
            .collect();
        kinds.dedup();
        kinds
    }

    /// Sets the types of an edge, seen from its start; those of the way back follow.
    /// False where nothing changes. `current` are the types that it has.
    pub(crate) fn set(
        &self,
        labels: &Labels,
        (from, to): (End, End),
        current: &[u32],
        named: &[u32],
        change: Change,
    ) -> bool {
        let mut types: Types = match change {
            Change::Add => current.iter().chain(named).copied().collect(),
            Change::Remove => current
                .iter()
                .copied()
                .filter(|known| !named.contains(known))
                .collect(),
        };
        types.sort_unstable();
        types.dedup();
        if types == current {
            return false;
        }
        let mut back: Types = types.iter().filter_map(|id| labels.inverse(*id)).collect();
        back.sort_unstable();
        let mut changed = self.lock();
        changed.insert((from, to), types);
        changed.insert((to, from), back);
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(End, End), Types>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The generated edges from records of one kind to those of another, by index. Records
/// of the first kind are spread evenly over those of the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// How many records there are of either kind.
    pub(crate) from_count: u32,
    pub(crate) to_count: u32,
    pub(crate) seed: u64,
}

impl Spread {
    /// The generated edges between two kinds, and whether they start at the first.
    pub(crate) fn between(from: Kind, to: Kind) -> Option<bool> {
        let starts = |from: Kind, to: Kind| {
            matches!(
                (from, to),
                (Kind::Contacts, Kind::Companies)
                    | (
                        Kind::Deals | Kind::Tickets | Kind::Custom(_),
                        Kind::Contacts
                    )
                    | (Kind::Deals | Kind::Custom(_), Kind::Companies)
            )
        };
        match (starts(from, to), starts(to, from)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// Indices that an index of the first kind leads to: none, one or two.
    pub(crate) fn forward(self, from: u32) -> Vec<u32> {
        if self.to_count == 0 || self.is_alone(from) {
            return Vec::new();
        }
        let first = self.block_of(from);
        let second = (first + 1) % self.to_count;
        let mut to = vec![first];
        if self.is_double(from) && second != first {
            to.push(second);
        }
        to
    }

    /// Indices of the first kind that lead to an index of the second.
    pub(crate) fn backward(self, to: u32) -> Vec<u32> {
        if self.to_count == 0 {
            return Vec::new();
        }
        let before = (to + self.to_count - 1) % self.to_count;
        let single = self.block(to).filter(|from| !self.is_alone(*from));
        let mut found: Vec<u32> = single.collect();
        if before != to {
            let double = self.block(before);
            found.extend(double.filter(|from| !self.is_alone(*from) && self.is_double(*from)));
        }
        found
    }

    fn is_alone(self, from: u32) -> bool {
        mix(self.seed ^ u64::from(from)).is_multiple_of(ALONE)
    }

    fn is_double(self, from: u32) -> bool {
        mix(!self.seed ^ u64::from(from)).is_multiple_of(DOUBLE)
    }

    fn block_of(self, from: u32) -> u32 {
        let place = u64::from(from) * u64::from(self.to_count) / u64::from(self.from_count);
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Indices whose block is this one.
    fn block(self, to: u32) -> impl Iterator<Item = u32> {
        let start = |block: u64| {
            let place = (block * u64::from(self.from_count)).div_ceil(u64::from(self.to_count));
            u32::try_from(place).unwrap_or(u32::MAX)
        };
        start(u64::from(to))..start(u64::from(to) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn both_directions_hold_the_same_edges() {
        for (from_count, to_count) in [(100, 7), (7, 100), (1, 1), (12, 1), (50, 50), (3, 0)] {
            let spread = Spread {
                from_count,
                to_count,
                seed: 9,
            };
            let mut forward: Vec<(u32, u32)> = (0..from_count)
                .flat_map(|from| spread.forward(from).into_iter().map(move |to| (from, to)))
                .collect();
            let mut backward: Vec<(u32, u32)> = (0..to_count)
                .flat_map(|to| spread.backward(to).into_iter().map(move |from| (from, to)))
                .collect();
            forward.sort_unstable();
            backward.sort_unstable();
            assert_eq!(forward, backward, "{from_count} to {to_count}");
        }
    }
}
