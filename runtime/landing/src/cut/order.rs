//! How cursor values compare, by the order that a stream declares.

use crate::moment::Moment;
use std::cmp::Ordering;
use tidegate_domain::record::CursorOrder;

/// A cursor's text, ready to be compared with others of the same order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<'a> {
    text: &'a str,
    rank: Rank,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Rank {
    Text,
    Moment(Moment),
    Integer(i64),
    /// A number that no machine word holds.
    Digits,
}

impl<'a> Ranked<'a> {
    /// None where the text is no value of the order.
    pub(super) fn parse(order: CursorOrder, text: &'a str) -> Option<Self> {
        let rank = match order {
            CursorOrder::Text => Rank::Text,
            CursorOrder::Timestamp => Rank::Moment(Moment::parse(text)?),
            CursorOrder::Number => match integer(text) {
                Some(integer) => Rank::Integer(integer),
                None => Decimal::parse(text).map(|_| Rank::Digits)?,
            },
        };
        Some(Ranked { text, rank })
    }

    pub(super) fn rank(self) -> Rank {
        self.rank
    }

    /// The same text as before, with the rank that it had.
    pub(super) fn again(text: &'a str, rank: Rank) -> Self {
        Ranked { text, rank }
    }

    pub(super) fn compare(self, other: Ranked<'_>) -> Ordering {
        match (self.rank, other.rank) {
            (Rank::Moment(one), Rank::Moment(two)) => one.cmp(&two),
            (Rank::Integer(one), Rank::Integer(two)) => one.cmp(&two),
            (Rank::Text, _) | (_, Rank::Text) => self.text.cmp(other.text),
            _ => match (Decimal::parse(self.text), Decimal::parse(other.text)) {
                (Some(one), Some(two)) => one.compare(&two),
                _ => Ordering::Equal,
            },
        }
    }
}

/// Compares two cursor values; none where one of them is no value of the order.
pub fn compare(order: CursorOrder, one: &str, two: &str) -> Option<Ordering> {
    Some(Ranked::parse(order, one)?.compare(Ranked::parse(order, two)?))
}

fn integer(text: &str) -> Option<i64> {
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

/// A decimal number as `0.digits * 10^exponent`, with no zero in front.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (digits, power) = match text.split_once(['e', 'E']) {
            Some((digits, power)) => (digits, power.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let zeros = |digits: &[u8]| digits.iter().take_while(|digit| **digit == b'0').count();
        let (mut whole, mut fraction) = (whole.as_bytes(), fraction.as_bytes());
        whole = &whole[zeros(whole)..];
        let mut exponent = power.checked_add(i64::try_from(whole.len()).ok()?)?;
        if whole.is_empty() {
            let leading = zeros(fraction);
            fraction = &fraction[leading..];
            exponent = power.checked_sub(i64::try_from(leading).ok()?)?;
        }
        Some(Decimal {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == b'0')
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    fn compare(&self, other: &Decimal<'_>) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) if other.negative => return Ordering::Greater,
            (true, false) => return Ordering::Less,
            (false, true) if self.negative => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (negative, _) => {
                let size = self.compare_size(other);
                if negative { size.reverse() } else { size }
            }
        }
    }

    fn compare_size(&self, other: &Decimal<'_>) -> Ordering {
        let by_exponent = self.exponent.cmp(&other.exponent);
        if by_exponent.is_ne() {
            return by_exponent;
        }
        let longest = self.digits().count().max(other.digits().count());
        let padded = |digits: &Decimal<'_>| {
            let digits: Vec<u8> = digits.digits().collect();
            digits
                .into_iter()
                .chain(std::iter::repeat(b'0'))
                .take(longest)
        };
        padded(self).cmp(padded(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_order_ranks_values_as_it_says() {
        use CursorOrder::{Number, Text, Timestamp};
        let ascending: &[(CursorOrder, &[&str])] = &[
            (Text, &["10", "9", "ä", "𝄞"]),
            (
                Number,
                &[
                    "-1e400",
                    "-10",
                    "-9.5",
                    "-1e-400",
                    "0",
                    "1e-400",
                    "0.1",
                    "9",
                    "9.00001",
                    "10",
                    "9007199254740993",
                    "18446744073709551616",
                    "18446744073709551616.5",
                    "1e400",
                ],
            ),
            (
                Timestamp,
                &[
                    "9",
                    "1970-01-01T00:00:00.0091Z",
                    "10",
                    "2024-01-01T00:00:00+01:00",
                    "2024-01-01",
                ],
            ),
        ];
        for (order, values) in ascending {
            for (at, one) in values.iter().enumerate() {
                for (other_at, other) in values.iter().enumerate() {
                    let expected = Some(at.cmp(&other_at));
                    assert_eq!(
                        compare(*order, one, other),
                        expected,
                        "{order:?} {one} {other}"
                    );
                }
            }
        }
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        for (one, other) in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("0.01", "1E-2"),
            ("0", "-0.000"),
            ("0e9", "0"),
        ] {
            assert_eq!(
                compare(CursorOrder::Number, one, other),
                Some(Ordering::Equal),
                "{one} {other}"
            );
        }
        for bad in [
            "",
            "-",
            "x",
            "1.",
            ".5",
            "0x1",
            "1e",
            "+1",
            "1e99999999999999999999",
        ] {
            assert_eq!(compare(CursorOrder::Number, bad, "1"), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn decimals_compare_like_the_integers_they_are(one: i64, other: i64, scale in 0_usize..6) {
            let point = |value: i64| format!("{value}e-{scale}");
            prop_assert_eq!(
                compare(CursorOrder::Number, &point(one), &point(other)),
                Some(one.cmp(&other))
            );
        }
    }
}
