//! Rate limits, and the exact record of how close a client came to them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::hubspot::config::{Config, Plan};
use crate::window::{Window, scaled};

/// The window of the ordinary limit.
const TEN_SECONDS: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
/// Requests in ten seconds by one OAuth app in one account.
const OAUTH_TEN_SECONDLY: u32 = 110;
/// Searches in one second by one account.
const SEARCH_SECONDLY: u32 = 5;
/// The deprecated per-second figure that headers still carry.
const SECONDLY: u32 = 10;
const DAY_MS: i64 = 86_400_000;

/// Who a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum App {
    OAuth,
    Private,
}

/// Which bucket a request falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    /// The ten-second window of one app.
    Ordinary(App),
    /// The search second of the account.
    Search(App),
}

impl Bucket {
    fn app(self) -> App {
        match self {
            Bucket::Ordinary(app) | Bucket::Search(app) => app,
        }
    }

    /// Searches share one window whoever asks.
    fn key(self) -> Option<App> {
        match self {
            Bucket::Ordinary(app) => Some(app),
            Bucket::Search(_) => None,
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TenSecondly,
    Secondly,
    Daily,
}

/// What the rate headers of an answer say; absent parts are absent headers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    /// Max and remaining of the ten-second window.
    pub(crate) interval: Option<(u64, u64)>,
    /// Max and remaining of the current second.
    pub(crate) secondly: Option<(u64, u64)>,
    /// Max and remaining of the day.
    pub(crate) daily: Option<(u64, u64)>,
}

#[derive(Debug)]
pub(crate) struct Limits {
    plan: Plan,
    daily_limit: Option<u64>,
    grace: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scale: Option<f64>,
    windows: HashMap<Option<App>, Window>,
    day: i64,
    day_used: u64,
    during_retry_after: u64,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Limits {
        Limits {
            plan: config.plan,
            daily_limit: config.daily_limit,
            grace: Duration::from_millis(config.retry_after_grace_ms),
            state: Mutex::new(State {
                scale: config.limit_scale,
                ..State::default()
            }),
        }
    }

    pub(crate) fn set_scale(&self, scale: Option<f64>) {
        self.lock().scale = scale;
    }

    /// Counts an arrival and admits or refuses it.
    pub(crate) fn admit(
        &self,
        bucket: Bucket,
        now: Instant,
        now_ms: i64,
    ) -> (Allowance, Option<Refusal>) {
        let mut state = self.lock();
        let day = now_ms.div_euclid(DAY_MS);
        if state.day != day {
            state.day = day;
            state.day_used = 0;
        }
        let scale = state.scale;
        let (span, limit) = match bucket {
            Bucket::Ordinary(App::OAuth) => (TEN_SECONDS, OAUTH_TEN_SECONDLY),
            Bucket::Ordinary(App::Private) => (TEN_SECONDS, self.plan.ten_secondly()),
            Bucket::Search(_) => (SECOND, SEARCH_SECONDLY),
        };
        let limit = scaled(limit, scale);
        let window = state.windows.entry(bucket.key()).or_default();
        let held = window.arrive(now, span);
        let full = window.used() >= limit;
        let daily_max = self.daily_limit.unwrap_or(self.plan.daily());
        let private = bucket.app() == App::Private;
        let refusal = if full {
            Some(match bucket {
                Bucket::Ordinary(_) => Refusal::TenSecondly,
                Bucket::Search(_) => Refusal::Secondly,
            })
        } else if private && state.day_used >= daily_max {
            Some(Refusal::Daily)
        } else {
            None
        };
        let window = state.windows.entry(bucket.key()).or_default();
        if refusal.is_none() {
            window.admit(now);
        }
        let used = window.used();
        let this_second = window.used_within(now, SECOND);
        state.day_used += u64::from(private && refusal.is_none());
        state.during_retry_after += u64::from(held);
        let secondly = scaled(SECONDLY, scale);
        let ordinary = matches!(bucket, Bucket::Ordinary(_));
        let allowance = Allowance {
            interval: ordinary.then(|| (limit, limit.saturating_sub(used))),
            secondly: ordinary.then(|| (secondly, secondly.saturating_sub(this_second))),
            daily: private.then(|| (daily_max, daily_max.saturating_sub(state.day_used))),
        };
        (allowance, refusal)
    }

    /// Notes that an answer told the client to stay away.
    pub(crate) fn hold(&self, bucket: Bucket, now: Instant, retry_after: Duration) {
        let mut state = self.lock();
        let window = state.windows.entry(bucket.key()).or_default();
        window.hold(now + self.grace, now + retry_after);
    }

    /// Most arrivals of one app in ten seconds, most searches in a second, and
    /// arrivals during a hold.
    pub(crate) fn observed(&self) -> (u64, u64, u64) {
        let state = self.lock();
        let most = |search: bool| {
            let of = state.windows.iter();
            of.filter(|(key, _)| key.is_none() == search)
                .map(|(_, window)| window.arrived_max())
                .max()
                .unwrap_or(0)
        };
        (most(false), most(true), state.during_retry_after)
    }

    /// Forgets the observations, not what counts towards the limits.
    pub(crate) fn reset_observed(&self) {
        let mut state = self.lock();
        state.during_retry_after = 0;
        for window in state.windows.values_mut() {
            window.reset_observed();
        }
    }

    /// Requests of private apps today, and the day's limit.
    pub(crate) fn usage(&self) -> (u64, u64) {
        let max = self.daily_limit.unwrap_or(self.plan.daily());
        (self.lock().day_used, max)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{App, Bucket, Limits, Refusal};
    use crate::hubspot::config::Config;

    const OAUTH: Bucket = Bucket::Ordinary(App::OAuth);

    #[test]
    fn the_window_rolls_and_refuses_exactly_above_its_limit() {
        let limits = Limits::new(&Config::default());
        let start = Instant::now();
        for step in 0..110 {
            let (_, refusal) = limits.admit(OAUTH, start + Duration::from_millis(step), 0);
            assert_eq!(refusal, None, "{step}");
        }
        let late = start + Duration::from_millis(9_999);
        assert_eq!(limits.admit(OAUTH, late, 0).1, Some(Refusal::TenSecondly));
        let next = start + Duration::from_secs(10);
        assert_eq!(limits.admit(OAUTH, next, 0).1, None);
        assert_eq!(limits.admit(OAUTH, next, 0).1, Some(Refusal::TenSecondly));
        assert_eq!(limits.observed().0, 112);
    }

    #[test]
    fn searches_have_a_second_of_their_own_shared_by_all_apps() {
        let limits = Limits::new(&Config::default());
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(limits.admit(Bucket::Search(App::OAuth), now, 0).1, None);
        }
        for _ in 0..2 {
            assert_eq!(limits.admit(Bucket::Search(App::Private), now, 0).1, None);
        }
        let refused = limits.admit(Bucket::Search(App::OAuth), now, 0).1;
        assert_eq!(refused, Some(Refusal::Secondly));
        assert_eq!(limits.admit(OAUTH, now, 0).1, None);
    }

    #[test]
    fn arrivals_during_a_retry_after_are_counted_past_the_grace() {
        let limits = Limits::new(&Config::default());
        let start = Instant::now();
        limits.hold(OAUTH, start, Duration::from_secs(2));
        for after_ms in [10, 100, 1_999, 2_000] {
            limits.admit(OAUTH, start + Duration::from_millis(after_ms), 0);
        }
        assert_eq!(limits.observed().2, 2);
    }

    #[test]
    fn the_day_binds_private_apps_only_and_ends_at_midnight() {
        let config = Config {
            daily_limit: Some(1),
            ..Config::default()
        };
        let limits = Limits::new(&config);
        let now = Instant::now();
        let private = Bucket::Ordinary(App::Private);
        assert_eq!(limits.admit(private, now, 0).1, None);
        assert_eq!(limits.admit(private, now, 0).1, Some(Refusal::Daily));
        assert_eq!(limits.admit(OAUTH, now, 0).1, None);
        assert_eq!(limits.admit(private, now, 86_400_000).1, None);
    }
}
