//! The one time format that connectors write: RFC 3339 in UTC.

/// `at_ms` (milliseconds since the epoch) as `2026-11-22T08:00:00.000Z`.
#[must_use]
pub fn rfc3339(at_ms: u64) -> String {
    const DAY_MS: u64 = 86_400_000;
    let (year, month, day) = civil(at_ms / DAY_MS);
    let ms = at_ms % DAY_MS;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let fraction = ms % 1_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic
/// Gregorian calendar. Years are counted from March, so that the leap day is
/// the last of its year, in eras of 400 years (146,097 days).
fn civil(day_of_epoch: u64) -> (u64, u64, u64) {
    let day = day_of_epoch + 719_468; // from 0000-03-01
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_agree_with_a_calendar_library() {
        for at_ms in [
            0,
            951_782_399_999,
            951_782_400_000,
            1_709_164_800_123,
            4_102_444_800_000,
        ] {
            let expected = jiff::Timestamp::from_millisecond(i64::try_from(at_ms).expect("small"))
                .expect("in range");
            assert_eq!(rfc3339(at_ms), format!("{expected:.3}"));
        }
    }
}
