//! The date dialects of the API: plain ones in UTC, and the ones of its metadata.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::iso_bytes;

/// `2026-10-05 00:00:00`, in UTC.
pub(crate) fn plain(time_ms: i64) -> String {
    let iso = iso_bytes(time_ms);
    String::from_utf8_lossy(&iso[..19]).replace('T', " ")
}

/// Milliseconds of a plain date; only this spelling is one.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let parsed: DateTime = text.parse().ok()?;
    let zoned = parsed.to_zoned(TimeZone::UTC).ok()?;
    let time_ms = zoned.timestamp().as_millisecond();
    (plain(time_ms) == text).then_some(time_ms)
}

/// `/Date(1417453996000+0000)/`.
pub(crate) fn metadata(time_ms: i64) -> String {
    format!("/Date({time_ms}+0000)/")
}

#[cfg(test)]
mod tests {
    use super::{metadata, parse, plain};

    #[test]
    fn plain_dates_have_one_spelling_and_are_utc() {
        assert_eq!(plain(1_772_685_000_000), "2026-03-05 04:30:00");
        assert_eq!(parse("2026-03-05 04:30:00"), Some(1_772_685_000_000));
        for text in [
            "2026-03-05T04:30:00Z",
            "2026-03-05",
            "05-03-2026 04:30:00",
            "2026-02-30 00:00:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(metadata(1_417_453_996_000), "/Date(1417453996000+0000)/");
    }
}
