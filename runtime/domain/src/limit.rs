//! The arithmetic of limits: may these units be spent now, and if not, when.
//!
//! Time is an argument: nanoseconds on a clock that never goes back and started at
//! the Unix epoch. A provider counts a request when it arrives, which is some time
//! between its admission and its answer. So a unit occupies its window from its
//! admission until one window after its *answer*: then no window of the provider
//! holds more than the capacity, whatever the network does to the spacing.

mod admission;
mod brake;
mod calendar;
mod concurrent;
mod pace;
mod share;
mod window;

pub use admission::{
    AccountId, Admission, Full, LaneId, Request, SlotId, Ticket, Turn, WAITING_MAX,
};
pub use calendar::Calendar;
pub use concurrent::Concurrent;
pub use pace::Pace;
pub use window::Window;

use crate::job::Class;
use crate::manifest::{Limit, LimitRule};

/// Nanoseconds since the epoch, on a clock that never goes back.
pub type Nanos = u64;

/// Nanoseconds in a millisecond.
pub const MS: Nanos = 1_000_000;

/// A moment on both clocks: one never goes back, one may be set at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the clock that never goes back.
    pub now: Nanos,
    /// How far the system's clock is behind it. Calendars go by the later midnight: a
    /// clock that is set forward opens no budget early.
    pub behind: Nanos,
}

impl Moment {
    /// A moment at which both clocks agree.
    pub fn at(now: Nanos) -> Moment {
        Moment { now, behind: 0 }
    }

    pub(crate) fn calendar(self) -> Nanos {
        self.now.saturating_sub(self.behind)
    }
}

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

/// What cannot be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit {limit} {reason}")]
pub struct Unsupported {
    /// The limit, as its buckets name it.
    pub limit: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// How full a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Units that may be spent in all.
    pub capacity: u64,
    /// Units that are spent, by us and, where the provider says so, by others.
    pub used: u64,
}

impl Gauge {
    /// Units that are left.
    pub fn remaining(self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    /// The share of the limit that is used up, from 0 to 1.
    pub fn utilization(self) -> f64 {
        (self.used as f64 / self.capacity.max(1) as f64).min(1.0)
    }
}

/// Units that a request spent, and when it was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// How many.
    pub units: u64,
    /// When they were spent.
    pub at: Nanos,
}

/// Counts one limit.
#[derive(Clone, Debug)]
pub enum Meter {
    /// Smoothed.
    Pace(Pace),
    /// Rolling.
    Window(Window),
    /// Per calendar day or month. Boxed: it is the largest, and rare.
    Calendar(Box<Calendar>),
    /// Requests in flight.
    Concurrent(Concurrent),
}

impl Meter {
    /// A meter for the limit, with `scale` times its capacity.
    ///
    /// Fixed slices are counted as a rolling window of the same length: that keeps
    /// within every alignment of the slices, so the provider's need not be known.
    ///
    /// # Errors
    /// [`Unsupported`] where the numbers or the time zone cannot be served.
    pub fn new(limit: &Limit, scale: f64, moment: Moment) -> Result<Self, Unsupported> {
        let refuse = |reason| {
            let limit = limit.buckets.join("+");
            Err(Unsupported { limit, reason })
        };
        if limit.capacity == 0 {
            return refuse("has no capacity");
        }
        let capacity = times(u64::from(limit.capacity), scale);
        let per = limit.per_ms.saturating_mul(MS);
        let windowed = !matches!(
            limit.rule,
            LimitRule::Calendar { .. } | LimitRule::Concurrent
        );
        if windowed && per == 0 {
            return refuse("has no length");
        }
        Ok(match &limit.rule {
            LimitRule::Paced(0) => return refuse("has no burst"),
            LimitRule::Paced(burst) => {
                let burst = times(u64::from(*burst), scale);
                Meter::Pace(Pace::new(capacity, per, burst, moment.now))
            }
            LimitRule::Rolling | LimitRule::Fixed => Meter::Window(Window::new(capacity, per)),
            LimitRule::Calendar { period, zone } => match calendar::zone(zone.as_deref()) {
                Some(zone) => {
                    Meter::Calendar(Box::new(Calendar::new(*period, zone, capacity, moment)))
                }
                None => return refuse("resets in a time zone that does not exist"),
            },
            LimitRule::Concurrent => Meter::Concurrent(Concurrent::new(capacity)),
        })
    }

    /// Uses this part of the capacity from now on: 1 is all of it.
    pub fn set_ratio(&mut self, ratio: f64) {
        match self {
            Meter::Pace(pace) => pace.set_ratio(ratio),
            Meter::Window(window) => window.set_ratio(ratio),
            Meter::Calendar(calendar) => calendar.set_ratio(ratio),
            Meter::Concurrent(one) => one.set_ratio(ratio),
        }
    }

    /// Whether work of the class can spend the units now. Spends nothing, so that
    /// several limits can be asked before any is charged.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&mut self, moment: Moment, units: u64, class: Class) -> Result<(), Wait> {
        match self {
            Meter::Pace(pace) => pace.check(moment.now, units),
            Meter::Window(window) => window.check(moment.now, units),
            Meter::Calendar(calendar) => calendar.check(moment, units, class),
            Meter::Concurrent(one) => one.check(moment.now),
        }
    }

    /// Spends the units, after [`Meter::check`] at the same time.
    pub fn commit(&mut self, moment: Moment, units: u64) {
        match self {
            Meter::Pace(pace) => pace.commit(moment.now, units),
            Meter::Window(window) => window.commit(units),
            Meter::Calendar(calendar) => calendar.commit(units),
            Meter::Concurrent(one) => one.commit(),
        }
    }

    /// The answer came, or will never come: the provider has counted by now. It took
    /// `actual` units where others were reserved.
    pub fn answered(&mut self, moment: Moment, reserved: Spent, actual: u64) {
        match self {
            Meter::Pace(pace) => pace.answered(moment.now, reserved, actual),
            Meter::Window(window) => window.answered(moment.now, reserved.units, actual),
            Meter::Calendar(calendar) => calendar.answered(reserved.units, actual),
            Meter::Concurrent(_) => {}
        }
    }

    /// The exchange is over to the last byte.
    pub fn finished(&mut self) {
        if let Meter::Concurrent(one) = self {
            one.finished();
        }
    }

    /// Nobody waits for the answer any more, but the provider may work on the request
    /// until then.
    pub fn abandoned(&mut self, until: Nanos) {
        if let Meter::Concurrent(one) = self {
            one.abandoned(until);
        }
    }

    /// Nothing was sent: takes the units back.
    pub fn returned(&mut self, moment: Moment, spent: Spent) {
        match self {
            Meter::Pace(pace) => pace.answered(moment.now, spent, 0),
            Meter::Window(window) => window.returned(spent.units),
            Meter::Calendar(calendar) => calendar.returned(spent.units),
            Meter::Concurrent(one) => one.finished(),
        }
    }

    /// The provider says what is left. Only ever lowers.
    pub fn learn(&mut self, moment: Moment, remaining: u64) {
        match self {
            Meter::Pace(pace) => pace.learn(moment.now, remaining),
            Meter::Window(window) => window.learn(moment.now, remaining),
            Meter::Calendar(calendar) => calendar.learn(moment, remaining),
            Meter::Concurrent(_) => {}
        }
    }

    /// The provider refused: half as fast, and slowly faster again. A calendar's
    /// budget is spent at any speed.
    pub fn slow_down(&mut self, now: Nanos) {
        match self {
            Meter::Pace(pace) => pace.brake.pull(now),
            Meter::Window(window) => window.brake.pull(now),
            Meter::Concurrent(one) => one.slow_down(now),
            Meter::Calendar(_) => {}
        }
    }

    /// Units that an earlier process spent, `until` at the latest; of requests in flight,
    /// until when the provider may work on them. Oldest first.
    pub fn restore(&mut self, until: Nanos, units: u64) {
        match self {
            Meter::Window(window) => window.restore(until, units),
            Meter::Calendar(calendar) => calendar.restore(until, units),
            Meter::Concurrent(one) => one.restore(until, units),
            Meter::Pace(_) => {}
        }
    }

    /// Whether a new meter would allow no more than this one.
    pub fn is_recovered(&mut self, moment: Moment) -> bool {
        match self {
            Meter::Pace(pace) => pace.is_recovered(moment.now),
            Meter::Window(window) => window.is_recovered(moment.now),
            Meter::Calendar(calendar) => calendar.is_recovered(moment),
            Meter::Concurrent(one) => one.is_recovered(moment.now),
        }
    }

    /// How full it is.
    pub fn gauge(&mut self, moment: Moment) -> Gauge {
        let (capacity, used) = match self {
            Meter::Pace(pace) => pace.gauge(moment.now),
            Meter::Window(window) => window.gauge(moment.now),
            Meter::Calendar(calendar) => calendar.gauge(moment),
            Meter::Concurrent(one) => one.gauge(moment.now),
        };
        Gauge { capacity, used }
    }
}

/// At least one unit; a limit scaled past all numbers is as good as none.
fn times(capacity: u64, ratio: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the cast saturates, which is what is wanted; capacities are far below 2^52"
    )]
    let scaled = (capacity as f64 * ratio) as u64;
    scaled.clamp(1, u64::from(u32::MAX) << 8)
}

#[cfg(test)]
mod tests;
