//! The clock of limits: it never goes back, is not set by anybody while the system
//! runs, and goes on where the process before left it.

use crate::Error;
use std::sync::Arc;
use std::time::Duration;
use tidegate_domain::limit::{MS, Moment, Nanos};
use tidegate_store::clock::now_ms;
use tidegate_store::limits::{ClockReading, LimitStore};
use tokio::time::Instant;

/// A system's clock that is further off than this was never set before: it is believed.
const DOUBTED_MS_MAX: u64 = 26 * 60 * 60 * 1000;
/// Far enough for any wait, near enough for additions.
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

type Source = Arc<dyn Fn() -> Nanos + Send + Sync>;

/// The steady clock, beside the system's.
#[derive(Clone)]
pub(crate) struct Clock {
    steady: Source,
    system: Source,
}

impl Clock {
    /// Goes on from the last reading, where that was since the system's start: a clock
    /// that was set meanwhile empties no window. Keeps its own reading for the next.
    pub(super) async fn open(store: &dyn LimitStore) -> Result<Clock, Error> {
        let (boot, uptime) = (boot(), uptime());
        let uptime_ms = uptime / MS;
        let believed_ms = now_ms();
        let now_ms = match store.clock_reading().await? {
            Some(last) => continued_ms(&last, &boot, uptime_ms, believed_ms),
            None => believed_ms,
        };
        let reading = ClockReading {
            boot,
            uptime_ms,
            now_ms,
        };
        store.keep_clock_reading(reading).await?;
        let origin = now_ms.saturating_mul(MS);
        Ok(Clock {
            steady: Arc::new(move || origin + self::uptime().saturating_sub(uptime)),
            system: Arc::new(|| tidegate_store::clock::now_ms().saturating_mul(MS)),
        })
    }

    /// A clock that tests move, and a system's clock that they set.
    #[cfg(test)]
    pub(super) fn simulated(origin: Nanos, system: Option<Source>) -> Clock {
        let start = Instant::now();
        let steady: Source = Arc::new(move || {
            let passed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            origin + passed
        });
        Clock {
            system: system.unwrap_or_else(|| Arc::clone(&steady)),
            steady,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        let now = (self.steady)();
        Moment {
            now,
            behind: now.saturating_sub((self.system)()),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.steady)() / MS
    }

    pub(super) fn at(&self, instant: Instant) -> Nanos {
        let ahead = instant.saturating_duration_since(Instant::now());
        let ahead = u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
        (self.steady)().saturating_add(ahead)
    }

    pub(super) fn instant(&self, at: Nanos) -> Instant {
        let ahead = Duration::from_nanos(at.saturating_sub((self.steady)()));
        Instant::now() + ahead.min(YEAR)
    }
}

fn continued_ms(last: &ClockReading, boot: &str, uptime_ms: u64, believed_ms: u64) -> u64 {
    let passed_ms = uptime_ms.checked_sub(last.uptime_ms);
    let expected_ms = match passed_ms {
        Some(passed_ms) if !boot.is_empty() && last.boot == boot => last.now_ms + passed_ms,
        _ => last.now_ms.max(believed_ms),
    };
    if expected_ms.abs_diff(believed_ms) <= DOUBTED_MS_MAX {
        expected_ms
    } else {
        tracing::warn!(
            expected_ms,
            believed_ms,
            "the system's clock is more than a day off; limits go by it from now on"
        );
        believed_ms
    }
}

/// Names the start of the system; empty where it has no name.
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot.map(|boot| boot.trim().to_owned()).unwrap_or_default()
}

/// Nanoseconds since the start of the system, sleep included.
fn uptime() -> Nanos {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1000 * MS + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_where_the_process_before_left_it() {
        const HOUR: u64 = 3_600_000;
        let last = ClockReading {
            boot: "a".to_owned(),
            uptime_ms: 1_000,
            now_ms: 100 * HOUR,
        };
        for (boot, uptime_ms, believed_ms, expected_ms) in [
            // Set by an hour either way while nobody looked: time passed all the same.
            ("a", 2_000, 101 * HOUR, 100 * HOUR + 1_000),
            ("a", 2_000, 99 * HOUR, 100 * HOUR + 1_000),
            // Another start of the system: forward it is believed, back it is not.
            ("b", 50, 101 * HOUR, 101 * HOUR),
            ("b", 5_000, 99 * HOUR, 100 * HOUR),
            ("", 5_000, 101 * HOUR, 101 * HOUR),
            // It was never set before.
            ("a", 2_000, 400 * HOUR, 400 * HOUR),
            ("b", 2_000, 10 * HOUR, 10 * HOUR),
        ] {
            let found = continued_ms(&last, boot, uptime_ms, believed_ms);
            assert_eq!(found, expected_ms, "{boot} {uptime_ms} {believed_ms}");
        }
    }
}
