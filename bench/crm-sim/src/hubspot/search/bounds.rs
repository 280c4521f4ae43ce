//! How far a group of filters narrows the generated records before any of them
//! is looked at.

use std::ops::Range;

use super::filter::{Comparable, Condition, Operator};
use crate::generate::email_index;
use crate::hubspot::records::Records;

/// What must hold for every match of a group.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Modification time, half open.
    pub(crate) modified: Range<i64>,
    /// Creation time, half open.
    pub(crate) created: Range<i64>,
    /// Record id, half open.
    pub(crate) ids: Range<u64>,
    /// The only generated records that can match, when a filter names them.
    pub(crate) candidates: Option<Vec<u32>>,
    /// Whether the three ranges say everything that the filters say.
    pub(crate) complete: bool,
}

impl Bounds {
    pub(crate) fn new(group: &[Condition], records: &Records, text_ids: bool) -> Bounds {
        let mut bounds = Bounds {
            modified: i64::MIN..i64::MAX,
            created: i64::MIN..i64::MAX,
            ids: 0..u64::MAX,
            candidates: None,
            complete: true,
        };
        for condition in group {
            bounds.narrow(condition, records, text_ids);
        }
        bounds
    }

    /// Generated indices inside the bounds of time.
    pub(crate) fn indices(&self, records: &Records) -> Range<u32> {
        let modified = records
            .timeline
            .modified_between(self.modified.start, self.modified.end);
        let created = records
            .timeline
            .created_between(self.created.start, self.created.end);
        let start = modified.start.max(created.start);
        start..modified.end.min(created.end).max(start)
    }

    fn narrow(&mut self, condition: &Condition, records: &Records, text_ids: bool) {
        let schema = &records.schema;
        let column = condition.column;
        let range = integers(condition);
        match range {
            Some(range) if column == schema.modified => cut(&mut self.modified, &range),
            Some(range) if column == schema.created => cut(&mut self.created, &range),
            Some(range) if column == schema.object_id && !text_ids => {
                let low = u64::try_from(range.start).unwrap_or(0);
                let high = match range.end {
                    i64::MAX => u64::MAX,
                    end => u64::try_from(end).unwrap_or(0),
                };
                cut(&mut self.ids, &(low..high));
            }
            _ if condition.operator == Operator::HasProperty && schema.is_system(column) => {}
            _ => {
                self.complete = false;
                if let Some(named) = named(condition, records) {
                    self.candidates = Some(named);
                }
            }
        }
    }
}

fn cut<T: Copy + Ord>(range: &mut Range<T>, by: &Range<T>) {
    range.start = range.start.max(by.start);
    range.end = range.end.min(by.end).max(range.start);
}

/// The half-open range of whole numbers that a condition admits.
fn integers(condition: &Condition) -> Option<Range<i64>> {
    let first = match condition.operands.first() {
        Some(Comparable::Integer(value)) => *value,
        _ => return None,
    };
    let after = first.saturating_add(1);
    Some(match condition.operator {
        Operator::Equal => first..after,
        Operator::Less => i64::MIN..first,
        Operator::LessOrEqual => i64::MIN..after,
        Operator::Greater => after..i64::MAX,
        Operator::GreaterOrEqual => first..i64::MAX,
        Operator::Between => match condition.operands.get(1) {
            Some(Comparable::Integer(high)) => first..high.saturating_add(1).max(first),
            _ => return None,
        },
        _ => return None,
    })
}

/// Generated records that a condition names one by one: by id, address or
/// domain.
fn named(condition: &Condition, records: &Records) -> Option<Vec<u32>> {
    if !matches!(condition.operator, Operator::Equal | Operator::In) {
        return None;
    }
    let schema = &records.schema;
    let name = schema.property(condition.column).name.as_str();
    if condition.column != schema.object_id && name != "email" && name != "domain" {
        return None;
    }
    let mut indices: Vec<u32> = condition
        .operands
        .iter()
        .filter_map(|operand| match operand {
            Comparable::Integer(id) => records.index_of(u64::try_from(*id).ok()?),
            Comparable::Text(text) => {
                let index = u32::try_from(email_index(text)?).ok()?;
                (index < records.count).then_some(index)
            }
            Comparable::Real(_) => None,
        })
        .collect();
    indices.sort_unstable();
    indices.dedup();
    Some(indices)
}
