//! The order of search results, over generated and written records alike.

use std::cmp::Ordering;
use std::ops::Range;

use super::filter::Comparable;
use crate::hubspot::records::Records;

/// Which records a result is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A generated record, by place in id order.
    Base(u32),
    /// A written record.
    Written,
}

/// A result with what it sorts by.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) key: Option<Comparable>,
    pub(crate) id: u64,
    pub(crate) source: Source,
}

/// Sorts by key, absent keys last, ties always by rising id.
pub(crate) fn compare(left: &Ranked, right: &Ranked, descending: bool) -> Ordering {
    let keys = match (&left.key, &right.key) {
        (Some(left), Some(right)) => {
            let order = left.partial_cmp(right).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
    };
    keys.then(left.id.cmp(&right.id))
}

/// Merges two sorted sequences.
pub(crate) fn merge<'a>(
    base: impl Iterator<Item = Ranked> + 'a,
    written: Vec<Ranked>,
    descending: bool,
) -> impl Iterator<Item = Ranked> + 'a {
    let mut base = base.peekable();
    let mut written = written.into_iter().peekable();
    std::iter::from_fn(move || match (base.peek(), written.peek()) {
        (Some(left), Some(right)) if compare(left, right, descending).is_gt() => written.next(),
        (Some(_), _) => base.next(),
        (None, _) => written.next(),
    })
}

/// Places of a range of indices by modification time, ties by rising id,
/// without looking at more records than are taken (and their ties).
pub(crate) fn by_modified(
    records: &Records,
    range: Range<u32>,
    descending: bool,
) -> impl Iterator<Item = u32> + '_ {
    let mut rest = range;
    let mut ties: Vec<u32> = Vec::new();
    std::iter::from_fn(move || {
        if ties.is_empty() {
            let mut time_ms = None;
            while let Some(index) = edge(&rest, descending) {
                let modified_ms = records.timeline.modified_ms(index);
                if *time_ms.get_or_insert(modified_ms) != modified_ms {
                    break;
                }
                ties.push(records.position_of_index(index));
                if descending {
                    rest.end -= 1;
                } else {
                    rest.start += 1;
                }
            }
            // Popped from the back, so the smallest id goes last.
            ties.sort_unstable_by(|left, right| right.cmp(left));
        }
        ties.pop()
    })
}

fn edge(range: &Range<u32>, descending: bool) -> Option<u32> {
    let edge = if descending {
        range.clone().next_back()
    } else {
        range.clone().next()
    };
    edge.filter(|_| !range.is_empty())
}
