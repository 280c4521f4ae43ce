//! One filter of a search, typed by its property, and how it judges a record.

use crate::clock::parse_ms;
use crate::hubspot::problem::Problem;
use crate::hubspot::schema::{PropertyType, Schema};
use crate::records::View;

/// Conditions that must all hold.
pub(crate) type Group = Vec<Condition>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Between,
    In,
    NotIn,
    HasProperty,
    NotHasProperty,
    ContainsToken,
    NotContainsToken,
}

impl Operator {
    pub(crate) fn parse(text: &str) -> Option<Operator> {
        Some(match text {
            "EQ" => Operator::Equal,
            "NEQ" => Operator::NotEqual,
            "LT" => Operator::Less,
            "LTE" => Operator::LessOrEqual,
            "GT" => Operator::Greater,
            "GTE" => Operator::GreaterOrEqual,
            "BETWEEN" => Operator::Between,
            "IN" => Operator::In,
            "NOT_IN" => Operator::NotIn,
            "HAS_PROPERTY" => Operator::HasProperty,
            "NOT_HAS_PROPERTY" => Operator::NotHasProperty,
            "CONTAINS_TOKEN" => Operator::ContainsToken,
            "NOT_CONTAINS_TOKEN" => Operator::NotContainsToken,
            _ => return None,
        })
    }
}

/// A value that can be compared; text is compared without regard to case.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) enum Comparable {
    Integer(i64),
    Real(f64),
    Text(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) column: u16,
    pub(crate) operator: Operator,
    /// One value, two for `BETWEEN`, any number for `IN` and `NOT_IN`.
    pub(crate) operands: Vec<Comparable>,
    /// The operands as sent, which key the cache of matches.
    pub(crate) raw: Vec<String>,
}

impl Condition {
    pub(crate) fn new(
        schema: &Schema,
        column: u16,
        operator: Operator,
        raw: Vec<String>,
    ) -> Result<Condition, Problem> {
        let property = schema.property(column);
        let lists = matches!(operator, Operator::In | Operator::NotIn);
        let mut operands = Vec::with_capacity(raw.len());
        for text in &raw {
            // Values of a string list are matched as sent against lower-cased
            // text: an upper-case value never matches.
            let operand = if lists && property.property_type() == PropertyType::String {
                Some(Comparable::Text(text.clone()))
            } else {
                comparable(schema, column, text)
            };
            operands.push(operand.ok_or_else(|| {
                Problem::validation(format!(
                    "Invalid value for property {}: {text}",
                    property.name
                ))
            })?);
        }
        Ok(Condition {
            column,
            operator,
            operands,
            raw,
        })
    }

    /// Whether a record passes. `text_ids` compares record ids as text.
    pub(crate) fn matches(
        &self,
        view: &View<'_>,
        schema: &Schema,
        text_ids: bool,
        scratch: &mut Vec<u8>,
    ) -> bool {
        let value = value(view, schema, self.column, scratch);
        let value = match value {
            Some(Comparable::Integer(id)) if text_ids && self.column == schema.object_id => {
                return self.matches_text_id(&id.to_string());
            }
            Some(value) => value,
            None => {
                return matches!(
                    self.operator,
                    Operator::NotHasProperty
                        | Operator::NotEqual
                        | Operator::NotIn
                        | Operator::NotContainsToken
                );
            }
        };
        self.holds(&value, &self.operands)
    }

    fn matches_text_id(&self, id: &str) -> bool {
        let operands: Vec<Comparable> = self
            .raw
            .iter()
            .map(|text| Comparable::Text(text.clone()))
            .collect();
        self.holds(&Comparable::Text(id.to_owned()), &operands)
    }

    fn holds(&self, value: &Comparable, operands: &[Comparable]) -> bool {
        let first = operands.first();
        let token = || match (value, first) {
            (Comparable::Text(text), Some(Comparable::Text(token))) => contains_token(text, token),
            _ => Some(value) == first,
        };
        match self.operator {
            Operator::Equal => Some(value) == first,
            Operator::NotEqual => Some(value) != first,
            Operator::Less => first.is_some_and(|operand| value < operand),
            Operator::LessOrEqual => first.is_some_and(|operand| value <= operand),
            Operator::Greater => first.is_some_and(|operand| value > operand),
            Operator::GreaterOrEqual => first.is_some_and(|operand| value >= operand),
            Operator::Between => {
                let high = operands.get(1);
                first.is_some_and(|low| value >= low) && high.is_some_and(|high| value <= high)
            }
            Operator::In => operands.contains(value),
            Operator::NotIn => !operands.contains(value),
            Operator::HasProperty => true,
            Operator::NotHasProperty => false,
            Operator::ContainsToken => token(),
            Operator::NotContainsToken => !token(),
        }
    }
}

/// The value of a property of a record, `None` for null or empty.
pub(crate) fn value(
    view: &View<'_>,
    schema: &Schema,
    column: u16,
    scratch: &mut Vec<u8>,
) -> Option<Comparable> {
    if column == schema.modified {
        return Some(Comparable::Integer(view.row.modified_ms));
    }
    if column == schema.created {
        return Some(Comparable::Integer(view.row.created_ms));
    }
    if column == schema.object_id {
        return i64::try_from(view.row.id).ok().map(Comparable::Integer);
    }
    scratch.clear();
    if !view.text(schema.cell(column), scratch) || scratch.is_empty() {
        return None;
    }
    comparable(schema, column, &String::from_utf8_lossy(scratch))
}

/// Reads text as the type of a property.
fn comparable(schema: &Schema, column: u16, text: &str) -> Option<Comparable> {
    match schema.property(column).property_type() {
        PropertyType::Date | PropertyType::DateTime => parse_ms(text).map(Comparable::Integer),
        PropertyType::Number if column == schema.object_id => {
            text.parse().ok().map(Comparable::Integer)
        }
        PropertyType::Number => text.parse().ok().map(Comparable::Real),
        _ => Some(Comparable::Text(text.to_lowercase())),
    }
}

/// Whether a whole word of the text matches; `*` stands for any characters at
/// either end.
fn contains_token(text: &str, token: &str) -> bool {
    let words = text.split(|character: char| !character.is_alphanumeric());
    let bare = token.trim_matches('*');
    match (token.starts_with('*'), token.ends_with('*')) {
        (true, true) => text.contains(bare),
        (true, false) => words.into_iter().any(|word| word.ends_with(bare)),
        (false, true) => words.into_iter().any(|word| word.starts_with(bare)),
        (false, false) => words.into_iter().any(|word| word == bare) || text == bare,
    }
}
