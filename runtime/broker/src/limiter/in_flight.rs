//! What a limit on requests in flight remembers over a restart: how many may be under
//! way is written before they are. After a crash so many count as under way, for as long
//! as the provider may work on them.

use super::clock::Clock;
use super::ledger::{ON_THE_WIRE_MS, TRANSIT_MS};
use super::writer::Notes;
use crate::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_domain::limit::{MS, Meter, Nanos};
use tidegate_store::limits::{Block, BlockId, LimitStore, Settlement};

/// For so long may requests be sent under one note; then another one is written, as
/// large as is needed by then.
const NOTE_MS: u64 = 60_000;

/// The durable side of one limit on requests in flight.
pub(super) struct InFlight {
    name: String,
    store: Arc<dyn LimitStore>,
    notes: Notes,
    clock: Clock,
    capacity: u64,
    /// No request is under way for longer.
    over_within_ms: u64,
    // Async, because the note is awaited under it: whoever comes next must not send
    // before it is on disk.
    noting: tokio::sync::Mutex<()>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    note: Option<Note>,
    in_flight: u64,
    /// Until when the provider may work on those that nobody waits for.
    abandoned_ms: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Note {
    id: BlockId,
    at_ms: u64,
    units: u64,
}

impl Books {
    fn under_way(&mut self, now_ms: u64) -> u64 {
        self.abandoned_ms.retain(|until_ms| *until_ms > now_ms);
        self.in_flight + self.abandoned_ms.len() as u64
    }
}

impl InFlight {
    pub(super) fn new(
        name: String,
        capacity: u64,
        attempt_timeout_ms: u64,
        store: Arc<dyn LimitStore>,
        notes: Notes,
        clock: Clock,
    ) -> Self {
        Self {
            name,
            store,
            notes,
            clock,
            capacity,
            over_within_ms: attempt_timeout_ms.saturating_add(TRANSIT_MS),
            noting: tokio::sync::Mutex::default(),
            books: Mutex::default(),
        }
    }

    /// Fills the meter with what earlier processes may have left under way.
    pub(super) async fn restore(&self, meter: &mut Meter, now: Nanos) -> Result<(), Error> {
        for kept in self.store.reserved_units(&self.name).await? {
            // They died by now, and sent nothing after the end of their note.
            let sent_by = kept.at_ms.saturating_add(NOTE_MS).saturating_mul(MS);
            let died_by = sent_by.min(now.saturating_add(ON_THE_WIRE_MS * MS));
            let until = died_by.saturating_add(self.over_within_ms.saturating_mul(MS));
            if until > now {
                meter.restore(until, kept.units);
            }
        }
        Ok(())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more is under way. Durable on return.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        if self.take() {
            return Ok(());
        }
        let _noting = self.noting.lock().await;
        if self.take() {
            return Ok(());
        }
        let at_ms = self.clock.now_ms();
        // Room for more, so that not every one is written.
        let needed = self.books().under_way(at_ms) + 1;
        let units = needed.next_power_of_two().min(self.capacity.max(needed));
        let block = Block {
            at_ms,
            units,
            forget_at_ms: at_ms
                .saturating_add(NOTE_MS)
                .saturating_add(self.over_within_ms),
        };
        let id = self.store.reserve_units(&self.name, block).await?;
        let mut books = self.books();
        books.in_flight += 1;
        let before = books.note.replace(Note { id, at_ms, units });
        // The new one holds all that the one before held.
        self.strike(before);
        Ok(())
    }

    fn take(&self) -> bool {
        let now_ms = self.clock.now_ms();
        let mut books = self.books();
        let under_way = books.under_way(now_ms);
        let has_room = books
            .note
            .is_some_and(|note| under_way < note.units && now_ms < note.at_ms + NOTE_MS);
        books.in_flight += u64::from(has_room);
        has_room
    }

    /// One is over to the last byte, or was not sent.
    pub(super) fn finished(&self) {
        let mut books = self.books();
        books.in_flight = books.in_flight.saturating_sub(1);
    }

    /// Nobody waits for one any more; the provider may work on it until then.
    pub(super) fn abandoned(&self, until: Nanos) {
        let mut books = self.books();
        books.in_flight = books.in_flight.saturating_sub(1);
        books.abandoned_ms.push(until.div_ceil(MS));
    }

    /// Takes the note back where nothing is under way.
    pub(super) fn close(&self) {
        let now_ms = self.clock.now_ms();
        let mut books = self.books();
        if books.under_way(now_ms) == 0 {
            self.strike(books.note.take());
        }
    }

    fn strike(&self, note: Option<Note>) {
        if let Some(note) = note {
            self.notes.settled(Settlement {
                limit: self.name.clone(),
                block: note.id,
                units: 0,
                counted_by_ms: 0,
                forget_at_ms: 0,
            });
        }
    }
}
