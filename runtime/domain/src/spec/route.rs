//! A route: which events a subscriber hears of, and what of each. The language is as
//! small as it can be, and total: any event either passes or does not.

use super::Problem;
use crate::text_schema::text_schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::fmt;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Conditions of one predicate, and how deep they nest.
const CONDITIONS_MAX: usize = 64;
const DEPTH_MAX: usize = 8;
/// Values that one `in` names, and fields that a projection keeps.
const VALUES_MAX: usize = 100;
const FIELDS_MAX: usize = 64;
/// Characters and steps of a field's pointer.
const POINTER_CHARS_MAX: usize = 256;
const STEPS_MAX: usize = 16;
/// What every event keeps: without them it could be told from no other.
const ALWAYS_KEPT: [&str; 3] = ["id", "type", "timestamp"];

/// Which events a subscriber hears of, and what of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSpec {
    /// What must hold of an event; without it every one passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate: Option<Predicate>,
    /// The fields that are sent; without any the whole event is. `id`, `type` and
    /// `timestamp` always are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub projection: Vec<FieldPointer>,
}

/// A condition on an event. One on a field that is not there does not hold, but `ne`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Predicate {
    /// All of these hold.
    #[schema(no_recursion)]
    All(Vec<Predicate>),
    /// One of these holds at least.
    #[schema(no_recursion)]
    Any(Vec<Predicate>),
    /// The field is this value.
    Eq(FieldValue),
    /// The field is not this value, or is not there.
    Ne(FieldValue),
    /// The field is one of these values.
    In(FieldValues),
    /// The field is there.
    Exists(Field),
    /// The field is a text that begins with this.
    Prefix(FieldPrefix),
}

/// A field and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldValue {
    /// The field.
    pub field: FieldPointer,
    /// The value.
    pub value: Scalar,
}

/// A field and its possible values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldValues {
    /// The field.
    pub field: FieldPointer,
    /// The values.
    #[schema(min_items = 1, max_items = 100)]
    pub values: Vec<Scalar>,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The field.
    pub field: FieldPointer,
}

/// A field and how its text begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldPrefix {
    /// The field.
    pub field: FieldPointer,
    /// The beginning.
    pub value: String,
}

/// A text, a number, or true or false.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A number; 1 and 1.0 are two.
    Number(Number),
    /// A text.
    Text(String),
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Scalar::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Scalar::Number(wanted), Value::Number(found)) => wanted == found,
            (Scalar::Text(wanted), Value::String(found)) => wanted == found,
            _ => false,
        }
    }
}

impl PartialSchema for Scalar {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([
                Type::Boolean,
                Type::Number,
                Type::String,
            ]))
            .description(Some("A text, a number, or true or false."))
            .into()
    }
}

impl ToSchema for Scalar {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Scalar")
    }
}

/// A JSON pointer (RFC 6901) to a field of an event; a step `*` stands for every
/// element of a list: `/Records/*/s3/object/key`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPointer(String);

/// Why a text points to no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} points to no field: use /name/name, with * for every element of a list, of at most 16 steps and 256 characters"
)]
pub struct InvalidFieldPointer(String);

impl FieldPointer {
    /// Parses the text.
    ///
    /// # Errors
    /// [`InvalidFieldPointer`].
    pub fn parse(text: &str) -> Result<FieldPointer, InvalidFieldPointer> {
        let steps = text.split('/').count() - 1;
        let fits = text.len() <= POINTER_CHARS_MAX && (1..=STEPS_MAX).contains(&steps);
        let escapes = text.replace("~0", "").replace("~1", "");
        if fits && text.starts_with('/') && !escapes.contains('~') {
            Ok(FieldPointer(text.to_owned()))
        } else {
            let shown = text.chars().take(POINTER_CHARS_MAX).collect();
            Err(InvalidFieldPointer(shown))
        }
    }

    fn steps(&self) -> Vec<String> {
        let steps = self.0.split('/').skip(1);
        steps
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect()
    }

    /// Whether any value that it points to passes.
    fn any(&self, payload: &Value, passes: &dyn Fn(&Value) -> bool) -> bool {
        any_below(payload, &self.steps(), passes)
    }
}

impl fmt::Display for FieldPointer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for FieldPointer {
    type Error = InvalidFieldPointer;
    fn try_from(text: String) -> Result<Self, InvalidFieldPointer> {
        Self::parse(&text)
    }
}

impl From<FieldPointer> for String {
    fn from(pointer: FieldPointer) -> String {
        pointer.0
    }
}

text_schema!(
    FieldPointer,
    "A JSON pointer to a field of an event; a step `*` stands for every element of a list.",
    "^/",
    POINTER_CHARS_MAX
);

fn any_below(value: &Value, steps: &[String], passes: &dyn Fn(&Value) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return passes(value);
    };
    match value {
        Value::Object(members) => members
            .get(step)
            .is_some_and(|member| any_below(member, rest, passes)),
        Value::Array(items) if step == "*" => {
            items.iter().any(|item| any_below(item, rest, passes))
        }
        Value::Array(items) => {
            let item = step.parse().ok().and_then(|at: usize| items.get(at));
            item.is_some_and(|item| any_below(item, rest, passes))
        }
        _ => false,
    }
}

impl Predicate {
    /// Whether it holds of the event.
    pub fn holds(&self, payload: &Value) -> bool {
        match self {
            Predicate::All(of) => of.iter().all(|one| one.holds(payload)),
            Predicate::Any(of) => of.iter().any(|one| one.holds(payload)),
            Predicate::Eq(it) => it.field.any(payload, &|found| it.value.is(found)),
            Predicate::Ne(it) => !it.field.any(payload, &|found| it.value.is(found)),
            Predicate::In(it) => {
                let is_one = |found: &Value| it.values.iter().any(|value| value.is(found));
                it.field.any(payload, &is_one)
            }
            Predicate::Exists(it) => it.field.any(payload, &|_| true),
            Predicate::Prefix(it) => {
                let begins = |found: &Value| {
                    let text = found.as_str();
                    text.is_some_and(|text| text.starts_with(&it.value))
                };
                it.field.any(payload, &begins)
            }
        }
    }

    /// Adds what cannot work; returns how many conditions there are.
    fn check(&self, pointer: &str, depth: usize, found: &mut Vec<Problem>) -> usize {
        let mut add = |pointer: String, reason: String| found.push(Problem { pointer, reason });
        let (name, of) = match self {
            Predicate::All(of) => ("all", of),
            Predicate::Any(of) => ("any", of),
            Predicate::In(it) => {
                if !(1..=VALUES_MAX).contains(&it.values.len()) {
                    let reason = format!("name 1 to {VALUES_MAX} values");
                    add(format!("{pointer}/in/values"), reason);
                }
                return 1;
            }
            _ => return 1,
        };
        let pointer = format!("{pointer}/{name}");
        if of.is_empty() {
            add(pointer, "name at least one condition".to_owned());
            return 1;
        }
        if depth >= DEPTH_MAX {
            let reason = format!("conditions nest {DEPTH_MAX} deep at the most");
            add(pointer, reason);
            return 1;
        }
        let each = of.iter().enumerate();
        each.map(|(at, one)| one.check(&format!("{pointer}/{at}"), depth + 1, found))
            .sum::<usize>()
            + 1
    }
}

impl RouteSpec {
    /// Everything in it that cannot work; empty when it is sound.
    pub fn validate(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let pointer = "/predicate";
        let count = self
            .predicate
            .as_ref()
            .map_or(0, |predicate| predicate.check(pointer, 1, &mut found));
        if count > CONDITIONS_MAX {
            found.push(Problem {
                pointer: pointer.to_owned(),
                reason: format!("has {count} conditions; {CONDITIONS_MAX} are the most"),
            });
        }
        if self.projection.len() > FIELDS_MAX {
            found.push(Problem {
                pointer: "/projection".to_owned(),
                reason: format!("name {FIELDS_MAX} fields at the most"),
            });
        }
        found
    }

    /// What is sent of the event.
    pub fn project(&self, payload: Value) -> Value {
        if self.projection.is_empty() {
            return payload;
        }
        let fixed = ALWAYS_KEPT.iter().map(|name| vec![(*name).to_owned()]);
        let named = self.projection.iter().map(FieldPointer::steps);
        let paths: Vec<Vec<String>> = fixed.chain(named).collect();
        let paths: Vec<&[String]> = paths.iter().map(Vec::as_slice).collect();
        keep(&payload, &paths).unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// The value without what no path leads to; none where nothing is left.
fn keep(value: &Value, paths: &[&[String]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    let below = |is_next: &dyn Fn(&str) -> bool| -> Vec<&[String]> {
        let next = paths.iter().filter(|path| is_next(&path[0]));
        next.map(|path| &path[1..]).collect()
    };
    match value {
        Value::Object(members) => {
            let kept: Map<String, Value> = members
                .iter()
                .filter_map(|(name, member)| {
                    let kept = keep(member, &below(&|step| step == name))?;
                    Some((name.clone(), kept))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items
                .iter()
                .enumerate()
                .filter_map(|(at, item)| {
                    let at = at.to_string();
                    keep(item, &below(&|step| step == "*" || step == at))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
