//! How cursor values compare.

use std::cmp::Ordering;

use crate::CursorOrder;

/// Compares two cursor values. Values that are not of the order's type compare
/// as text.
pub(super) fn compare(left: &str, right: &str, order: CursorOrder) -> Ordering {
    let typed = match order {
        CursorOrder::Text => None,
        CursorOrder::Number => number(left, right),
        CursorOrder::Timestamp => moment(left).zip(moment(right)).map(|(l, r)| l.cmp(&r)),
    };
    typed.unwrap_or_else(|| left.cmp(right))
}

fn number(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    left.parse::<f64>()
        .ok()?
        .partial_cmp(&right.parse::<f64>().ok()?)
}

/// A moment as remote systems write it, in milliseconds since the epoch.
#[must_use]
pub fn epoch_ms(text: &str) -> Option<u64> {
    u64::try_from(moment(text)?.as_millisecond()).ok()
}

/// RFC 3339, the same with a blank and no zone (UTC), or milliseconds since the epoch.
fn moment(text: &str) -> Option<jiff::Timestamp> {
    match text.parse::<i64>() {
        Ok(ms) => jiff::Timestamp::from_millisecond(ms).ok(),
        Err(_) if text.as_bytes().get(10) == Some(&b' ') => {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
        }
        Err(_) => text.parse().ok(),
    }
}
