//! What a limit remembers over a restart: units are reserved durably, in blocks,
//! before any of them is spent. A crash loses the rest of a block and never spends
//! a unit twice.

use crate::Error;
use std::sync::Arc;
use tidegate_domain::limit::{MS, Meter, Nanos};
use tidegate_domain::manifest::{CalendarPeriod, Limit, LimitRule};
use tidegate_store::clock::now_ms;
use tidegate_store::limits::{LimitStore, Reserved};
use tokio::sync::Mutex;

/// Blocks for each window: a restart counts a block as a whole.
const BLOCKS: u64 = 10;
/// What may lie between the admission of a request and its arrival: the wait for a
/// token, which the permit bounds, and for a connection.
const TRANSIT_MS: u64 = super::plan::SEND_WITHIN_MS + 10_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The durable side of one limit.
pub(super) struct Ledger {
    name: String,
    store: Arc<dyn LimitStore>,
    block: u64,
    /// How long after its reservation a block may be spent.
    spend_within_ms: u64,
    remember_ms: u64,
    // Async, because the reservation is awaited under it: whoever comes next must
    // not spend a block that is not on disk yet.
    credit: Mutex<Credit>,
}

#[derive(Default)]
struct Credit {
    units: u64,
    spend_by_ms: u64,
}

impl Ledger {
    /// None where a restart forgets nothing: a pace starts empty, and what was in
    /// flight is over.
    pub(super) fn new(
        name: &str,
        limit: &Limit,
        scale: f64,
        store: Arc<dyn LimitStore>,
    ) -> Option<Arc<Self>> {
        let window_ms = match limit.rule {
            LimitRule::Rolling | LimitRule::Fixed => limit.per_ms,
            LimitRule::Calendar { ref period, .. } => match period {
                CalendarPeriod::Day => DAY_MS,
                CalendarPeriod::Month => 31 * DAY_MS,
            },
            LimitRule::Paced(_) | LimitRule::Concurrent => return None,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, which is what is wanted"
        )]
        let capacity = (f64::from(limit.capacity) * scale) as u64;
        let spend_within_ms = (window_ms / BLOCKS).clamp(1_000, 60_000);
        Some(Arc::new(Self {
            name: name.to_owned(),
            store,
            block: (capacity / BLOCKS).max(1),
            spend_within_ms,
            remember_ms: window_ms
                .saturating_add(spend_within_ms)
                .saturating_add(TRANSIT_MS),
            credit: Mutex::default(),
        }))
    }

    /// Charges the meter with what an earlier process may have spent: each block as
    /// late as it can have been.
    pub(super) async fn restore(&self, meter: &mut Meter, now: Nanos) -> Result<(), Error> {
        let slack_ms = self.spend_within_ms + TRANSIT_MS;
        for block in self.store.reserved_units(&self.name).await? {
            let spent_by = block.at_ms.saturating_add(slack_ms).saturating_mul(MS);
            meter.restore(spent_by.min(now), block.units);
        }
        Ok(())
    }

    /// Takes units from the reserved block, or reserves a new one. Durable on
    /// return.
    pub(super) async fn draw(&self, units: u64) -> Result<(), Error> {
        let mut credit = self.credit.lock().await;
        let now_ms = now_ms();
        let clock_went_back = credit.spend_by_ms > now_ms.saturating_add(self.spend_within_ms);
        if credit.units < units || now_ms >= credit.spend_by_ms || clock_went_back {
            credit.units = 0;
            let block = Reserved {
                at_ms: now_ms,
                units: self.block.max(units),
            };
            let forget_before_ms = now_ms.saturating_sub(self.remember_ms);
            self.store
                .reserve_units(&self.name, block, forget_before_ms)
                .await?;
            *credit = Credit {
                units: block.units,
                spend_by_ms: now_ms + self.spend_within_ms,
            };
        }
        credit.units -= units;
        Ok(())
    }
}
