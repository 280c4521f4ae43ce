//! Waiting for a turn.

use super::{Group, Refused};
use std::sync::Arc;
use tidegate_domain::limit::{MS, SlotId, Ticket, Turn};
use tokio::sync::watch;
use tokio::time::Instant;

/// A place in the queue; dropping it leaves, or gives back what was admitted.
pub(super) struct Queued<'a> {
    pub(super) group: &'a Group,
    pub(super) ticket: Ticket,
    pub(super) turn: watch::Receiver<Turn>,
    pub(super) slots: Arc<[SlotId]>,
    pub(super) units: u64,
    /// The units are a permit's now.
    pub(super) taken: bool,
}

impl Queued<'_> {
    /// Waits for the turn.
    pub(super) async fn admitted(mut self, give_up: Instant) -> Result<(), Refused> {
        let clock = self.group.clock;
        let latest = clock.at(give_up);
        loop {
            let turn = *self.turn.borrow_and_update();
            let opens = match turn {
                Turn::Admitted => {
                    self.taken = true;
                    self.group.lock().waiting.remove(&self.ticket);
                    return Ok(());
                }
                Turn::Never => return Err(Refused::Never),
                Turn::Waiting(opens) => opens,
            };
            if let Some(opens) = opens.filter(|&opens| opens > latest) {
                return Err(Refused::Until(opens.div_ceil(MS)));
            }
            tokio::select! {
                changed = self.turn.changed() => {
                    changed.expect("the sender stays with the group until this leaves");
                }
                () = tokio::time::sleep_until(opens.map_or(give_up, |at| clock.instant(at))) => {
                    self.group.change(|_, _| ());
                    if opens.is_none() && !matches!(*self.turn.borrow(), Turn::Admitted) {
                        // Behind others, with no time known: as long again.
                        let again = clock.now().saturating_add(1000 * MS);
                        return Err(Refused::Until(again.div_ceil(MS)));
                    }
                }
            }
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.group.change(|state, _| {
            let left = state.admission.leave(self.ticket);
            let sender = state.waiting.remove(&self.ticket);
            let admitted = sender.is_some_and(|sender| *sender.borrow() == Turn::Admitted);
            if !left && admitted {
                state.admission.returned(&self.slots, self.units);
            }
        });
    }
}
