//! What each member takes: strictly by type in the second version, leniently in the
//! first.

use serde_json::{Value, json};

use super::put;
use crate::overlay::Changes;
use crate::pipedrive::problem::Problem;
use crate::pipedrive::render::Dialect;
use crate::pipedrive::schema::field::{Field, subfields};
use crate::pipedrive::schema::{FieldType, Schema};

/// What a member may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    Integer,
    Integers,
    Amount,
    Flag,
    User,
    Contacts,
    Day,
    Moment,
    Status,
    /// Text, or an object with it.
    Place,
}

fn expected(name: &str, what: &str, value: &Value) -> Problem {
    let received = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Problem::invalid(format!(
        "Validation failed: {name}: expected {what}, received {received}"
    ))
}

/// The text that a record keeps of a value; none for null.
pub(super) fn take(
    name: &str,
    value: &Value,
    takes: Takes,
    dialect: Dialect,
) -> Result<Option<String>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    let lenient = dialect == Dialect::First;
    let text = match (takes, value) {
        (Takes::Text, Value::String(text)) => text.clone(),
        (Takes::Text, Value::Number(number)) if lenient => number.to_string(),
        (Takes::Text, Value::Bool(flag)) if lenient => flag.to_string(),
        (Takes::Text, _) => return Err(expected(name, "string", value)),
        (Takes::Integer | Takes::User, Value::Number(number)) if number.is_u64() => {
            number.to_string()
        }
        (Takes::Integer | Takes::User, Value::String(text)) if lenient => match text.trim() {
            "" => return Ok(None),
            digits if digits.parse::<u64>().is_ok() => digits.to_owned(),
            _ => return Err(expected(name, "number", value)),
        },
        (Takes::Integer | Takes::User, _) => return Err(expected(name, "number", value)),
        (Takes::Amount, Value::Number(number)) => number.to_string(),
        (Takes::Amount, Value::String(text)) if lenient && text.parse::<f64>().is_ok() => {
            text.clone()
        }
        (Takes::Amount, _) => return Err(expected(name, "number", value)),
        (Takes::Flag, Value::Bool(flag)) => flag.to_string(),
        (Takes::Flag, Value::Number(number)) if lenient => (number.as_u64() == Some(1)).to_string(),
        (Takes::Flag, Value::String(text)) if lenient => {
            matches!(text.as_str(), "1" | "true").to_string()
        }
        (Takes::Flag, _) => return Err(expected(name, "boolean", value)),
        (Takes::Integers, _) => return integers(name, value, lenient),
        (Takes::Contacts, _) => return contacts(name, value, lenient),
        (Takes::Day, Value::String(text)) => return day(name, text, lenient),
        (Takes::Day, _) => return Err(expected(name, "string", value)),
        (Takes::Moment, Value::String(text)) => text.replacen(' ', "T", 1) + zone(text),
        (Takes::Moment, _) => return Err(expected(name, "string", value)),
        (Takes::Status, Value::String(text)) => match text.as_str() {
            "open" | "won" | "lost" => text.clone(),
            _ => {
                return Err(Problem::invalid(format!(
                    "Validation failed: {name}: expected one of open, won, lost"
                )));
            }
        },
        (Takes::Status, _) => return Err(expected(name, "string", value)),
        (Takes::Place, Value::Object(parts)) if !lenient => {
            let text = parts.get("value").and_then(Value::as_str);
            return Ok(text.map(str::to_owned));
        }
        (Takes::Place, Value::String(text)) if lenient => text.clone(),
        (Takes::Place, _) => return Err(expected(name, "object", value)),
    };
    Ok(Some(text))
}

/// Times of the first version carry no zone.
fn zone(text: &str) -> &'static str {
    if text.ends_with('Z') { "" } else { "Z" }
}

fn integers(name: &str, value: &Value, lenient: bool) -> Result<Option<String>, Problem> {
    let items: Vec<String> = match value {
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Number(number) if number.is_u64() => Ok(number.to_string()),
                Value::String(text) if lenient && text.parse::<u64>().is_ok() => Ok(text.clone()),
                _ => Err(expected(name, "array of numbers", value)),
            })
            .collect::<Result<_, _>>()?,
        Value::String(text) if lenient => text.split(',').map(|id| id.trim().to_owned()).collect(),
        Value::Number(number) if lenient => vec![number.to_string()],
        _ => return Err(expected(name, "array", value)),
    };
    let items: Vec<String> = items.into_iter().filter(|item| !item.is_empty()).collect();
    Ok((!items.is_empty()).then(|| items.join(",")))
}

/// Keeps addresses and numbers as the array that answers show.
fn contacts(name: &str, value: &Value, lenient: bool) -> Result<Option<String>, Problem> {
    let entry = |value: &Value, primary: bool| -> Option<Value> {
        match value {
            Value::String(text) if lenient => {
                Some(json!({"label": "", "value": text, "primary": primary}))
            }
            Value::Object(entry) => Some(json!({
                "label": entry.get("label").cloned().unwrap_or_else(|| json!("")),
                "value": entry.get("value")?.as_str()?,
                "primary": entry.get("primary").map_or(Some(primary), Value::as_bool)?,
            })),
            _ => None,
        }
    };
    let entries = match value {
        Value::Array(entries) => entries
            .iter()
            .enumerate()
            .map(|(place, value)| entry(value, place == 0))
            .collect::<Option<Vec<Value>>>(),
        other if lenient => entry(other, true).map(|entry| vec![entry]),
        _ => None,
    };
    let entries = entries.ok_or_else(|| expected(name, "array of objects", value))?;
    let some = entries.iter().any(|entry| entry["value"] != json!(""));
    Ok(some.then(|| Value::Array(entries).to_string()))
}

fn day(name: &str, text: &str, lenient: bool) -> Result<Option<String>, Problem> {
    // The first version takes whole times and keeps their day.
    let text = match lenient {
        true => text.get(..10).unwrap_or(text),
        false => text,
    };
    if text.is_empty() && lenient {
        return Ok(None);
    }
    match text.parse::<jiff::civil::Date>() {
        Ok(date) if date.to_string() == text => Ok(Some(text.to_owned())),
        _ => Err(Problem::invalid(format!(
            "Validation failed: {name}: expected a date in the format YYYY-MM-DD"
        ))),
    }
}

/// Takes the value of a field of the company's own, with its parts.
pub(super) fn custom(
    schema: &Schema,
    field: &Field,
    value: &Value,
    dialect: Dialect,
    changes: &mut Changes,
) -> Result<(), Problem> {
    let name = &field.key;
    let Some(column) = schema.column(name) else {
        return Ok(());
    };
    let takes = match field.field_type {
        FieldType::Double | FieldType::Monetary => Takes::Amount,
        FieldType::Date | FieldType::Daterange => Takes::Day,
        FieldType::Enum | FieldType::User | FieldType::Org | FieldType::People => Takes::Integer,
        FieldType::Set => Takes::Integers,
        _ => Takes::Text,
    };
    let parts = subfields(field.field_type);
    let (main, rest) = match (dialect, parts.is_empty(), value) {
        (Dialect::Second, false, Value::Object(members)) => {
            (members.get("value").unwrap_or(&Value::Null), Some(members))
        }
        (Dialect::Second, false, Value::Null) => (value, None),
        (Dialect::Second, false, _) => return Err(expected(name, "object", value)),
        _ => (value, None),
    };
    let mut taken = take(name, main, takes, dialect)?;
    check_options(field, taken.as_deref())?;
    // Short text is emptied, everything else is unset.
    if taken.is_none()
        && dialect == Dialect::First
        && matches!(
            field.field_type,
            FieldType::Varchar | FieldType::VarcharAuto
        )
    {
        taken = Some(String::new());
    }
    let is_set = taken.is_some();
    put(changes, column, taken);
    for part in parts {
        let key = format!("{name}_{}", part.suffix);
        let Some(column) = schema.column(&key) else {
            continue;
        };
        let sent = rest.and_then(|members| members.get(part.suffix));
        let takes = match part.field_type {
            FieldType::Int => Takes::Integer,
            FieldType::Date => Takes::Day,
            _ => Takes::Text,
        };
        let taken = match sent {
            Some(value) => take(&key, value, takes, dialect)?,
            None if part.suffix == "currency" && is_set => Some("USD".to_owned()),
            None => None,
        };
        put(changes, column, taken);
    }
    Ok(())
}

/// Options are named by their ids; an unknown one is refused.
fn check_options(field: &Field, taken: Option<&str>) -> Result<(), Problem> {
    if !matches!(field.field_type, FieldType::Enum | FieldType::Set) {
        return Ok(());
    }
    for id in taken
        .unwrap_or_default()
        .split(',')
        .filter(|id| !id.is_empty())
    {
        let mut options = field.options.iter();
        if !options.any(|option| option.id.to_string() == id) {
            return Err(Problem::invalid(format!(
                "Validation failed: {}: there is no option {id}",
                field.key
            )));
        }
    }
    Ok(())
}
