//! What a limit remembers over a restart: units are reserved durably, in blocks,
//! before any of them is spent. A crash loses what is left of a block and never spends
//! a unit twice. What a block came to is written later: until then it counts as whole,
//! and as late as it can have been.

use super::clock::Clock;
use super::writer::Notes;
use crate::Error;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_domain::limit::{MS, Meter, Nanos};
use tidegate_domain::manifest::{CalendarPeriod, Limit, LimitRule};
use tidegate_store::limits::{Block, BlockId, LimitStore, Settlement};

/// A block that is spent within a second is followed by one of twice its size; one that
/// lasts ten, by one of half. So a crash loses about a second's worth.
const QUICK_MS: u64 = 1_000;
const SLOW_MS: u64 = 10_000;
/// No block is larger than this part of a capacity.
const PARTS: u64 = 20;
/// What may lie between the admission of a request and its arrival: the wait for a
/// token, which the permit bounds, and for a connection.
pub(super) const TRANSIT_MS: u64 = super::plan::SEND_WITHIN_MS + 10_000;
/// What a process sent before it died may still arrive for so long.
pub(super) const ON_THE_WIRE_MS: u64 = 1_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Midnight of every time zone falls on a quarter of an hour.
const QUARTER_MS: u64 = 15 * 60 * 1000;

/// The durable side of one limit.
pub(super) struct Ledger {
    name: String,
    store: Arc<dyn LimitStore>,
    notes: Notes,
    clock: Clock,
    units_max: u64,
    /// How long after its reservation a block may be spent.
    spend_within_ms: u64,
    remember_ms: u64,
    window: WindowKind,
    // Async, because the reservation is awaited under it: whoever comes next must
    // not spend a block that is not on disk yet.
    reserving: tokio::sync::Mutex<()>,
    books: Mutex<Books>,
}

#[derive(Clone, Copy)]
enum WindowKind {
    Rolling { part_ms: u64 },
    Calendar,
}

#[derive(Default)]
struct Books {
    current: Option<BlockId>,
    open: BTreeMap<BlockId, Open>,
    size: u64,
    /// When the last block was reserved.
    reserved_at_ms: Option<u64>,
}

#[derive(Default)]
struct Open {
    reserved_at_ms: u64,
    left: u64,
    in_flight: u64,
    spent: u64,
    counted_by_ms: u64,
}

impl Ledger {
    /// None where nothing is spent for a time that outlives a process: a pace starts
    /// empty, and requests in flight have books of their own.
    pub(super) fn new(
        name: String,
        limit: &Limit,
        scale: f64,
        store: Arc<dyn LimitStore>,
        notes: Notes,
        clock: Clock,
    ) -> Option<Arc<Self>> {
        let (window, window_ms) = match limit.rule {
            LimitRule::Rolling | LimitRule::Fixed => {
                let part_ms = (limit.per_ms / 256).max(1);
                (WindowKind::Rolling { part_ms }, limit.per_ms)
            }
            LimitRule::Calendar { ref period, .. } => match period {
                CalendarPeriod::Day => (WindowKind::Calendar, DAY_MS + QUARTER_MS),
                CalendarPeriod::Month => (WindowKind::Calendar, 31 * DAY_MS + QUARTER_MS),
            },
            LimitRule::Paced(_) | LimitRule::Concurrent => return None,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, which is what is wanted"
        )]
        let capacity = (f64::from(limit.capacity) * scale) as u64;
        let spend_within_ms = (window_ms / 10).clamp(1_000, 60_000);
        let remember_ms = window_ms
            .saturating_add(spend_within_ms)
            .saturating_add(TRANSIT_MS);
        Some(Arc::new(Self {
            name,
            store,
            notes,
            clock,
            units_max: (capacity / PARTS).max(1),
            spend_within_ms,
            remember_ms,
            window,
            reserving: tokio::sync::Mutex::default(),
            books: Mutex::default(),
        }))
    }

    /// Charges the meter with what earlier processes spent or may have spent.
    pub(super) async fn restore(&self, meter: &mut Meter, now: Nanos) -> Result<(), Error> {
        let slack_ms = self.spend_within_ms + TRANSIT_MS;
        let kept = self.store.reserved_units(&self.name).await?;
        let mut spent: Vec<(Nanos, u64)> = kept
            .into_iter()
            .map(|kept| {
                let at = kept.at_ms.saturating_mul(MS);
                let spent_by = if kept.is_settled {
                    at.min(now)
                } else {
                    at.saturating_add(slack_ms * MS)
                        .min(now + ON_THE_WIRE_MS * MS)
                };
                (spent_by, kept.units)
            })
            .collect();
        spent.sort_unstable();
        for (spent_by, units) in spent {
            meter.restore(spent_by, units);
        }
        Ok(())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes units from the reserved block, or reserves a new one. Durable on
    /// return.
    pub(super) async fn draw(&self, units: u64) -> Result<BlockId, Error> {
        if let Some(block) = self.take(units) {
            return Ok(block);
        }
        let _reserving = self.reserving.lock().await;
        if let Some(block) = self.take(units) {
            return Ok(block);
        }
        let at_ms = self.clock.now_ms();
        let asked = self.next_block(at_ms, units);
        let id = self.store.reserve_units(&self.name, asked).await?;
        let mut books = self.books();
        let open = Open {
            reserved_at_ms: at_ms,
            left: asked.units - units,
            in_flight: units,
            ..Open::default()
        };
        books.open.insert(id, open);
        books.current = Some(id);
        self.retire_spent(&mut books);
        Ok(id)
    }

    fn take(&self, units: u64) -> Option<BlockId> {
        let mut books = self.books();
        let id = books.current?;
        let now_ms = self.clock.now_ms();
        let block = books.open.get_mut(&id)?;
        if block.left < units || now_ms >= block.reserved_at_ms + self.spend_within_ms {
            return None;
        }
        block.left -= units;
        block.in_flight += units;
        self.retire_spent(&mut books);
        Some(id)
    }

    /// Retires the current block and says how large the next one is.
    fn next_block(&self, at_ms: u64, units: u64) -> Block {
        let mut books = self.books();
        let size = books.size.max(1);
        let last_ms = books.reserved_at_ms.replace(at_ms);
        books.size = match last_ms.map(|last_ms| at_ms.saturating_sub(last_ms)) {
            None => 1,
            Some(0..QUICK_MS) => size * 2,
            Some(QUICK_MS..SLOW_MS) => size,
            Some(_) => size / 2,
        }
        .clamp(1, self.units_max);
        let units = books.size.max(units);
        if let Some(current) = books.current.take() {
            self.settle_if_over(&mut books, current);
        }
        Block {
            at_ms,
            units,
            forget_at_ms: at_ms.saturating_add(self.remember_ms),
        }
    }

    fn retire_spent(&self, books: &mut Books) {
        let spent = books
            .current
            .filter(|id| books.open.get(id).is_none_or(|block| block.left == 0));
        if let Some(id) = spent {
            books.current = None;
            self.settle_if_over(books, id);
        }
    }

    /// The provider has counted a drawn request: `actual` units of `reserved`.
    pub(super) fn answered(&self, id: BlockId, reserved: u64, actual: u64) {
        let mut books = self.books();
        let now_ms = self.clock.now_ms();
        let is_current = books.current == Some(id);
        let Some(block) = books.open.get_mut(&id) else {
            return;
        };
        block.in_flight = block.in_flight.saturating_sub(reserved);
        block.spent += actual;
        // What a request cost beyond its estimate is covered by the block, as far as
        // that goes; what it cost less may be spent by others.
        if actual > reserved {
            block.left = block.left.saturating_sub(actual - reserved);
        } else if is_current {
            block.left += reserved - actual;
        }
        block.counted_by_ms = block.counted_by_ms.max(now_ms);
        self.retire_spent(&mut books);
        self.settle_if_over(&mut books, id);
    }

    /// A drawn request was not sent.
    pub(super) fn returned(&self, id: BlockId, units: u64) {
        let mut books = self.books();
        let is_current = books.current == Some(id);
        if let Some(block) = books.open.get_mut(&id) {
            block.in_flight = block.in_flight.saturating_sub(units);
            block.left += if is_current { units } else { 0 };
        }
        self.settle_if_over(&mut books, id);
    }

    fn settle_if_over(&self, books: &mut Books, id: BlockId) {
        let over = books
            .open
            .get(&id)
            .is_some_and(|block| block.in_flight == 0);
        if books.current == Some(id) || !over {
            return;
        }
        if let Some(block) = books.open.remove(&id) {
            let counted_by_ms = match self.window {
                WindowKind::Rolling { part_ms } => block
                    .counted_by_ms
                    .div_ceil(part_ms)
                    .saturating_mul(part_ms),
                WindowKind::Calendar => {
                    block.counted_by_ms / QUARTER_MS * QUARTER_MS + QUARTER_MS - 1
                }
            };
            self.notes.settled(Settlement {
                limit: self.name.clone(),
                block: id,
                units: block.spent,
                counted_by_ms,
                forget_at_ms: counted_by_ms.saturating_add(self.remember_ms),
            });
        }
    }

    /// Gives back what is left of the current block: nothing more is drawn from it.
    pub(super) fn close(&self) {
        let mut books = self.books();
        if let Some(current) = books.current.take() {
            self.settle_if_over(&mut books, current);
        }
    }
}
