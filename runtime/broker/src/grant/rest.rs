//! When a token endpoint is left alone: after it refused an application, and while it is
//! in trouble. So a storm of requests that all want a token is none to the endpoint.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_domain::backoff::Backoff;
use tokio::time::Instant;

/// An application that was refused is not asked for again for this long.
const REFUSED: Duration = Duration::from_secs(60);
/// Between questions to an endpoint in trouble that does not say when to come back.
const TROUBLE: Backoff = Backoff {
    first_ms: 500,
    ceiling_ms: 60_000,
};

/// By token endpoint and application.
#[derive(Default)]
pub(super) struct Rests(Mutex<HashMap<String, Rest>>);

struct Rest {
    until: Instant,
    is_refused: bool,
    /// Times in a row that it was in trouble.
    troubles: u32,
}

/// Why an endpoint is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resting {
    /// It refused the application.
    Refused,
    /// It had trouble.
    Trouble,
}

impl Rests {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is left alone now.
    pub(super) fn of(&self, app: &str) -> Option<Resting> {
        let rests = self.lock();
        let rest = rests.get(app).filter(|rest| rest.until > Instant::now())?;
        Some(match rest.is_refused {
            true => Resting::Refused,
            false => Resting::Trouble,
        })
    }

    /// It refused the application.
    pub(super) fn refused(&self, app: String) {
        let rest = Rest {
            until: Instant::now() + REFUSED,
            is_refused: true,
            troubles: 0,
        };
        self.lock().insert(app, rest);
    }

    /// It had trouble, or said for how long it wants to be left alone. Answers to one
    /// storm count once.
    pub(super) fn trouble(&self, app: String, pause_ms: Option<u64>) {
        let now = Instant::now();
        let mut rests = self.lock();
        let rest = rests.entry(app).or_insert(Rest {
            until: now,
            is_refused: false,
            troubles: 0,
        });
        if rest.until <= now {
            rest.is_refused = false;
            rest.troubles = rest.troubles.saturating_add(1);
            rest.until = now + Duration::from_millis(TROUBLE.ceiling_after(rest.troubles));
        }
        if let Some(pause_ms) = pause_ms {
            rest.until = rest.until.max(now + Duration::from_millis(pause_ms));
        }
    }

    /// It answered.
    pub(super) fn answered(&self, app: &str) {
        self.lock().remove(app);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_in_trouble_is_left_alone_longer_each_time_until_it_answers() {
        let rests = Rests::default();
        let mut waits = Vec::new();
        for _ in 0..10 {
            for _ in 0..16 {
                rests.trouble("app".to_owned(), None); // one storm
            }
            let begun = Instant::now();
            while rests.of("app").is_some() {
                tokio::time::advance(Duration::from_millis(500)).await;
            }
            waits.push(begun.elapsed().as_millis());
        }
        assert_eq!(
            waits,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000
            ]
        );
        rests.answered("app");
        rests.trouble("app".to_owned(), None);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(rests.of("app"), None);
        rests.trouble("app".to_owned(), Some(120_000));
        tokio::time::advance(Duration::from_secs(119)).await;
        assert_eq!(rests.of("app"), Some(Resting::Trouble));
        rests.refused("app".to_owned());
        assert_eq!(rests.of("app"), Some(Resting::Refused));
        assert_eq!(rests.of("another"), None);
    }
}
