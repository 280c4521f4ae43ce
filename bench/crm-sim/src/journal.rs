//! Who asked for what, and from when to when: what a test needs to prove that nobody
//! did a thing twice at once.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A request, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The bearer token that it carried; empty without one.
    pub token: String,
    /// Path and query.
    pub target: String,
    /// When it came, since the journal was begun.
    pub began: Duration,
    /// When its answer was handed over or its client was gone; none while it is under
    /// way.
    pub ended: Option<Duration>,
    /// Whether there was an answer before the client was gone.
    pub answered: bool,
}

/// Every request since it was begun; nothing before.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    start: OnceLock<Instant>,
    seen: Mutex<Vec<Seen>>,
}

/// A request that is written down; its end too, when this is dropped.
pub(crate) struct Line<'a> {
    journal: &'a Journal,
    start: Instant,
    at: usize,
    answered: bool,
}

impl Journal {
    pub(crate) fn begin(&self) {
        self.start.get_or_init(Instant::now);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.lines().clone()
    }

    pub(crate) fn line(&self, token: &str, target: &str) -> Option<Line<'_>> {
        let start = *self.start.get()?;
        let mut lines = self.lines();
        lines.push(Seen {
            token: token.to_owned(),
            target: target.to_owned(),
            began: start.elapsed(),
            ended: None,
            answered: false,
        });
        Some(Line {
            journal: self,
            start,
            at: lines.len() - 1,
            answered: false,
        })
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line<'_> {
    /// There is an answer.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let ended = self.start.elapsed();
        if let Some(seen) = self.journal.lines().get_mut(self.at) {
            seen.ended = Some(ended);
            seen.answered = self.answered;
        }
    }
}
