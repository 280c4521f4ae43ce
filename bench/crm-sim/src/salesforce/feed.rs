//! The ordered feed of every change of the org: what was changed, when, and how. The
//! streaming API is made of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::control::Changed;
use crate::salesforce::object::Object;

/// One change of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Its place in the feed, from 1 on, without gaps.
    pub(crate) number: u64,
    pub(crate) object: Object,
    /// The record's number; `wire_text` makes its id of it.
    pub(crate) id: u64,
    pub(crate) kind: Changed,
    /// When it was committed, by the simulated clock, in milliseconds since the epoch.
    pub(crate) committed_ms: i64,
    /// The modification time that the record has since.
    pub(crate) modified_ms: i64,
    /// Columns that were written; none says that the record was created as generated.
    pub(crate) columns: Vec<u16>,
}

/// Every change since the start of the simulator.
#[derive(Debug)]
pub(crate) struct Feed {
    changes: Mutex<Vec<Change>>,
    newest: watch::Sender<u64>,
}

impl Default for Feed {
    fn default() -> Feed {
        Feed {
            changes: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Feed {
    /// Appends a change and gives it its number.
    pub(crate) fn append(&self, mut change: Change) {
        let mut changes = self.lock();
        change.number = changes.len() as u64 + 1;
        let number = change.number;
        changes.push(change);
        drop(changes);
        self.newest.send_replace(number);
    }

    /// Changes after a number, at most this many, oldest first.
    pub(crate) fn after(&self, number: u64, limit: usize) -> Vec<Change> {
        let changes = self.lock();
        let from = usize::try_from(number).unwrap_or(usize::MAX);
        let rest = changes.get(from..).unwrap_or_default();
        rest.iter().take(limit).cloned().collect()
    }

    /// The number of the newest change; tells those who wait when there is another.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Feed};
    use crate::control::Changed;
    use crate::salesforce::object::Object;

    #[test]
    fn changes_are_numbered_without_gaps_and_wake_who_waits() {
        let feed = Feed::default();
        let mut newest = feed.newest();
        assert!(!newest.has_changed().expect("the feed is there"));
        for id in 0..5 {
            feed.append(Change {
                number: 0,
                object: Object::Account,
                id,
                kind: Changed::Edited,
                committed_ms: 7,
                modified_ms: 7,
                columns: Vec::new(),
            });
        }
        assert_eq!(*newest.borrow_and_update(), 5);
        let read = feed.after(2, 2);
        let numbers: Vec<(u64, u64)> = read
            .iter()
            .map(|change| (change.number, change.id))
            .collect();
        assert_eq!(numbers, [(3, 2), (4, 3)]);
        assert!(feed.after(5, 9).is_empty());
    }
}
