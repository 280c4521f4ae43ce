//! The simulated account's time of day, and its text form on the wire.
//!
//! Record versions, token expiry and the daily quota use this clock. Rolling
//! rate limits do not: they count real elapsed time.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY_MS: i64 = 86_400_000;

/// Milliseconds since the epoch: real time by default, shifted or fixed on demand.
#[derive(Debug, Default)]
pub struct Clock {
    fixed: AtomicBool,
    /// The time itself when fixed, otherwise the shift from real time.
    value_ms: AtomicI64,
}

impl Clock {
    /// The current time in milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        let value = self.value_ms.load(Ordering::Acquire);
        if self.fixed.load(Ordering::Acquire) {
            return value;
        }
        real_now_ms() + value
    }

    /// Stops the clock at a time.
    pub fn fix(&self, now_ms: i64) {
        self.value_ms.store(now_ms, Ordering::Release);
        self.fixed.store(true, Ordering::Release);
    }

    /// Runs with real time, shifted.
    pub fn shift(&self, offset_ms: i64) {
        self.fixed.store(false, Ordering::Release);
        self.value_ms.store(offset_ms, Ordering::Release);
    }

    /// Moves a fixed or a shifted clock forward.
    pub fn advance(&self, by_ms: i64) {
        self.value_ms.fetch_add(by_ms, Ordering::AcqRel);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulated clock starts from the real one, here alone"
)]
fn real_now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

/// `2022-02-17T18:54:22.300Z`, and `2022-02-17T18:54:22Z` where no milliseconds are to
/// be told: two shapes that do not sort as text.
pub fn iso(time_ms: i64) -> String {
    String::from_utf8_lossy(&Instant::new(time_ms)).into_owned()
}

/// The bytes of [`iso`], without an allocation.
pub(crate) struct Instant {
    text: [u8; 24],
    length: usize,
}

impl Instant {
    pub(crate) fn new(time_ms: i64) -> Instant {
        let mut text = iso_bytes(time_ms);
        let whole = time_ms.rem_euclid(1000) == 0;
        if whole {
            text[19] = b'Z';
        }
        Instant {
            text,
            length: if whole { 20 } else { 24 },
        }
    }
}

impl Deref for Instant {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// `2022-02-17T18:54:22.000Z`, milliseconds always. Years 0000 to 9999.
pub(crate) fn iso_bytes(time_ms: i64) -> [u8; 24] {
    let (year, month, day) = civil(time_ms.div_euclid(DAY_MS));
    let of_day = time_ms.rem_euclid(DAY_MS);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], of_day / 3_600_000);
    digits(&mut text[14..16], of_day / 60_000 % 60);
    digits(&mut text[17..19], of_day / 1000 % 60);
    digits(&mut text[20..23], of_day % 1000);
    text
}

/// `2022-02-17`, the shape of a date without a time.
pub(crate) fn date_bytes(day: i64) -> [u8; 10] {
    let mut text = *b"0000-00-00";
    let (year, month, of_month) = civil(day);
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], of_month);
    text
}

/// Milliseconds of an epoch-milliseconds text, an ISO time or an ISO date.
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

fn digits(out: &mut [u8], value: i64) {
    let mut rest = value;
    for slot in out.iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest.rem_euclid(10)).unwrap_or(0);
        rest /= 10;
    }
}

/// Gregorian year, month and day of a day number since the epoch (the usual
/// era arithmetic: years start in March, so the leap day comes last).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::{Clock, iso, parse_ms};

    #[test]
    fn times_survive_the_round_trip_through_text() {
        for time_ms in [
            0,
            1_577_836_800_000,
            1_582_934_400_123,
            1_645_124_062_300,
            1_767_225_599_999,
        ] {
            assert_eq!(parse_ms(&iso(time_ms)), Some(time_ms), "{time_ms}");
        }
        assert_eq!(iso(1_645_124_062_300), "2022-02-17T18:54:22.300Z");
        assert_eq!(iso(1_645_124_062_000), "2022-02-17T18:54:22Z");
        assert_eq!(parse_ms("1645124062300"), Some(1_645_124_062_300));
        assert_eq!(parse_ms("2020-01-01"), Some(1_577_836_800_000));
        assert_eq!(parse_ms("yesterday"), None);
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::default();
        clock.fix(5);
        clock.advance(7);
        assert_eq!(clock.now_ms(), 12);
    }
}
