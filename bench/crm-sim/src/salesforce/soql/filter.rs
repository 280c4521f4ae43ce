//! Conditions of a query, and whether a record meets them.

use std::cmp::Ordering;

use super::parse::Operator;
use crate::clock::parse_ms;
use crate::salesforce::schema::{Field, FieldType, Source};
use crate::salesforce::values::{Reading, last_modified_ms};

/// A value that compares with others of the same field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Comparable {
    Null,
    /// Text in lower case: the platform compares without regard to it.
    Text(String),
    /// An id of 18 characters, or a day: texts that compare byte by byte.
    Exact(String),
    Number(f64),
    /// Milliseconds since the epoch.
    Moment(i64),
    Truth(bool),
}

/// A compiled condition.
#[derive(Clone, Debug)]
pub(super) enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Compare {
        column: u16,
        operator: Operator,
        operands: Vec<Comparable>,
    },
}

impl Comparable {
    /// Nulls before everything, and equal to each other.
    pub(super) fn order(&self, other: &Comparable) -> Ordering {
        match (self, other) {
            (Comparable::Null, Comparable::Null) => Ordering::Equal,
            (Comparable::Null, _) => Ordering::Less,
            (_, Comparable::Null) => Ordering::Greater,
            (Comparable::Text(left), Comparable::Text(right))
            | (Comparable::Exact(left), Comparable::Exact(right)) => left.cmp(right),
            (Comparable::Number(left), Comparable::Number(right)) => left.total_cmp(right),
            (Comparable::Moment(left), Comparable::Moment(right)) => left.cmp(right),
            (Comparable::Truth(left), Comparable::Truth(right)) => left.cmp(right),
            _ => Ordering::Equal,
        }
    }

    fn is_null(&self) -> bool {
        *self == Comparable::Null
    }
}

/// The value of a field of a record.
pub(super) fn value(reading: &Reading<'_>, field: &Field, scratch: &mut Vec<u8>) -> Comparable {
    let view = &reading.view;
    match field.source {
        Source::Created => return Comparable::Moment(view.row.created_ms),
        Source::SystemModstamp => return Comparable::Moment(view.row.modified_ms),
        Source::LastModified => {
            return Comparable::Moment(last_modified_ms(view, Some(field.column)));
        }
        Source::IsDeleted => return Comparable::Truth(view.archived_ms.is_some()),
        _ => {}
    }
    scratch.clear();
    if !reading.text(field, scratch) || scratch.is_empty() {
        return Comparable::Null;
    }
    comparable(field.field_type, &String::from_utf8_lossy(scratch))
}

/// Reads the text of a value as a type.
pub(super) fn comparable(field_type: FieldType, text: &str) -> Comparable {
    match field_type {
        FieldType::Id | FieldType::Reference | FieldType::Date => {
            Comparable::Exact(text.to_owned())
        }
        FieldType::Boolean => Comparable::Truth(text == "true"),
        FieldType::Int | FieldType::Double | FieldType::Currency | FieldType::Percent => {
            text.parse().map_or(Comparable::Null, Comparable::Number)
        }
        FieldType::DateTime => moment_ms(text).map_or(Comparable::Null, Comparable::Moment),
        _ => Comparable::Text(text.to_lowercase()),
    }
}

/// Milliseconds of a time in any of the forms that the platform takes.
pub(crate) fn moment_ms(text: &str) -> Option<i64> {
    if !text.contains('T') {
        return None;
    }
    // `+0000` is what it writes, `+00:00` what the parser knows.
    let bytes = text.as_bytes();
    let offset = bytes.len().checked_sub(5)?;
    if matches!(bytes[offset], b'+' | b'-') && bytes[offset + 1..].iter().all(u8::is_ascii_digit) {
        let colon = format!("{}:{}", &text[..offset + 3], &text[offset + 3..]);
        return parse_ms(&colon);
    }
    parse_ms(text)
}

impl Test {
    pub(super) fn holds(&self, reading: &Reading<'_>, scratch: &mut Vec<u8>) -> bool {
        match self {
            Test::And(tests) => tests.iter().all(|test| test.holds(reading, scratch)),
            Test::Or(tests) => tests.iter().any(|test| test.holds(reading, scratch)),
            Test::Not(test) => !test.holds(reading, scratch),
            Test::Compare {
                column,
                operator,
                operands,
            } => {
                let field = reading.schema.at(*column);
                let value = value(reading, field, scratch);
                compare(&value, *operator, operands)
            }
        }
    }
}

fn compare(value: &Comparable, operator: Operator, operands: &[Comparable]) -> bool {
    let Some(first) = operands.first() else {
        return false;
    };
    let among = || operands.iter().any(|operand| operand == value);
    let ordered = |wanted: fn(Ordering) -> bool| {
        !value.is_null() && !first.is_null() && wanted(value.order(first))
    };
    match operator {
        Operator::Equal | Operator::In => among(),
        Operator::NotEqual | Operator::NotIn => !among(),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        Operator::Like => match (value, first) {
            (Comparable::Text(text), Comparable::Text(pattern)) => like(text, pattern),
            _ => false,
        },
        Operator::Includes => includes(value, operands),
        Operator::Excludes => !includes(value, operands),
    }
}

/// Whether one of the operands' values (joined with `;`) are all among the record's.
fn includes(value: &Comparable, operands: &[Comparable]) -> bool {
    let Comparable::Text(held) = value else {
        return false;
    };
    let held: Vec<&str> = held.split(';').collect();
    operands.iter().any(|operand| match operand {
        Comparable::Text(wanted) => wanted.split(';').all(|one| held.contains(&one)),
        _ => false,
    })
}

/// `%` stands for any text, `_` for one character.
fn like(text: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let tail = rest.as_str();
            text.char_indices()
                .map(|(at, _)| &text[at..])
                .chain([""])
                .any(|suffix| like(suffix, tail))
        }
        Some(wanted) => {
            let mut characters = text.chars();
            match characters.next() {
                Some(found) if wanted == '_' || wanted == found => {
                    like(characters.as_str(), rest.as_str())
                }
                _ => false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{like, moment_ms};

    #[test]
    fn patterns_know_any_text_and_any_character() {
        for (text, pattern, matches) in [
            ("acme works", "acme%", true),
            ("acme works", "%works", true),
            ("acme works", "%me%or%", true),
            ("acme", "a_me", true),
            ("acme", "acme_", false),
            ("größe", "gr__e", true),
            ("", "%", true),
            ("acme", "works%", false),
        ] {
            assert_eq!(like(text, pattern), matches, "{text} {pattern}");
        }
    }

    #[test]
    fn times_are_read_with_either_offset() {
        let wanted = Some(1_767_323_045_000);
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.000Z",
            "2026-01-02T03:04:05.000+0000",
            "2026-01-02T04:04:05+01:00",
        ] {
            assert_eq!(moment_ms(text), wanted, "{text}");
        }
        assert_eq!(moment_ms("2026-01-02"), None);
        assert_eq!(moment_ms("2026-01-02T03:04:05 00:00"), None);
    }
}
