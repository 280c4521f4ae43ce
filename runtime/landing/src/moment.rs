//! Points in time as sources write them: RFC 3339 and its near relatives, and
//! milliseconds since the epoch.

/// A point in time, to the attosecond: finer digits are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    seconds: i64,
    attoseconds: u64,
}

const ATTOSECONDS_PER_MS: u64 = 1_000_000_000_000_000;

impl Moment {
    /// RFC 3339, or the same without an offset (UTC), with `+0000`, with a blank for
    /// the `T`, or a date alone; or milliseconds since the epoch.
    pub(crate) fn parse(text: &str) -> Option<Moment> {
        match text.as_bytes().get(4) {
            Some(b'-') if text.len() >= 10 => Moment::from_rfc3339(text),
            _ => Moment::from_epoch_ms(text),
        }
    }

    fn from_rfc3339(text: &str) -> Option<Moment> {
        let (date, rest) = text.split_at_checked(10)?;
        let days = i64::from(days(date)?);
        if rest.is_empty() {
            return Some(Moment {
                seconds: days * 86_400,
                attoseconds: 0,
            });
        }
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let (clock, rest) = rest.split_at_checked(8)?;
        let clock = clock.as_bytes();
        if clock[2] != b':' || clock[5] != b':' {
            return None;
        }
        let (hour, minute, second) = (two(clock, 0)?, two(clock, 3)?, two(clock, 6)?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (attoseconds, rest) = match rest.strip_prefix('.') {
            Some(rest) => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                (fraction(&rest[..digits])?, &rest[digits..])
            }
            None => (0, rest),
        };
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
        Some(Moment {
            seconds: seconds - offset_seconds(rest)?,
            attoseconds,
        })
    }

    fn from_epoch_ms(text: &str) -> Option<Moment> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let ms: i64 = whole.parse().ok()?;
        let below = fraction(rest)? / 1_000;
        let (ms, below) = match (whole.starts_with('-'), below) {
            (true, 1..) => (ms.checked_sub(1)?, ATTOSECONDS_PER_MS - below),
            _ => (ms, below),
        };
        let beyond = ms.rem_euclid(1_000).unsigned_abs() * ATTOSECONDS_PER_MS;
        Some(Moment {
            seconds: ms.div_euclid(1_000),
            attoseconds: beyond + below,
        })
    }

    /// Milliseconds since the epoch, rounded down.
    pub(crate) fn epoch_ms(self) -> Option<i64> {
        let beyond = i64::try_from(self.attoseconds / ATTOSECONDS_PER_MS).ok()?;
        self.seconds.checked_mul(1_000)?.checked_add(beyond)
    }
}

/// The days from the epoch to a date written `2026-11-22`.
pub(crate) fn days(date: &str) -> Option<i32> {
    let bytes = date.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = two(bytes, 0)? * 100 + two(bytes, 2)?;
    let (month, day) = (two(bytes, 5)?, two(bytes, 8)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > month_days {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

fn two(bytes: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (*bytes.get(at)?, *bytes.get(at + 1)?);
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// The digits behind a decimal point of seconds, in attoseconds.
fn fraction(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(18);
    Some(padded.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

fn offset_seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let sign = match bytes {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let minutes = match bytes.len() {
        6 if bytes[3] == b':' => two(bytes, 4)?,
        5 => two(bytes, 3)?,
        3 => 0,
        _ => return None,
    };
    let hours = two(bytes, 1)?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(epoch_ms: u64) -> String {
    let days = epoch_ms / 86_400_000 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let ms = epoch_ms % 86_400_000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_has_one_value_however_it_is_written() {
        let forms = [
            "2024-02-29T12:30:45.5Z",
            "2024-02-29t12:30:45.500000z",
            "2024-02-29T14:30:45.500+02:00",
            "2024-02-29T07:00:45.5-0530",
            "2024-02-29 12:30:45.500",
            "1709209845500",
            "1709209845500.0",
        ];
        for form in forms {
            let ms = Moment::parse(form).and_then(Moment::epoch_ms);
            assert_eq!(ms, Some(1_709_209_845_500), "{form}");
            assert_eq!(Moment::parse(form), Moment::parse(forms[0]), "{form}");
        }
    }

    #[test]
    fn fractions_order_moments_at_any_length() {
        let ascending = [
            "1969-12-31T23:59:59.999Z",
            "-0.5",
            "0",
            "1970-01-01T00:00:00.000000001Z",
            "0.1",
            "1970-01-01",
        ];
        let parse = |text: &str| Moment::parse(text).unwrap_or_else(|| panic!("{text}"));
        for pair in ascending[..5].windows(2) {
            assert!(parse(pair[0]) < parse(pair[1]), "{pair:?}");
        }
        assert_eq!(parse(ascending[5]), parse("0"));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for bad in [
            "",
            "x",
            "2023-02-29",
            "2024-13-01",
            "2024-1-01",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+1",
            "2024-01-01T00:00:00Zulu",
            "20ä4-01-01",
            "99999999999999999999",
            "1e3",
        ] {
            assert_eq!(Moment::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn dates_survive_both_directions() {
        for day in (0..80_000).step_by(13) {
            let text = rfc3339(day * 86_400_000 + 3_723_004);
            assert_eq!(days(&text[..10]), i32::try_from(day).ok(), "{text}");
            assert!(text.ends_with("T01:02:03.004Z"), "{text}");
        }
    }
}
