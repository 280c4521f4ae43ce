//! How many requests there were, and how many of them a token bucket let pass.

use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// A bucket that fills with `per_second` tokens up to as many, and what it has seen.
pub(crate) struct Limit {
    /// None lets everything pass.
    per_second: Option<f64>,
    seen: Mutex<Seen>,
}

struct Seen {
    tokens: f64,
    filled_at: Instant,
    requests: u64,
    refused: u64,
    in_flight: u64,
    in_flight_max: u64,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
}

impl Limit {
    pub(crate) fn new(per_second: Option<f64>) -> Limit {
        Limit {
            per_second,
            seen: Mutex::new(Seen::new(per_second)),
        }
    }

    /// A request came: whether it passes. `leave` must follow.
    pub(crate) fn enter(&self) -> bool {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.in_flight += 1;
        seen.in_flight_max = seen.in_flight_max.max(seen.in_flight);
        seen.first_at.get_or_insert(now);
        seen.last_at = Some(now);
        if let Some(per_second) = self.per_second {
            let filled = now.duration_since(seen.filled_at).as_secs_f64() * per_second;
            seen.tokens = (seen.tokens + filled).min(per_second);
            seen.filled_at = now;
            if seen.tokens < 1.0 {
                seen.refused += 1;
                return false;
            }
            seen.tokens -= 1.0;
        }
        seen.requests += 1;
        true
    }

    /// A request was answered.
    pub(crate) fn leave(&self) {
        self.seen().in_flight -= 1;
    }

    /// What was seen since the start, or since it was asked to forget.
    pub(crate) fn stats(&self) -> Value {
        let seen = self.seen();
        let span = seen.first_at.zip(seen.last_at);
        json!({
            "requests": seen.requests,
            "refused": seen.refused,
            "max_in_flight": seen.in_flight_max,
            "first_to_last_s": span.map(|(first, last)| last.duration_since(first).as_secs_f64()),
        })
    }

    /// Fills the bucket and forgets what was seen.
    pub(crate) fn forget(&self) {
        let in_flight = self.seen().in_flight;
        *self.seen() = Seen {
            in_flight,
            ..Seen::new(self.per_second)
        };
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn new(per_second: Option<f64>) -> Seen {
        Seen {
            tokens: per_second.unwrap_or(0.0),
            filled_at: Instant::now(),
            requests: 0,
            refused: 0,
            in_flight: 0,
            in_flight_max: 0,
            first_at: None,
            last_at: None,
        }
    }
}
