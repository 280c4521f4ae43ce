//! The filters of a search: which records they let through, and the spans of
//! modification time outside of which they let none.

use serde_json::Value;

use crate::intercom::account::Account;
use crate::intercom::field::{Field, Form, Source};
use crate::intercom::kind::Kind;
use crate::intercom::problem::Problem;
use crate::intercom::schema::find;
use crate::records::View;

/// Filters in one group at most.
const FILTERS_MAX: usize = 15;
/// Groups within groups at most.
const NESTING_MAX: usize = 2;

/// One filter, or a group of them.
#[derive(Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Leaf(Leaf),
}

#[derive(Debug)]
pub(crate) struct Leaf {
    field: &'static Field,
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// A span of whole days, in milliseconds, half open.
    Days(i64, i64),
    Equal(Option<String>),
    Unequal(Option<String>),
    In(Vec<String>),
    NotIn(Vec<String>),
    Less(f64),
    Greater(f64),
    Contains(String),
    Lacks(String),
    Starts(String),
    Ends(String),
}

/// Spans of modification time, disjoint and rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spans {
    pub(crate) spans: Vec<(i64, i64)>,
    /// Whether every record within them is let through.
    pub(crate) exact: bool,
}

impl Node {
    pub(crate) fn parse(account: &Account, kind: Kind, query: &Value) -> Result<Node, Problem> {
        Node::nested(account, kind, query, 0)
    }

    fn nested(account: &Account, kind: Kind, query: &Value, depth: usize) -> Result<Node, Problem> {
        let operator = query.get("operator").and_then(Value::as_str);
        let operator = operator.ok_or_else(|| Problem::missing("operator"))?;
        if !matches!(operator, "AND" | "OR") {
            return Leaf::parse(account, kind, operator, query).map(Node::Leaf);
        }
        let filters = query.get("value").and_then(Value::as_array);
        let filters =
            filters.ok_or_else(|| Problem::invalid("value", "value must be a list of filters"))?;
        if depth >= NESTING_MAX {
            return Err(Problem::invalid("query", "Filters are nested too deeply"));
        }
        if filters.len() > FILTERS_MAX {
            return Err(Problem::invalid("query", "A group has too many filters"));
        }
        let nodes = filters
            .iter()
            .map(|filter| Node::nested(account, kind, filter, depth + 1))
            .collect::<Result<Vec<Node>, Problem>>()?;
        Ok(if operator == "AND" {
            Node::And(nodes)
        } else {
            Node::Or(nodes)
        })
    }

    pub(crate) fn matches(&self, account: &Account, kind: Kind, view: &View<'_>) -> bool {
        let matches = |node: &Node| node.matches(account, kind, view);
        match self {
            Node::And(nodes) => nodes.iter().all(matches),
            Node::Or(nodes) => nodes.iter().any(matches),
            Node::Leaf(leaf) => leaf.matches(account, kind, view),
        }
    }

    /// The spans of modification time outside of which nothing matches.
    pub(crate) fn spans(&self) -> Spans {
        match self {
            Node::And(nodes) => nodes.iter().map(Node::spans).fold(Spans::all(), Spans::and),
            Node::Or(nodes) => nodes.iter().map(Node::spans).fold(Spans::none(), Spans::or),
            Node::Leaf(Leaf {
                field,
                test: Test::Days(from_ms, until_ms),
            }) if matches!(field.source, Source::Updated) => Spans {
                spans: vec![(*from_ms, *until_ms)],
                exact: true,
            },
            Node::Leaf(_) => Spans {
                exact: false,
                ..Spans::all()
            },
        }
    }
}

impl Leaf {
    fn parse(
        account: &Account,
        kind: Kind,
        operator: &str,
        filter: &Value,
    ) -> Result<Leaf, Problem> {
        let name = filter.get("field").and_then(Value::as_str);
        let name = name.ok_or_else(|| Problem::missing("field"))?;
        let field = find(kind, name)
            .ok_or_else(|| Problem::invalid(name, format!("{name} is not a searchable field")))?;
        let value = filter
            .get("value")
            .ok_or_else(|| Problem::missing("value"))?;
        let test = if field.form == Form::Seconds {
            days(account, name, operator, value)?
        } else {
            test(field, operator, value)?
        };
        Ok(Leaf { field, test })
    }

    fn matches(&self, account: &Account, kind: Kind, view: &View<'_>) -> bool {
        if let Test::Days(from_ms, until_ms) = self.test {
            let ms = match self.field.source {
                Source::Created => Some(view.row.created_ms),
                Source::Updated => Some(view.row.modified_ms),
                _ => self.text(account, kind, view).and_then(|text| {
                    let seconds: i64 = text.parse().ok()?;
                    Some(seconds.saturating_mul(1000))
                }),
            };
            return ms.is_some_and(|ms| (from_ms..until_ms).contains(&ms));
        }
        let text = self.text(account, kind, view);
        let number = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok();
        let holds = |check: fn(&str, &str) -> bool, part: &str| {
            text.as_ref()
                .is_some_and(|text| check(&text.to_lowercase(), part))
        };
        match &self.test {
            Test::Days(..) => false,
            Test::Equal(value) => &text == value,
            Test::Unequal(value) => &text != value,
            Test::In(values) => text.is_some_and(|text| values.contains(&text)),
            Test::NotIn(values) => text.is_none_or(|text| !values.contains(&text)),
            Test::Less(bound) => number(&text).is_some_and(|number| number < *bound),
            Test::Greater(bound) => number(&text).is_some_and(|number| number > *bound),
            Test::Contains(part) => holds(|text, part| text.contains(part), part),
            Test::Lacks(part) => !holds(|text, part| text.contains(part), part),
            Test::Starts(part) => holds(|text, part| text.starts_with(part), part),
            Test::Ends(part) => holds(|text, part| text.ends_with(part), part),
        }
    }

    fn text(&self, account: &Account, kind: Kind, view: &View<'_>) -> Option<String> {
        if self.field.name == "role" {
            let lead = crate::intercom::field::is_lead(view);
            return Some(if lead { "lead" } else { "user" }.to_owned());
        }
        let mut out = Vec::new();
        let present = self.field.text(kind, &account.config, view, &mut out);
        present.then(|| String::from_utf8(out).unwrap_or_default())
    }
}

/// A test of a moment: by the day, as the workspace's time zone has it.
fn days(account: &Account, name: &str, operator: &str, value: &Value) -> Result<Test, Problem> {
    let invalid = || Problem::invalid(name, format!("{name} must be a time in seconds"));
    let seconds = value.as_i64().ok_or_else(invalid)?;
    let moment = jiff::Timestamp::from_second(seconds).map_err(|_outside| invalid())?;
    let day = moment.to_zoned(account.timezone.clone()).date();
    let midnight_ms = |day: jiff::civil::Date| {
        let start = day.to_zoned(account.timezone.clone()).ok()?;
        Some(start.timestamp().as_millisecond())
    };
    let start_ms = midnight_ms(day).ok_or_else(invalid)?;
    let next = day.tomorrow().map_err(|_last| invalid())?;
    let next_ms = midnight_ms(next).ok_or_else(invalid)?;
    match operator {
        "=" => Ok(Test::Days(start_ms, next_ms)),
        ">" => Ok(Test::Days(next_ms, i64::MAX)),
        "<" => Ok(Test::Days(i64::MIN, start_ms)),
        _ => Err(operator_problem(name, operator)),
    }
}

fn operator_problem(name: &str, operator: &str) -> Problem {
    Problem::invalid(
        name,
        format!("The operator {operator} is not supported for {name}"),
    )
}

fn test(field: &Field, operator: &str, value: &Value) -> Result<Test, Problem> {
    let name = field.name;
    let mistyped = || Problem::invalid(name, format!("The value has the wrong type for {name}"));
    let text = |value: &Value| match (field.form, value) {
        (_, Value::Null) => Ok(None),
        (Form::Text, Value::String(text)) => Ok(Some(text.clone())),
        (Form::Number, Value::Number(number)) => Ok(Some(number.to_string())),
        (Form::Flag, Value::Bool(flag)) => Ok(Some(flag.to_string())),
        _ => Err(mistyped()),
    };
    let texts = |value: &Value| {
        let values = value.as_array().ok_or_else(mistyped)?;
        let texts = values
            .iter()
            .map(text)
            .collect::<Result<Vec<_>, Problem>>()?;
        Ok(texts.into_iter().flatten().collect::<Vec<String>>())
    };
    let part = |value: &Value| match value {
        Value::String(text) if field.form == Form::Text => Ok(text.to_lowercase()),
        _ => Err(mistyped()),
    };
    let bound = |value: &Value| match field.form {
        Form::Number => value.as_f64().ok_or_else(mistyped),
        _ => Err(operator_problem(name, operator)),
    };
    Ok(match operator {
        "=" => Test::Equal(text(value)?),
        "!=" => Test::Unequal(text(value)?),
        "IN" => Test::In(texts(value)?),
        "NIN" => Test::NotIn(texts(value)?),
        "<" => Test::Less(bound(value)?),
        ">" => Test::Greater(bound(value)?),
        "~" => Test::Contains(part(value)?),
        "!~" => Test::Lacks(part(value)?),
        "^" => Test::Starts(part(value)?),
        "$" => Test::Ends(part(value)?),
        _ => return Err(operator_problem(name, operator)),
    })
}

impl Spans {
    fn all() -> Spans {
        Spans {
            spans: vec![(i64::MIN, i64::MAX)],
            exact: true,
        }
    }

    fn none() -> Spans {
        Spans {
            spans: Vec::new(),
            exact: true,
        }
    }

    fn and(self, other: Spans) -> Spans {
        let mut spans = Vec::new();
        for (from, until) in &self.spans {
            for (other_from, other_until) in &other.spans {
                let (from, until) = (*from.max(other_from), *until.min(other_until));
                if from < until {
                    spans.push((from, until));
                }
            }
        }
        Spans {
            spans,
            exact: self.exact && other.exact,
        }
    }

    fn or(self, other: Spans) -> Spans {
        let mut all = self.spans;
        all.extend(other.spans);
        all.sort_unstable();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for (from, until) in all {
            match spans.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ => spans.push((from, until)),
            }
        }
        Spans {
            spans,
            exact: self.exact && other.exact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spans;

    fn spans(spans: &[(i64, i64)]) -> Spans {
        Spans {
            spans: spans.to_vec(),
            exact: true,
        }
    }

    #[test]
    fn spans_meet_and_join() {
        let day = spans(&[(10, 20)]);
        let after = spans(&[(20, i64::MAX)]);
        assert_eq!(day.clone().or(after.clone()), spans(&[(10, i64::MAX)]));
        assert_eq!(day.clone().and(after), spans(&[]));
        let apart = day.clone().or(spans(&[(30, 40)]));
        assert_eq!(apart, spans(&[(10, 20), (30, 40)]));
        assert_eq!(apart.and(spans(&[(15, 35)])), spans(&[(15, 20), (30, 35)]));
    }
}
