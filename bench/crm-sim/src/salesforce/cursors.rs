//! Query locators: which pages of which queries are still open, and for whom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::salesforce::soql::{Found, Place};
use crate::salesforce::wire_id::wire_text;

/// Open cursors of one user at most; a further one ends the oldest.
const CURSORS_MAX: usize = 10;

/// One open query.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) found: Arc<Found>,
    user: Arc<str>,
    version: String,
    /// Places by the number of records before them.
    places: HashMap<u64, Place>,
    opened: u64,
    used_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Cursors {
    idle_ms: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    serial: u64,
    open: HashMap<String, Cursor>,
}

impl Cursors {
    pub(crate) fn new(idle_ms: i64) -> Cursors {
        Cursors {
            idle_ms,
            state: Mutex::default(),
        }
    }

    /// Opens a cursor and returns its locator without the offset.
    pub(crate) fn open(
        &self,
        found: Arc<Found>,
        user: &Arc<str>,
        version: &str,
        now_ms: i64,
    ) -> String {
        let mut state = self.lock();
        let mut own: Vec<(u64, String)> = state
            .open
            .iter()
            .filter(|(_, cursor)| cursor.user == *user)
            .map(|(locator, cursor)| (cursor.opened, locator.clone()))
            .collect();
        own.sort_unstable();
        while own.len() >= CURSORS_MAX {
            state.open.remove(&own.remove(0).1);
        }
        state.serial += 1;
        let opened = state.serial;
        let locator = wire_text(*b"01g", opened);
        let cursor = Cursor {
            found,
            user: Arc::clone(user),
            version: version.to_owned(),
            places: HashMap::new(),
            opened,
            used_ms: now_ms,
        };
        state.open.insert(locator.clone(), cursor);
        locator
    }

    /// Remembers where the page after so many records begins.
    pub(crate) fn reach(&self, locator: &str, place: Place) {
        if let Some(cursor) = self.lock().open.get_mut(locator) {
            cursor.places.insert(place.served, place);
        }
    }

    /// The query and place of a locator with its offset: `01g...-2000`. `None` for
    /// unknown, idle and other people's ones.
    pub(crate) fn find(
        &self,
        text: &str,
        user: &Arc<str>,
        version: &str,
        now_ms: i64,
    ) -> Option<(String, Arc<Found>, Place)> {
        let (locator, offset) = text.rsplit_once('-')?;
        let mut state = self.lock();
        let idle_ms = self.idle_ms;
        state
            .open
            .retain(|_, cursor| now_ms.saturating_sub(cursor.used_ms) <= idle_ms);
        let cursor = state.open.get_mut(locator)?;
        if cursor.user != *user || cursor.version != version {
            return None;
        }
        let place = *cursor.places.get(&offset.parse().ok()?)?;
        cursor.used_ms = now_ms;
        Some((locator.to_owned(), Arc::clone(&cursor.found), place))
    }

    /// Ends every cursor, as a release of the platform does.
    pub(crate) fn close_all(&self) {
        self.lock().open.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
