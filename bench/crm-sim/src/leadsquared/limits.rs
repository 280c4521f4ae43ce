//! Rate limits: rolling windows of five seconds, and a day.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::leadsquared::config::Config;
use crate::leadsquared::problem::Problem;
use crate::window::{Window, scaled};

const SPAN: Duration = Duration::from_secs(5);
const DAY_MS: i64 = 86_400_000;

#[derive(Debug)]
pub(crate) struct Limits {
    calls: u32,
    bulk_calls: u32,
    daily_calls: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scale: Option<f64>,
    all: Window,
    bulk: Window,
    day: i64,
    today: u64,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Limits {
        Limits {
            calls: config.calls,
            bulk_calls: config.bulk_calls,
            daily_calls: config.daily_calls,
            state: Mutex::new(State {
                scale: config.limit_scale,
                ..State::default()
            }),
        }
    }

    pub(crate) fn set_scale(&self, scale: Option<f64>) {
        self.lock().scale = scale;
    }

    /// Counts an arrival and refuses it where a window or the day is full.
    pub(crate) fn admit(&self, bulk: bool, now: Instant, now_ms: i64) -> Result<(), Problem> {
        let mut state = self.lock();
        let day = now_ms.div_euclid(DAY_MS);
        if state.day != day {
            state.day = day;
            state.today = 0;
        }
        let scale = state.scale;
        state.all.arrive(now, SPAN);
        let mut full = (state.all.used() >= scaled(self.calls, scale)).then_some(self.calls);
        if bulk {
            state.bulk.arrive(now, SPAN);
            if state.bulk.used() >= scaled(self.bulk_calls, scale) {
                full = Some(self.bulk_calls);
            }
        }
        if let Some(limit) = full {
            return Err(Problem::rate_limited(scaled(limit, scale)));
        }
        if state.today >= scaled(self.daily_calls, scale) {
            return Err(Problem::day_over());
        }
        state.today += 1;
        state.all.admit(now);
        if bulk {
            state.bulk.admit(now);
        }
        Ok(())
    }

    /// Most arrivals in five seconds, of all calls and of bulk calls, and calls today.
    pub(crate) fn observed(&self) -> (u64, u64, u64) {
        let state = self.lock();
        (
            state.all.arrived_max(),
            state.bulk.arrived_max(),
            state.today,
        )
    }

    /// Forgets the observations, not what counts towards the limits.
    pub(crate) fn reset_observed(&self) {
        let mut state = self.lock();
        state.all.reset_observed();
        state.bulk.reset_observed();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Limits;
    use crate::leadsquared::config::Config;

    #[test]
    fn the_window_rolls_and_bulk_calls_have_a_smaller_one_within() {
        let limits = Limits::new(&Config::default());
        let start = Instant::now();
        let admitted = |bulk, at, tries: u32| {
            (0..tries)
                .filter(|_| limits.admit(bulk, start + at, 0).is_ok())
                .count()
        };
        assert_eq!(admitted(true, Duration::ZERO, 8), 5);
        assert_eq!(admitted(false, Duration::from_secs(4), 30), 20);
        assert_eq!(admitted(false, Duration::from_millis(4_999), 1), 0);
        assert_eq!(
            admitted(false, Duration::from_secs(5), 9),
            5,
            "only the first five left"
        );
        assert_eq!(limits.observed(), (40, 8, 30));
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let limits = Limits::new(&Config {
            daily_calls: 1,
            ..Config::default()
        });
        let now = Instant::now();
        assert!(limits.admit(false, now, 0).is_ok());
        assert!(limits.admit(false, now, 86_399_999).is_err());
        assert!(limits.admit(false, now, 86_400_000).is_ok());
    }
}
