//! How many requests a key may send, and the headers that say so.

use crate::config::Config;
use crate::problem::{Code, Problem};
use axum::response::Response;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::HeaderValue;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// Requests between two looks for keys that are idle and can be forgotten.
const FORGET_EVERY: u32 = 4_096;

pub(crate) struct Rate {
    limiter:
        RateLimiter<String, HashMapStateStore<String>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    policy: HeaderValue,
    seen: AtomicU32,
}

/// What a key has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left(u32);

impl Rate {
    pub(crate) fn new(config: &Config) -> Rate {
        let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let (per_second, burst) = (
            at_least_one(config.requests_per_second),
            at_least_one(config.requests_burst),
        );
        let refill_s = burst.get().div_ceil(per_second.get());
        let policy = format!("\"key\";q={burst};w={refill_s}");
        Rate {
            limiter: RateLimiter::hashmap(Quota::per_second(per_second).allow_burst(burst))
                .with_middleware(),
            clock: DefaultClock::default(),
            policy: HeaderValue::from_str(&policy)
                .expect("digits and punctuation are a header value"),
            seen: AtomicU32::new(0),
        }
    }

    /// Takes one request of the key's.
    pub(crate) fn take(&self, key: &String) -> Result<Left, Problem> {
        if self.seen.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key(key) {
            Ok(state) => Ok(Left(state.remaining_burst_capacity())),
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let detail = format!("the key may send again in {seconds} s");
                Err(Problem::new(Code::RateLimited, detail).with_retry_after_s(seconds))
            }
        }
    }

    /// Says what is left.
    pub(crate) fn note(&self, left: Option<Left>, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert("ratelimit-policy", self.policy.clone());
        let left = left.map_or(0, |left| left.0);
        if let Ok(value) = HeaderValue::from_str(&format!("\"key\";r={left}")) {
            headers.insert("ratelimit", value);
        }
    }
}
