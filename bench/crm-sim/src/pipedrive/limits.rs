//! The burst windows, the company's daily budget, and the edge that bars whoever does
//! not listen.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pipedrive::config::Config;
use crate::window::{UNLIMITED, Window, scaled};

/// The window of every burst limit.
const BURST: Duration = Duration::from_secs(2);
/// Searches in two seconds, whoever asks.
const SEARCHES: u32 = 10;
/// An OAuth app may send this many times as many requests as an API token.
const OAUTH_FACTOR: u32 = 4;
/// A client that pauses for this long has listened.
const PAUSE: Duration = Duration::from_secs(10);
/// Writes with an API token in a day under the rules of old, which a header still counts.
const WRITES_DAILY: u64 = 10_000;
const DAY_MS: i64 = 86_400_000;

/// Who a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    ApiToken,
    OAuth,
}

/// What one request asks of the limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) client: Client,
    pub(crate) search: bool,
    /// Units of the daily budget.
    pub(crate) cost: u64,
    /// Whether the header of old counts it.
    pub(crate) write: bool,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Burst,
    Daily,
    /// The edge answers in the API's stead.
    Barred,
}

/// What the rate headers of an answer say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    pub(crate) burst: Option<(u64, u64)>,
    pub(crate) daily: Option<(u64, u64)>,
    /// Only after a write with an API token.
    pub(crate) writes_left: Option<u64>,
}

/// How close the client came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) burst_max: u64,
    pub(crate) search_max: u64,
    pub(crate) tokens_spent: u64,
    pub(crate) barred: u64,
    pub(crate) during_retry_after: u64,
}

#[derive(Debug)]
pub(crate) struct Limits {
    burst: u32,
    budget: u64,
    bars_after: Option<u32>,
    bars_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scale: Option<f64>,
    /// By client, and one for all searches.
    windows: HashMap<Option<Client>, Window>,
    day: i64,
    spent: u64,
    writes: u64,
    tokens_spent: u64,
    /// Refused in a row.
    refused: u32,
    last: Option<Instant>,
    barred_until: Option<Instant>,
    barred: u64,
    during_retry_after: u64,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Limits {
        Limits {
            burst: config.plan.burst(),
            budget: config.daily_budget(),
            bars_after: config.edge_bars_after,
            bars_for: Duration::from_secs(u64::from(config.edge_bars_s)),
            state: Mutex::new(State {
                scale: config.limit_scale,
                ..State::default()
            }),
        }
    }

    pub(crate) fn set_scale(&self, scale: Option<f64>) {
        self.lock().scale = scale;
    }

    /// Counts an arrival and admits or refuses it. The burst follows real time, the day
    /// the simulated clock.
    pub(crate) fn admit(
        &self,
        demand: Demand,
        now: Instant,
        now_ms: i64,
    ) -> (Allowance, Option<Refusal>) {
        let mut state = self.lock();
        let day = now_ms.div_euclid(DAY_MS);
        if state.day != day {
            state.day = day;
            state.spent = 0;
            state.writes = 0;
        }
        let limit = match demand.client {
            Client::ApiToken => self.burst,
            Client::OAuth => self.burst * OAUTH_FACTOR,
        };
        let limit = scaled(limit, state.scale);
        let searches = scaled(SEARCHES, state.scale);
        let held = state.window(Some(demand.client)).arrive(now, BURST);
        state.during_retry_after += u64::from(held);
        let mut full = state.window(Some(demand.client)).used() >= limit;
        if demand.search {
            state.window(None).arrive(now, BURST);
            full |= state.window(None).used() >= searches;
        }
        let refusal = if self.bars(&mut state, now) {
            state.barred += 1;
            Some(Refusal::Barred)
        } else if full {
            Some(Refusal::Burst)
        } else if state.limited() && state.spent + demand.cost > self.budget {
            Some(Refusal::Daily)
        } else {
            None
        };
        if refusal.is_some() {
            state.refused += 1;
        } else {
            state.refused = 0;
            state.window(Some(demand.client)).admit(now);
            if demand.search {
                state.window(None).admit(now);
            }
            state.spent += demand.cost;
            state.tokens_spent += demand.cost;
            state.writes += u64::from(demand.write && demand.client == Client::ApiToken);
        }
        (self.allowance(&mut state, demand, limit, searches), refusal)
    }

    fn allowance(&self, state: &mut State, demand: Demand, limit: u64, searches: u64) -> Allowance {
        let mut burst = (
            limit,
            limit.saturating_sub(state.window(Some(demand.client)).used()),
        );
        if demand.search {
            let left = searches.saturating_sub(state.window(None).used());
            burst.1 = burst.1.min(left);
        }
        let budget = if state.limited() {
            self.budget
        } else {
            UNLIMITED
        };
        let counted = demand.write && demand.client == Client::ApiToken;
        Allowance {
            burst: Some(burst),
            daily: Some((budget, budget.saturating_sub(state.spent))),
            writes_left: counted.then(|| WRITES_DAILY.saturating_sub(state.writes)),
        }
    }

    /// Whether the edge bars the client now; it starts to when too many requests were
    /// refused one after another.
    fn bars(&self, state: &mut State, now: Instant) -> bool {
        if state.last.is_some_and(|last| now - last >= PAUSE) {
            state.refused = 0;
        }
        state.last = Some(now);
        if state.barred_until.is_some_and(|until| now < until) {
            return true;
        }
        if state.barred_until.take().is_some() {
            state.refused = 0;
        }
        let bars = self.bars_after.is_some_and(|after| state.refused >= after);
        if bars {
            state.barred_until = Some(now + self.bars_for);
        }
        bars
    }

    /// Notes that an answer told the client to stay away.
    pub(crate) fn hold(&self, client: Client, now: Instant, retry_after: Duration) {
        let grace = Duration::from_millis(50);
        let mut state = self.lock();
        state
            .window(Some(client))
            .hold(now + grace, now + retry_after);
    }

    /// Leaves this many units of today's budget.
    pub(crate) fn leave(&self, units: u64, now_ms: i64) {
        let mut state = self.lock();
        state.day = now_ms.div_euclid(DAY_MS);
        state.spent = self.budget.saturating_sub(units);
    }

    pub(crate) fn observed(&self) -> Observed {
        let state = self.lock();
        let most = |search: bool| {
            let of = state.windows.iter();
            of.filter(|(key, _)| key.is_none() == search)
                .map(|(_, window)| window.arrived_max())
                .max()
                .unwrap_or(0)
        };
        Observed {
            burst_max: most(false),
            search_max: most(true),
            tokens_spent: state.tokens_spent,
            barred: state.barred,
            during_retry_after: state.during_retry_after,
        }
    }

    /// Forgets the observations, not what counts towards the limits.
    pub(crate) fn reset_observed(&self) {
        let mut state = self.lock();
        state.tokens_spent = 0;
        state.barred = 0;
        state.during_retry_after = 0;
        for window in state.windows.values_mut() {
            window.reset_observed();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn window(&mut self, of: Option<Client>) -> &mut Window {
        self.windows.entry(of).or_default()
    }

    fn limited(&self) -> bool {
        self.scale.is_some_and(f64::is_finite)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Client, Demand, Limits, Refusal};
    use crate::pipedrive::config::Config;

    const READ: Demand = Demand {
        client: Client::ApiToken,
        search: false,
        cost: 2,
        write: false,
    };

    #[test]
    fn the_window_of_two_seconds_rolls_and_an_oauth_app_has_four_times_as_much() {
        let limits = Limits::new(&Config::default());
        let start = Instant::now();
        for step in 0..20 {
            let at = start + Duration::from_millis(step);
            assert_eq!(limits.admit(READ, at, 0).1, None, "{step}");
        }
        let late = start + Duration::from_millis(1_999);
        assert_eq!(limits.admit(READ, late, 0).1, Some(Refusal::Burst));
        let next = start + Duration::from_secs(2);
        assert_eq!(limits.admit(READ, next, 0).1, None);
        let oauth = Demand {
            client: Client::OAuth,
            ..READ
        };
        for _ in 0..80 {
            assert_eq!(limits.admit(oauth, start, 0).1, None);
        }
        assert_eq!(limits.admit(oauth, start, 0).1, Some(Refusal::Burst));
        assert_eq!(limits.observed().burst_max, 81);
    }

    #[test]
    fn searches_have_a_narrower_window_of_their_own_whoever_asks() {
        let limits = Limits::new(&Config::default());
        let now = Instant::now();
        for step in 0..11 {
            let search = Demand {
                client: if step % 2 == 0 {
                    Client::OAuth
                } else {
                    Client::ApiToken
                },
                search: true,
                ..READ
            };
            let refused = limits.admit(search, now, 0).1;
            assert_eq!(refused, (step == 10).then_some(Refusal::Burst), "{step}");
        }
        assert_eq!(limits.admit(READ, now, 0).1, None);
        assert_eq!(limits.observed().search_max, 11);
    }

    #[test]
    fn the_budget_is_the_companys_and_ends_at_midnight() {
        let limits = Limits::new(&Config {
            daily_tokens: Some(5),
            ..Config::default()
        });
        let now = Instant::now();
        assert_eq!(limits.admit(READ, now, 0).1, None);
        let oauth = Demand {
            client: Client::OAuth,
            ..READ
        };
        assert_eq!(limits.admit(oauth, now, 0).1, None);
        assert_eq!(limits.admit(READ, now, 0).1, Some(Refusal::Daily));
        assert_eq!(limits.admit(READ, now, 86_400_000).1, None);
    }

    #[test]
    fn whoever_does_not_listen_is_barred_and_let_in_again_later() {
        let limits = Limits::new(&Config {
            edge_bars_after: Some(3),
            edge_bars_s: 60,
            ..Config::default()
        });
        let start = Instant::now();
        for _ in 0..20 {
            limits.admit(READ, start, 0);
        }
        for _ in 0..3 {
            assert_eq!(limits.admit(READ, start, 0).1, Some(Refusal::Burst));
        }
        let barred = start + Duration::from_secs(59);
        assert_eq!(limits.admit(READ, start, 0).1, Some(Refusal::Barred));
        assert_eq!(limits.admit(READ, barred, 0).1, Some(Refusal::Barred));
        let after = start + Duration::from_secs(60);
        assert_eq!(limits.admit(READ, after, 0).1, None);
        assert_eq!(limits.observed().barred, 2);
    }
}
