//! The one scroll over companies that an app may have open.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::intercom::problem::Problem;

/// Companies in one page.
pub(crate) const PAGE_RECORDS: usize = 100;

/// A scroll's parameter and the id from which its next page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) parameter: String,
    pub(crate) from: u64,
}

#[derive(Debug)]
pub(crate) struct Scrolls {
    idle_ms: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<(Place, i64)>,
    opened: u64,
    refused: u64,
}

impl Scrolls {
    pub(crate) fn new(idle_ms: i64) -> Scrolls {
        Scrolls {
            idle_ms,
            state: Mutex::default(),
        }
    }

    /// Opens a scroll, unless one is open.
    pub(crate) fn open(&self, parameter: String, now_ms: i64) -> Result<Place, Problem> {
        let mut state = self.live(now_ms);
        if state.open.is_some() {
            state.refused += 1;
            return Err(Problem::scroll_exists());
        }
        state.opened += 1;
        let place = Place { parameter, from: 0 };
        state.open = Some((place.clone(), now_ms));
        Ok(place)
    }

    /// The place of the open scroll, if that is the one that is named.
    pub(crate) fn resume(&self, parameter: &str, now_ms: i64) -> Result<Place, Problem> {
        let state = self.live(now_ms);
        match &state.open {
            Some((place, _)) if place.parameter == parameter => Ok(place.clone()),
            _ => Err(Problem::scroll_unknown()),
        }
    }

    /// Moves on, whether or not the page that was read arrives.
    pub(crate) fn advance(&self, from: u64, now_ms: i64) {
        if let Some((place, used_ms)) = &mut self.lock().open {
            place.from = from;
            *used_ms = now_ms;
        }
    }

    /// Ends the open scroll.
    pub(crate) fn end(&self) {
        self.lock().open = None;
    }

    /// Scrolls opened, and scrolls refused because one was open.
    pub(crate) fn observed(&self) -> (u64, u64) {
        let state = self.lock();
        (state.opened, state.refused)
    }

    pub(crate) fn reset_observed(&self) {
        let mut state = self.lock();
        (state.opened, state.refused) = (0, 0);
    }

    /// The state without a scroll that nobody used for too long.
    fn live(&self, now_ms: i64) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let idle = |(_, used_ms): &(Place, i64)| now_ms - used_ms >= self.idle_ms;
        if state.open.as_ref().is_some_and(idle) {
            state.open = None;
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
