//! A written value as it is kept: the text that reading shows.

use jiff::civil::Date;
use serde_json::Value;

use crate::salesforce::problem::Problem;
use crate::salesforce::schema::describe::length_max;
use crate::salesforce::schema::{Field, FieldType};
use crate::salesforce::soql::moment_ms;
use crate::salesforce::values::moment;

/// Checks a value against the type of its field; `None` clears it.
pub(super) fn canonical(field: &Field, given: &Value) -> Result<Option<String>, Problem> {
    let text = match given {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) if field.is_bare() => given.to_string(),
        _ => return Err(unreadable(field, given)),
    };
    let known = match field.field_type {
        FieldType::Boolean => boolean(&text),
        FieldType::Int => number(&text)
            .filter(|value| value.fract() == 0.0)
            .map(|_| text.clone()),
        FieldType::Double | FieldType::Currency | FieldType::Percent => {
            number(&text).map(|_| text.clone())
        }
        FieldType::Date => text.parse::<Date>().ok().map(|date| date.to_string()),
        FieldType::DateTime => moment_ms(&text).map(moment),
        FieldType::Email if !is_address(&text) => {
            return Err(Problem::new(
                400,
                "INVALID_EMAIL_ADDRESS",
                format!("{}: invalid email address: {text}", field.label),
            )
            .on(&[&field.name]));
        }
        _ => Some(text.clone()),
    };
    let known = known.ok_or_else(|| unreadable(field, given))?;
    let length_max = length_max(field);
    if known.chars().count() > length_max {
        let shown: String = known.chars().take(30).collect();
        return Err(Problem::new(
            400,
            "STRING_TOO_LONG",
            format!(
                "{}: data value too large: {shown} (max length={length_max})",
                field.label
            ),
        )
        .on(&[&field.name]));
    }
    Ok(Some(known))
}

fn boolean(text: &str) -> Option<String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some("true".to_owned()),
        "false" | "0" => Some("false".to_owned()),
        _ => None,
    }
}

/// A number that JSON can hold.
fn number(text: &str) -> Option<f64> {
    let value: serde_json::Number = text.parse().ok()?;
    value.as_f64().filter(|value| value.is_finite())
}

fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !text.contains([' ', ',', ';'])
    })
}

fn unreadable(field: &Field, given: &Value) -> Problem {
    let (kind, shown) = match given {
        Value::String(text) => ("VALUE_STRING", text.clone()),
        Value::Number(number) if number.is_f64() => ("VALUE_NUMBER_FLOAT", number.to_string()),
        Value::Number(number) => ("VALUE_NUMBER_INT", number.to_string()),
        Value::Bool(true) => ("VALUE_TRUE", "true".to_owned()),
        Value::Bool(false) => ("VALUE_FALSE", "false".to_owned()),
        Value::Array(_) => ("START_ARRAY", "[".to_owned()),
        Value::Object(_) => ("START_OBJECT", "{".to_owned()),
        Value::Null => ("VALUE_NULL", "null".to_owned()),
    };
    let wanted = match field.field_type {
        FieldType::Boolean => "boolean",
        FieldType::Int => "int",
        FieldType::Double => "double",
        FieldType::Currency => "currency",
        FieldType::Percent => "percent",
        FieldType::Date => "date",
        FieldType::DateTime => "datetime",
        _ => "string",
    };
    Problem::json_parser(format!(
        "Cannot deserialize instance of {wanted} from {kind} value {shown} or request may be missing a required field"
    ))
    .on(&[&field.name])
}
