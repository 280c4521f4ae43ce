//! Waiting for a turn.

use super::Refused;
use super::group::Group;
use std::time::Duration;
use tidegate_domain::limit::{MS, Nanos, Request, Ticket, Turn};
use tokio::sync::watch;
use tokio::time::Instant;

/// How often those look who wait behind others: whoever is first may be slow to.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What became of a request, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) turn: Turn,
    pub(super) at: Nanos,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            turn: Turn::Waiting(None),
            at: 0,
        }
    }
}

/// A place in the queue; dropping it leaves, or gives back what was admitted.
pub(super) struct Queued<'a> {
    pub(super) group: &'a Group,
    pub(super) ticket: Ticket,
    pub(super) turn: watch::Receiver<Told>,
    pub(super) request: Request,
    /// The units are a permit's now.
    pub(super) taken: bool,
}

impl Queued<'_> {
    /// Waits for the turn. When the units were spent.
    pub(super) async fn admitted(mut self, give_up: Instant) -> Result<Nanos, Refused> {
        let clock = &self.group.clock;
        let latest = clock.at(give_up);
        loop {
            let told = *self.turn.borrow_and_update();
            let opens = match told.turn {
                Turn::Admitted => {
                    self.taken = true;
                    self.group.lock().taken(self.ticket);
                    return Ok(told.at);
                }
                Turn::Never => return Err(Refused::Never),
                Turn::Waiting(opens) => opens,
            };
            if let Some(opens) = opens.filter(|&opens| opens > latest) {
                return Err(Refused::Until(opens.div_ceil(MS)));
            }
            let look = opens.map_or_else(|| Instant::now() + LOOK_EVERY, |at| clock.instant(at));
            tokio::select! {
                changed = self.turn.changed() => {
                    changed.expect("the sender stays with the group until this leaves");
                }
                () = tokio::time::sleep_until(look.min(give_up)) => {
                    self.group.change(|_, _| ());
                    let late = Instant::now() >= give_up;
                    if late && self.turn.borrow().turn != Turn::Admitted {
                        return Err(Refused::Until(self.opens().div_ceil(MS)));
                    }
                }
            }
        }
    }

    /// When to ask again: when the first of the lane may go, or else in a while.
    fn opens(&self) -> Nanos {
        let now = self.group.clock.now().now;
        let first = self.group.lock().admission.opens(self.ticket);
        let later = now.saturating_add(1_000 * MS);
        first.filter(|opens| *opens > now).unwrap_or(later)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.group.change(|state, moment| {
            state.left(self.ticket, self.request.lane, self.request.units, moment);
        });
    }
}
