//! How far a condition narrows the records before any of them is looked at.

use std::ops::Range;

use super::filter::{Comparable, Test};
use super::parse::Operator;
use crate::salesforce::object::Object;
use crate::salesforce::schema::{Schema, Source};
use crate::salesforce::wire_id::parse_wire_id;

/// What must hold for every match.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bounds {
    /// Last modification of any kind, half open, in milliseconds since the epoch.
    pub(super) modified: Range<i64>,
    /// Record numbers, half open.
    pub(super) ids: Range<u64>,
    /// The only records that can match, when the condition names them.
    pub(super) named: Option<Vec<u64>>,
    /// Whether deleted records can match, and live ones.
    pub(super) deleted: Option<bool>,
    /// Whether all this says everything that the condition says.
    pub(super) complete: bool,
}

const EVERYTHING: Bounds = Bounds {
    modified: i64::MIN..i64::MAX,
    ids: 0..u64::MAX,
    named: None,
    deleted: None,
    complete: true,
};

impl Bounds {
    pub(super) fn new(test: Option<&Test>, schema: &Schema) -> Bounds {
        match test {
            None => EVERYTHING,
            Some(test) => Bounds::of(test, schema),
        }
    }

    fn of(test: &Test, schema: &Schema) -> Bounds {
        let unknown = || Bounds {
            complete: false,
            ..EVERYTHING
        };
        match test {
            Test::Not(_) => unknown(),
            Test::And(tests) => tests
                .iter()
                .map(|test| Bounds::of(test, schema))
                .reduce(Bounds::both)
                .unwrap_or(EVERYTHING),
            Test::Or(tests) => tests
                .iter()
                .map(|test| Bounds::of(test, schema))
                .reduce(Bounds::either)
                .unwrap_or(EVERYTHING),
            Test::Compare {
                column,
                operator,
                operands,
            } => leaf(schema, *column, *operator, operands).unwrap_or_else(unknown),
        }
    }

    fn both(self, other: Bounds) -> Bounds {
        let deleted = match (self.deleted, other.deleted) {
            (Some(left), Some(right)) if left != right => {
                // Nothing is both; the test itself says so.
                return Bounds {
                    complete: false,
                    ..EVERYTHING
                };
            }
            (left, right) => left.or(right),
        };
        Bounds {
            modified: cut(&self.modified, &other.modified),
            ids: cut(&self.ids, &other.ids),
            // Either list alone is a bound; both together are not complete.
            complete: self.complete
                && other.complete
                && (self.named.is_none() || other.named.is_none()),
            named: self.named.or(other.named),
            deleted,
        }
    }

    fn either(self, other: Bounds) -> Bounds {
        let named = match (self.named, other.named) {
            (Some(mut left), Some(right)) => {
                left.extend(right);
                left.sort_unstable();
                left.dedup();
                Some(left)
            }
            _ => None,
        };
        Bounds {
            modified: self.modified.start.min(other.modified.start)
                ..self.modified.end.max(other.modified.end),
            ids: self.ids.start.min(other.ids.start)..self.ids.end.max(other.ids.end),
            named,
            deleted: (self.deleted == other.deleted)
                .then_some(self.deleted)
                .flatten(),
            complete: false,
        }
    }
}

fn cut<T: Copy + Ord>(left: &Range<T>, right: &Range<T>) -> Range<T> {
    let start = left.start.max(right.start);
    start..left.end.min(right.end).max(start)
}

fn leaf(
    schema: &Schema,
    column: u16,
    operator: Operator,
    operands: &[Comparable],
) -> Option<Bounds> {
    match schema.at(column).source {
        Source::SystemModstamp => Some(Bounds {
            modified: moments(operator, operands)?,
            ..EVERYTHING
        }),
        // Neither is ever later than the last modification of any kind.
        Source::LastModified | Source::Created => Some(Bounds {
            modified: moments(operator, operands)?.start..i64::MAX,
            complete: false,
            ..EVERYTHING
        }),
        Source::IsDeleted => match (operator, operands) {
            (Operator::Equal, [Comparable::Truth(deleted)]) => Some(Bounds {
                deleted: Some(*deleted),
                ..EVERYTHING
            }),
            _ => None,
        },
        Source::Id => ids(schema.object, operator, operands),
        _ => None,
    }
}

fn moments(operator: Operator, operands: &[Comparable]) -> Option<Range<i64>> {
    let [Comparable::Moment(time_ms)] = operands else {
        return None;
    };
    let (time_ms, after) = (*time_ms, time_ms.saturating_add(1));
    Some(match operator {
        Operator::Equal => time_ms..after,
        Operator::Less => i64::MIN..time_ms,
        Operator::LessOrEqual => i64::MIN..after,
        Operator::Greater => after..i64::MAX,
        Operator::GreaterOrEqual => time_ms..i64::MAX,
        _ => return None,
    })
}

fn ids(object: Object, operator: Operator, operands: &[Comparable]) -> Option<Bounds> {
    // The number, or which end of all numbers an id of another object lies at.
    let number = |operand: &Comparable| -> Option<Result<u64, bool>> {
        let Comparable::Exact(text) = operand else {
            return None;
        };
        let (prefix, number) = parse_wire_id(text)?;
        Some(if prefix == object.prefix() {
            Ok(number)
        } else {
            Err(prefix > object.prefix())
        })
    };
    if matches!(operator, Operator::Equal | Operator::In) {
        let mut named = Vec::new();
        for operand in operands {
            named.extend(number(operand)?.ok());
        }
        named.sort_unstable();
        named.dedup();
        return Some(Bounds {
            named: Some(named),
            ..EVERYTHING
        });
    }
    let ids = match (operator, number(operands.first()?)?) {
        (Operator::Less, Ok(number)) => 0..number,
        (Operator::LessOrEqual, Ok(number)) => 0..number + 1,
        (Operator::Greater, Ok(number)) => number + 1..u64::MAX,
        (Operator::GreaterOrEqual, Ok(number)) => number..u64::MAX,
        (Operator::Less | Operator::LessOrEqual, Err(above)) => 0..if above { u64::MAX } else { 0 },
        (Operator::Greater | Operator::GreaterOrEqual, Err(above)) => {
            if above {
                0..0
            } else {
                0..u64::MAX
            }
        }
        _ => return None,
    };
    Some(Bounds { ids, ..EVERYTHING })
}
