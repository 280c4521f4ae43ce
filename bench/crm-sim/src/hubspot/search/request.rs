//! A search request: its JSON shape, its caps, and its compiled form.

use serde::{Deserialize, Deserializer};

use super::filter::{Condition, Group, Operator};
use super::{PAGE_MAX, RESULTS_MAX};
use crate::hubspot::problem::Problem;
use crate::hubspot::schema::Schema;

const GROUPS_MAX: usize = 5;
const FILTERS_PER_GROUP_MAX: usize = 10;
const FILTERS_MAX: usize = 25;
const QUERY_CHARACTERS_MAX: usize = 3000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SearchRequest {
    filter_groups: Vec<FilterGroup>,
    /// An older form: one group without the wrapping.
    filters: Vec<Filter>,
    sorts: Vec<Sort>,
    query: Option<String>,
    pub(crate) properties: Option<Vec<String>>,
    limit: Option<usize>,
    after: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
struct FilterGroup {
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: String,
    operator: String,
    value: Option<Scalar>,
    values: Option<Vec<Scalar>>,
    high_value: Option<Scalar>,
}

/// A sort rule; the short form is a property name, descending after a minus.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sort {
    Short(String),
    #[serde(rename_all = "camelCase")]
    Long {
        property_name: String,
        direction: Option<String>,
    },
}

/// A JSON scalar, read as text as the API reads it.
#[derive(Debug)]
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        use serde::de::Error;
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Scalar(text)),
            serde_json::Value::Number(number) => Ok(Scalar(number.to_string())),
            serde_json::Value::Bool(flag) => Ok(Scalar(flag.to_string())),
            other => Err(Error::custom(format!(
                "Cannot deserialize value of type `java.lang.String` from {other}"
            ))),
        }
    }
}

/// A request that passed every check.
#[derive(Debug)]
pub(crate) struct Query {
    /// OR-ed; empty matches everything.
    pub(crate) groups: Vec<Group>,
    /// Lower-case words that must all occur in a record.
    pub(crate) words: Vec<String>,
    pub(crate) sort_column: u16,
    pub(crate) descending: bool,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
}

/// Checks the caps and resolves names, operators and values.
pub(crate) fn compile(request: &SearchRequest, schema: &Schema) -> Result<Query, Problem> {
    let groups = groups(request, schema)?;
    let limit = request.limit.unwrap_or(10);
    if limit > PAGE_MAX {
        return Err(Problem::validation(format!(
            "limit must be less than or equal to {PAGE_MAX}, but was {limit}"
        )));
    }
    let offset = match &request.after {
        None => 0,
        Some(Scalar(text)) if text.is_empty() => 0,
        Some(Scalar(text)) => text.parse().map_err(|_| {
            Problem::validation(format!("after must be an integer offset, but was {text}"))
        })?,
    };
    if limit.saturating_add(offset) > RESULTS_MAX {
        return Err(Problem::validation(format!(
            "There was a problem with the request: paging past {RESULTS_MAX} results is not supported"
        )));
    }
    let query = request.query.as_deref().unwrap_or("");
    if query.chars().count() > QUERY_CHARACTERS_MAX {
        return Err(Problem::validation(format!(
            "query must be at most {QUERY_CHARACTERS_MAX} characters"
        )));
    }
    let (sort_column, descending) = sort(request, schema)?;
    Ok(Query {
        groups,
        words: query.split_whitespace().map(str::to_lowercase).collect(),
        sort_column,
        descending,
        limit,
        offset,
    })
}

fn groups(request: &SearchRequest, schema: &Schema) -> Result<Vec<Group>, Problem> {
    let mut groups: Vec<&[Filter]> = request
        .filter_groups
        .iter()
        .map(|group| group.filters.as_slice())
        .collect();
    if !request.filters.is_empty() {
        groups.push(&request.filters);
    }
    let total: usize = groups.iter().map(|filters| filters.len()).sum();
    let widest = groups.iter().map(|filters| filters.len()).max();
    if groups.len() > GROUPS_MAX {
        return Err(Problem::validation(format!(
            "Request has {} filterGroups, the maximum is {GROUPS_MAX}",
            groups.len()
        )));
    }
    if widest.unwrap_or(0) > FILTERS_PER_GROUP_MAX || total > FILTERS_MAX {
        return Err(Problem::validation(format!(
            "Request has {total} filters, the maximum is {FILTERS_PER_GROUP_MAX} in a group and {FILTERS_MAX} in total"
        )));
    }
    groups
        .into_iter()
        .map(|filters| {
            filters
                .iter()
                .map(|filter| condition(filter, schema))
                .collect()
        })
        .collect()
}

fn condition(filter: &Filter, schema: &Schema) -> Result<Condition, Problem> {
    let name = &filter.property_name;
    let column = schema.column(name).ok_or_else(|| {
        Problem::validation(format!(
            "There was a problem with the request: property {name} does not exist"
        ))
    })?;
    let operator = Operator::parse(&filter.operator).ok_or_else(|| {
        Problem::malformed(format!(
            "Cannot deserialize value of type `FilterOperator` from String \"{}\"",
            filter.operator
        ))
    })?;
    let one = |value: &Option<Scalar>, field: &str| match value {
        Some(Scalar(text)) => Ok(text.clone()),
        None => Err(Problem::validation(format!(
            "operator {} on property {name} needs {field}",
            filter.operator
        ))),
    };
    let operands = match operator {
        Operator::HasProperty | Operator::NotHasProperty => Vec::new(),
        Operator::In | Operator::NotIn => match &filter.values {
            Some(values) if !values.is_empty() => {
                values.iter().map(|value| value.0.clone()).collect()
            }
            _ => {
                return Err(Problem::validation(format!(
                    "operator {} on property {name} needs values",
                    filter.operator
                )));
            }
        },
        Operator::Between => vec![
            one(&filter.value, "value")?,
            one(&filter.high_value, "highValue")?,
        ],
        _ => vec![one(&filter.value, "value")?],
    };
    Condition::new(schema, column, operator, operands)
}

fn sort(request: &SearchRequest, schema: &Schema) -> Result<(u16, bool), Problem> {
    let (name, descending) = match request.sorts.as_slice() {
        [] => return Ok((schema.object_id, false)),
        [Sort::Short(text)] => match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text.as_str(), false),
        },
        [
            Sort::Long {
                property_name,
                direction,
            },
        ] => match direction.as_deref() {
            None | Some("ASCENDING") => (property_name.as_str(), false),
            Some("DESCENDING") => (property_name.as_str(), true),
            Some(other) => {
                return Err(Problem::malformed(format!(
                    "Cannot deserialize value of type `SortDirection` from String \"{other}\""
                )));
            }
        },
        _ => {
            return Err(Problem::validation(
                "Only one sort rule is supported per search".to_owned(),
            ));
        }
    };
    let column = schema.column(name).ok_or_else(|| {
        Problem::validation(format!(
            "There was a problem with the request: property {name} does not exist"
        ))
    })?;
    Ok((column, descending))
}
