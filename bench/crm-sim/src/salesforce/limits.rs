//! The org's allocations: requests in 24 hours, and long requests at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::salesforce::config::Config;
use crate::salesforce::counters::Counters;
use crate::window::{Window, scaled};

const HOUR_MS: i64 = 3_600_000;
const SECOND: Duration = Duration::from_secs(1);

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Daily,
    Concurrent,
}

#[derive(Debug)]
pub(crate) struct Limits {
    daily_limit: u32,
    concurrent_limit: u32,
    long: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scale: Option<f64>,
    /// Requests by hour of the simulated clock.
    hours: BTreeMap<i64, u64>,
    /// When each request under way began.
    under_way: BTreeMap<u64, Instant>,
    serial: u64,
    seconds: Window,
    daily_refused: u64,
    concurrent_max: u64,
    concurrent_refused: u64,
}

/// A request under way; ends when dropped.
pub(crate) struct UnderWay<'a> {
    limits: &'a Limits,
    serial: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.limits.lock().under_way.remove(&self.serial);
    }
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Limits {
        Limits {
            daily_limit: config.daily_limit,
            concurrent_limit: config.concurrent_limit,
            long: Duration::from_millis(config.long_request_ms),
            state: Mutex::new(State {
                scale: config.limit_scale,
                ..State::default()
            }),
        }
    }

    pub(crate) fn set_scale(&self, scale: Option<f64>) {
        self.lock().scale = scale;
    }

    /// The factor on every limit.
    pub(crate) fn scale(&self) -> Option<f64> {
        self.lock().scale
    }

    /// Counts a request and admits or refuses it.
    pub(crate) fn admit(&self, now: Instant, now_ms: i64) -> Result<UnderWay<'_>, Refusal> {
        let mut state = self.lock();
        state.seconds.arrive(now, SECOND);
        let scale = state.scale;
        if state.used(now_ms) >= scaled(self.daily_limit, scale) {
            state.daily_refused += 1;
            return Err(Refusal::Daily);
        }
        let began = state.under_way.values();
        let long = began.filter(|began| now - **began >= self.long).count() as u64;
        state.concurrent_max = state.concurrent_max.max(long);
        if long >= scaled(self.concurrent_limit, scale) {
            state.concurrent_refused += 1;
            return Err(Refusal::Concurrent);
        }
        *state.hours.entry(now_ms.div_euclid(HOUR_MS)).or_default() += 1;
        state.serial += 1;
        let serial = state.serial;
        state.under_way.insert(serial, now);
        Ok(UnderWay {
            limits: self,
            serial,
        })
    }

    /// Requests of the last 24 hours, and how many there may be.
    pub(crate) fn usage(&self, now_ms: i64) -> (u64, u64) {
        let mut state = self.lock();
        let used = state.used(now_ms);
        (used, scaled(self.daily_limit, state.scale))
    }

    /// Uses up allocation, as if other apps of the org had called.
    pub(crate) fn spend(&self, requests: u64, now_ms: i64) {
        let mut state = self.lock();
        *state.hours.entry(now_ms.div_euclid(HOUR_MS)).or_default() += requests;
    }

    /// The counters that belong to the limits.
    pub(crate) fn observed(&self) -> Counters {
        let state = self.lock();
        Counters {
            daily_used: state.hours.values().sum(),
            daily_refused: state.daily_refused,
            concurrent_max: state.concurrent_max,
            concurrent_refused: state.concurrent_refused,
            second_max: state.seconds.arrived_max(),
            ..Counters::default()
        }
    }

    /// Forgets the observations, not what counts towards the limits.
    pub(crate) fn reset_observed(&self) {
        let mut state = self.lock();
        state.daily_refused = 0;
        state.concurrent_max = 0;
        state.concurrent_refused = 0;
        state.seconds.reset_observed();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn used(&mut self, now_ms: i64) -> u64 {
        let oldest = now_ms.div_euclid(HOUR_MS) - 23;
        self.hours = self.hours.split_off(&oldest);
        self.hours.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Limits, Refusal};
    use crate::salesforce::config::Config;

    #[test]
    fn the_day_is_the_last_24_hours() {
        let limits = Limits::new(&Config {
            daily_limit: 2,
            ..Config::default()
        });
        let now = Instant::now();
        let admit = |now_ms| limits.admit(now, now_ms).err();
        assert_eq!(admit(0), None);
        assert_eq!(admit(3_600_000), None);
        assert_eq!(admit(3_600_000), Some(Refusal::Daily));
        assert_eq!(admit(23 * 3_600_000), Some(Refusal::Daily));
        assert_eq!(admit(24 * 3_600_000), None);
        assert_eq!(limits.observed().daily_refused, 2);
    }

    #[test]
    fn only_long_requests_keep_others_out() {
        let limits = Limits::new(&Config {
            concurrent_limit: 2,
            ..Config::default()
        });
        let start = Instant::now();
        let held: Vec<_> = (0..5).filter_map(|_| limits.admit(start, 0).ok()).collect();
        assert_eq!(held.len(), 5);
        let later = start + Duration::from_secs(20);
        assert_eq!(limits.admit(later, 0).err(), Some(Refusal::Concurrent));
        drop(held);
        assert!(limits.admit(later, 0).is_ok());
        assert_eq!(limits.observed().concurrent_max, 5);
    }
}
