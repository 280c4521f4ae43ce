//! Rate limits: windows of ten seconds at a constant phase, per app and for the
//! whole workspace, and the record of how close a client came to them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::intercom::config::Config;
use crate::window::scaled;

const WINDOW_MS: i64 = 10_000;
/// Windows in a minute, over which a minute's limit is spread.
const WINDOWS_PER_MINUTE: u32 = 6;
/// The announced reset lies this long after the window's end: so it stands in every
/// recording, while the count starts anew at the end itself.
const RESET_LATE_S: i64 = 2;
/// How long after a refusal was sent a request may still have been under way.
const GRACE_MS: i64 = 50;

/// Who a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum App {
    OAuth,
    /// The workspace's own app, with its access token.
    Private,
}

/// What the rate headers of an answer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) limit: u64,
    /// Requests left before this one was counted: the first of a window sees the
    /// whole limit.
    pub(crate) remaining: u64,
    /// Seconds since the epoch.
    pub(crate) reset_s: i64,
}

#[derive(Debug)]
pub(crate) struct Limits {
    app_per_minute: u32,
    workspace_per_minute: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    scale: Option<f64>,
    /// The workspace's own window has no app.
    windows: HashMap<Option<App>, Window>,
    after_refusal: u64,
}

#[derive(Debug, Default)]
struct Window {
    number: i64,
    admitted: u64,
    arrived: u64,
    arrived_max: u64,
    refused_ms: Option<i64>,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Limits {
        Limits {
            app_per_minute: config.calls_per_minute,
            workspace_per_minute: config.workspace_calls_per_minute,
            state: Mutex::new(State {
                scale: config.limit_scale,
                windows: HashMap::new(),
                after_refusal: 0,
            }),
        }
    }

    pub(crate) fn set_scale(&self, scale: Option<f64>) {
        self.lock().scale = scale;
    }

    /// Counts an arrival; the second part says whether it is let through.
    pub(crate) fn admit(&self, app: App, now_ms: i64) -> (Allowance, bool) {
        let mut state = self.lock();
        let scale = state.scale;
        let number = now_ms.div_euclid(WINDOW_MS);
        let workspace_limit = scaled(sliced(self.workspace_per_minute), scale);
        let limit = scaled(sliced(self.app_per_minute), scale);
        let workspace = state.window(None, number).admitted;
        let window = state.window(Some(app), number);
        window.arrived += 1;
        window.arrived_max = window.arrived_max.max(window.arrived);
        let remaining = limit
            .saturating_sub(window.admitted)
            .min(workspace_limit.saturating_sub(workspace));
        let admitted = remaining > 0;
        let late = window.refused_ms.is_some_and(|at| now_ms > at + GRACE_MS);
        if admitted {
            window.admitted += 1;
        } else {
            window.refused_ms.get_or_insert(now_ms);
        }
        state.after_refusal += u64::from(late);
        state.window(None, number).admitted += u64::from(admitted);
        let allowance = Allowance {
            limit,
            remaining,
            reset_s: (number + 1) * WINDOW_MS / 1000 + RESET_LATE_S,
        };
        (allowance, admitted)
    }

    /// Most arrivals of one app in a window, and arrivals after a refusal in theirs.
    pub(crate) fn observed(&self) -> (u64, u64) {
        let state = self.lock();
        let windows = state.windows.values();
        let most = windows.map(|window| window.arrived_max).max().unwrap_or(0);
        (most, state.after_refusal)
    }

    /// Forgets the observations, not what counts towards the limits.
    pub(crate) fn reset_observed(&self) {
        let mut state = self.lock();
        state.after_refusal = 0;
        for window in state.windows.values_mut() {
            window.arrived = 0;
            window.arrived_max = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The window of this number, begun anew when the last one was another.
    fn window(&mut self, app: Option<App>, number: i64) -> &mut Window {
        let window = self.windows.entry(app).or_default();
        if window.number != number {
            *window = Window {
                number,
                arrived_max: window.arrived_max,
                ..Window::default()
            };
        }
        window
    }
}

/// A minute's limit as one window has it: 1,000 a minute are 167 in ten seconds.
fn sliced(per_minute: u32) -> u32 {
    (per_minute + WINDOWS_PER_MINUTE / 2) / WINDOWS_PER_MINUTE
}

#[cfg(test)]
mod tests {
    use super::{Allowance, App, Limits};
    use crate::intercom::config::Config;

    /// The first second of a window.
    const START_MS: i64 = 1_617_225_880_000;

    fn limits(calls_per_minute: u32) -> Limits {
        Limits::new(&Config {
            calls_per_minute,
            ..Config::default()
        })
    }

    #[test]
    fn a_window_counts_down_from_its_limit_and_refuses_what_lies_beyond() {
        let limits = limits(1000);
        for taken in 0..167 {
            let (allowance, admitted) = limits.admit(App::OAuth, START_MS + 9_999);
            let expected = Allowance {
                limit: 167,
                remaining: 167 - taken,
                reset_s: 1_617_225_892,
            };
            assert_eq!((allowance, admitted), (expected, true));
        }
        let (allowance, admitted) = limits.admit(App::OAuth, START_MS + 9_999);
        assert!(!admitted && allowance.remaining == 0);
        let (allowance, admitted) = limits.admit(App::OAuth, START_MS + 10_000);
        assert!(admitted);
        assert_eq!(
            (allowance.remaining, allowance.reset_s),
            (167, 1_617_225_902)
        );
        assert_eq!(limits.observed(), (168, 0));
    }

    #[test]
    fn windows_are_fixed_so_twice_the_limit_fits_around_a_border() {
        let limits = limits(60);
        let around = [9_999, 10_000].map(|at_ms| {
            let admitted = (0..20).filter(|_| limits.admit(App::OAuth, START_MS + at_ms).1);
            admitted.count()
        });
        assert_eq!(around, [10, 10]);
    }

    #[test]
    fn apps_have_windows_of_their_own_under_that_of_the_workspace() {
        let limits = Limits::new(&Config {
            calls_per_minute: 60,
            workspace_calls_per_minute: 90,
            ..Config::default()
        });
        let admitted = |app| (0..20).filter(|_| limits.admit(app, START_MS).1).count();
        assert_eq!((admitted(App::OAuth), admitted(App::Private)), (10, 5));
    }

    #[test]
    fn who_goes_on_after_a_refusal_is_counted_past_the_grace() {
        let limits = limits(6);
        for at_ms in [0, 10, 20, 500, 10_000] {
            limits.admit(App::OAuth, START_MS + at_ms);
        }
        assert_eq!(limits.observed().1, 1);
    }
}
