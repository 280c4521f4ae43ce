//! The two shapes of a time on the wire, both of whole seconds.

use crate::clock::iso_bytes;

/// `2021-12-10T18:09:43Z`, of the second version.
pub(crate) fn zoned_bytes(time_ms: i64) -> [u8; 20] {
    let full = iso_bytes(time_ms);
    let mut text = *b"0000-00-00T00:00:00Z";
    text[..19].copy_from_slice(&full[..19]);
    text
}

/// `2021-12-10 18:09:43`, of the first version: the same zone, unsaid.
pub(crate) fn spaced_bytes(time_ms: i64) -> [u8; 19] {
    let full = iso_bytes(time_ms);
    let mut text = *b"0000-00-00 00:00:00";
    text[..10].copy_from_slice(&full[..10]);
    text[11..].copy_from_slice(&full[11..19]);
    text
}

/// The text of [`zoned_bytes`].
pub(crate) fn zoned(time_ms: i64) -> String {
    String::from_utf8_lossy(&zoned_bytes(time_ms)).into_owned()
}

/// The text of [`spaced_bytes`].
pub(crate) fn spaced(time_ms: i64) -> String {
    String::from_utf8_lossy(&spaced_bytes(time_ms)).into_owned()
}

/// Milliseconds of a time in exactly the form of [`zoned_bytes`]; a fraction, an offset
/// or a space is refused.
pub(crate) fn parse_zoned(text: &str) -> Option<i64> {
    let time_ms = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    (zoned(time_ms) == text).then_some(time_ms)
}

/// Milliseconds of a time in exactly the form of [`spaced_bytes`].
pub(crate) fn parse_spaced(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(' ')?;
    parse_zoned(&format!("{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::{parse_spaced, parse_zoned, spaced, zoned};

    #[test]
    fn only_the_strict_form_of_a_time_is_read() {
        let time_ms = 1_639_159_783_000;
        assert_eq!(zoned(time_ms + 999), "2021-12-10T18:09:43Z");
        assert_eq!(spaced(time_ms), "2021-12-10 18:09:43");
        assert_eq!(parse_zoned("2021-12-10T18:09:43Z"), Some(time_ms));
        assert_eq!(parse_spaced("2021-12-10 18:09:43"), Some(time_ms));
        for text in [
            "2021-12-10T18:09:43.000Z",
            "2021-12-10 18:09:43Z",
            "2021-12-10 18:09:43",
            "2021-12-10T18:09:43+00:00",
            "2021-12-10T18:09:43",
            "2021-12-10",
            "1639159783",
        ] {
            assert_eq!(parse_zoned(text), None, "{text}");
        }
    }
}
