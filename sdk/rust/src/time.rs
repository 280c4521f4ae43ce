//! The time formats that connectors write, all of them in UTC, the spellings of RFC 3339
//! that providers write, and the format of every server's `Date` header.

/// `at_ms` (milliseconds since the epoch) as `2026-11-22T08:00:00.000Z`.
#[must_use]
pub fn rfc3339(at_ms: u64) -> String {
    let fraction = at_ms % 1_000;
    format!("{}.{fraction:03}Z", to_the_second(at_ms, 'T'))
}

/// `at_ms` (milliseconds since the epoch) as `2026-11-22T08:00:00Z`, for sources that
/// refuse a fraction. It is cut off, not rounded.
#[must_use]
pub fn rfc3339_seconds(at_ms: u64) -> String {
    format!("{}Z", to_the_second(at_ms, 'T'))
}

/// `at_ms` (milliseconds since the epoch) as `2026-11-22 08:00:00`, for sources that
/// name no zone and mean UTC. The fraction is cut off.
#[must_use]
pub fn date_time(at_ms: u64) -> String {
    to_the_second(at_ms, ' ')
}

fn to_the_second(at_ms: u64, between: char) -> String {
    const DAY_MS: u64 = 86_400_000;
    let (year, month, day) = civil(at_ms / DAY_MS);
    let ms = at_ms % DAY_MS;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
}

/// A `Date` header, `Sun, 22 Nov 2026 08:00:00 GMT` (RFC 9110, 5.6.7), in
/// milliseconds since the epoch. The two obsolete forms are not read.
#[must_use]
pub fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let rest = rest.strip_suffix(" GMT")?;
    let mut parts = rest.split([' ', ':']);
    let mut number = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(())?;
        part.parse::<u64>().ok()
    };
    let day = number(2)?;
    let month = rest.get(3..6)?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    number(3); // passes over the month's name
    let (year, hour, minute, second) = (number(4)?, number(2)?, number(2)?, number(2)?);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if year < 1970 || !(1..=31).contains(&day) || !is_time || rest.len() != 20 {
        return None;
    }
    let days = day_of_epoch(year, month, day);
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

/// A moment as providers write it, in milliseconds since the epoch: RFC 3339, also
/// with an offset that has no colon (`2026-11-22T08:00:00.000+0000`). Digits behind
/// the millisecond are dropped. What lies before the epoch is not read.
#[must_use]
pub fn epoch_ms(text: &str) -> Option<u64> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let mut parts = date.splitn(3, '-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let mut parts = time.get(..8)?.splitn(3, ':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let fraction = match time.get(8..zone_at)? {
        "" => 0,
        fraction => {
            let digits = fraction
                .strip_prefix('.')
                .filter(|digits| !digits.is_empty())?;
            number(digits)?;
            number(&format!("{digits:0<3}")[..3])?
        }
    };
    let offset_min = match &time[zone_at..] {
        "Z" | "z" => 0,
        offset => {
            let digits = offset[1..].replacen(':', "", 1);
            let hours = number(digits.get(..2)?)?;
            let minutes = number(digits.get(2..).filter(|rest| rest.len() == 2)?)?;
            i64::try_from(hours * 60 + minutes).ok()?
        }
    };
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || !is_time {
        return None;
    }
    let seconds = ((day_of_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let east = if time[zone_at..].starts_with('-') {
        -1
    } else {
        1
    };
    let utc_ms = i64::try_from(seconds * 1_000 + fraction).ok()? - east * offset_min * 60_000;
    u64::try_from(utc_ms).ok()
}

/// The inverse of [`civil`].
fn day_of_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
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
    use super::{date_time, epoch_ms, http_date, rfc3339, rfc3339_seconds};

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
            let second = expected.strftime("%Y-%m-%d %H:%M:%S").to_string();
            assert_eq!(date_time(at_ms), second);
            assert_eq!(
                rfc3339_seconds(at_ms),
                format!("{}Z", second.replace(' ', "T"))
            );
        }
    }

    #[test]
    fn dates_of_servers_agree_with_a_calendar_library() {
        for at_s in [0, 951_782_399, 951_782_400, 1_709_164_800, 4_102_444_799] {
            let time = jiff::Timestamp::from_second(at_s).expect("in range");
            let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            assert_eq!(http_date(&text), Some(at_s as u64 * 1_000), "{text}");
        }
        for text in [
            "",
            "Sun, 22 Nov 2026 08:00:00",
            "Sun, 22 Nov 2026 24:00:00 GMT",
            "Sun, 22 Nox 2026 08:00:00 GMT",
            "Sun, 2 Nov 2026 08:00:00 GMT",
            "Sun, 22 Nov 1969 08:00:00 GMT",
            "Sun, 22 Nov 2026 08:00:00:00 GMT",
            "Sunday, 22-Nov-26 08:00:00 GMT",
            "Sun Nov 22 08:00:00 2026",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_read_however_they_are_spelled() {
        for text in [
            "2026-11-22T08:00:00.250Z",
            "2026-11-22T08:00:00.250+0000",
            "2026-11-22T08:00:00.2509+00:00",
            "2026-11-22t10:00:00.25+0200",
            "2026-11-22 03:30:00.250-04:30",
        ] {
            assert_eq!(epoch_ms(text), Some(1_795_334_400_250), "{text}");
        }
        assert_eq!(epoch_ms("1970-01-01T00:00:00Z"), Some(0));
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T08:00:00",
            "2026-11-22T08:00Z",
            "2026-11-22T24:00:00Z",
            "2026-13-22T08:00:00Z",
            "2026-11-22T08:00:00.Z",
            "2026-11-22T08:00:00+0",
            "2026-11-22T08:00:00+00:000",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+0100",
            "2026-11-22T08:00:0é0Z",
        ] {
            assert_eq!(epoch_ms(text), None, "{text}");
        }
    }
}
