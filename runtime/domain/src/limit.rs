//! The arithmetic of limits: may these units be spent now, and if not, when.
//!
//! Time is an argument: nanoseconds on a clock that never goes back and started at
//! the Unix epoch. A provider counts a request when it arrives, which is some time
//! between its admission and its answer. So a unit occupies its window from its
//! admission until one window after its *answer*: then no window of the provider
//! holds more than the capacity, whatever the network does to the spacing.

mod admission;
mod calendar;
mod pace;
mod window;

pub use admission::{Admission, SlotId, Ticket, Turn};
pub use calendar::Calendar;
pub use pace::Pace;
pub use window::Window;

use crate::manifest::{Limit, LimitRule};

/// Nanoseconds since the epoch, on a clock that never goes back.
pub type Nanos = u64;

/// Nanoseconds in a millisecond.
pub const MS: Nanos = 1_000_000;

/// Why units cannot be spent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not before this time; ask again then.
    Until(Nanos),
    /// Not before something in flight is answered.
    Answer,
    /// Never: the limit is smaller than that.
    Never,
}

/// What this build cannot count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit {limit} {reason}")]
pub struct Unsupported {
    /// The limit, as its buckets name it.
    pub limit: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// Counts one limit.
#[derive(Clone, Debug)]
pub enum Meter {
    /// Smoothed.
    Pace(Pace),
    /// Rolling.
    Window(Window),
    /// Per calendar day or month.
    Calendar(Calendar),
    /// Requests in flight.
    Concurrent {
        /// How many may be.
        capacity: u64,
        /// How many are.
        in_flight: u64,
    },
}

impl Meter {
    /// A meter for the limit, with `scale` times its capacity.
    ///
    /// Fixed slices are counted as a rolling window of the same length: that keeps
    /// within every alignment of the slices, so the provider's need not be known.
    ///
    /// # Errors
    /// [`Unsupported`] where the numbers or the time zone cannot be served.
    pub fn new(limit: &Limit, scale: f64, now: Nanos) -> Result<Self, Unsupported> {
        let refuse = |reason| {
            let limit = limit.buckets.join("+");
            Err(Unsupported { limit, reason })
        };
        if limit.capacity == 0 {
            return refuse("has no capacity");
        }
        let capacity = scaled(limit.capacity, scale);
        let per = limit.per_ms.saturating_mul(MS);
        let windowed = !matches!(
            limit.rule,
            LimitRule::Calendar { .. } | LimitRule::Concurrent
        );
        if windowed && per == 0 {
            return refuse("has no length");
        }
        match &limit.rule {
            LimitRule::Paced(0) => refuse("has no burst"),
            LimitRule::Paced(burst) => {
                let burst = scaled(*burst, scale);
                Ok(Meter::Pace(Pace::new(capacity, per, burst, now)))
            }
            LimitRule::Rolling | LimitRule::Fixed => Ok(Meter::Window(Window::new(capacity, per))),
            LimitRule::Calendar { period, zone } => match zone.as_deref() {
                None | Some("UTC" | "Etc/UTC") => {
                    Ok(Meter::Calendar(Calendar::new(*period, capacity, now)))
                }
                Some(_) => refuse("resets in a time zone other than UTC, which is not supported"),
            },
            LimitRule::Concurrent => Ok(Meter::Concurrent {
                capacity,
                in_flight: 0,
            }),
        }
    }

    /// Whether the units can be spent now. Spends nothing, so that several limits
    /// can be asked before any is charged.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&mut self, now: Nanos, units: u64) -> Result<(), Wait> {
        match self {
            Meter::Pace(pace) => pace.check(now, units),
            Meter::Window(window) => window.check(now, units),
            Meter::Calendar(calendar) => calendar.check(now, units),
            Meter::Concurrent {
                capacity,
                in_flight,
            } if *in_flight < *capacity => Ok(()),
            Meter::Concurrent { .. } => Err(Wait::Answer),
        }
    }

    /// Spends the units, after [`Meter::check`] at the same time.
    pub fn commit(&mut self, now: Nanos, units: u64) {
        match self {
            Meter::Pace(pace) => pace.commit(now, units),
            Meter::Window(window) => window.commit(units),
            Meter::Calendar(calendar) => calendar.commit(units),
            Meter::Concurrent { in_flight, .. } => *in_flight += 1,
        }
    }

    /// The share of the limit that is used up, from 0 to 1; as of the last
    /// [`Meter::check`] where what is spent comes back with time.
    pub fn utilization(&self, now: Nanos) -> f64 {
        let (used, capacity) = match self {
            Meter::Pace(pace) => pace.used(now),
            Meter::Window(window) => window.used_of(),
            Meter::Calendar(calendar) => calendar.used_of(),
            Meter::Concurrent {
                capacity,
                in_flight,
            } => (*in_flight, *capacity),
        };
        (used as f64 / capacity.max(1) as f64).min(1.0)
    }

    /// The answer came, or will never come: the provider has counted by now.
    pub fn answered(&mut self, now: Nanos, units: u64) {
        match self {
            Meter::Window(window) => window.answered(now, units),
            Meter::Calendar(calendar) => calendar.answered(units),
            Meter::Pace(_) | Meter::Concurrent { .. } => {}
        }
    }

    /// The exchange is over to the last byte.
    pub fn finished(&mut self) {
        if let Meter::Concurrent { in_flight, .. } = self {
            *in_flight = in_flight.saturating_sub(1);
        }
    }

    /// Nothing was sent: takes the units back.
    pub fn returned(&mut self, units: u64) {
        match self {
            Meter::Pace(pace) => pace.returned(units),
            Meter::Window(window) => window.returned(units),
            Meter::Calendar(calendar) => calendar.returned(units),
            Meter::Concurrent { .. } => self.finished(),
        }
    }

    /// The provider says what is left. Only ever lowers.
    pub fn learn(&mut self, now: Nanos, remaining: u64) {
        match self {
            Meter::Pace(pace) => pace.learn(now, remaining),
            Meter::Window(window) => window.learn(now, remaining),
            Meter::Calendar(calendar) => calendar.learn(now, remaining),
            Meter::Concurrent { .. } => {}
        }
    }

    /// Units that an earlier process spent, `spent_by` at the latest; oldest first.
    pub fn restore(&mut self, spent_by: Nanos, units: u64) {
        match self {
            Meter::Window(window) => window.restore(spent_by, units),
            Meter::Calendar(calendar) => calendar.restore(spent_by, units),
            Meter::Pace(_) | Meter::Concurrent { .. } => {}
        }
    }
}

/// At least one unit; a limit scaled past all numbers is as good as none.
fn scaled(capacity: u32, scale: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    let scaled = (f64::from(capacity) * scale) as u64;
    scaled.clamp(1, u64::from(u32::MAX) << 8)
}

#[cfg(test)]
mod tests;
