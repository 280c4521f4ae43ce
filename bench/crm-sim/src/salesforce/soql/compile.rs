//! A query against the fields of its object: what it asks for, or why it cannot be.

use std::sync::Arc;

use super::bounds::Bounds;
use super::filter::{Comparable, Test, comparable, moment_ms};
use super::parse::{Expression, Item, Literal, Name, Operator, Soql, parse};
use super::token::pointer;
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::problem::Problem;
use crate::salesforce::schema::{Field, FieldType, Schema};
use crate::salesforce::wire_id::{parse_wire_id, wire_text};

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Rest,
    Bulk,
}

/// `OFFSET` at most.
const OFFSET_MAX: u64 = 2000;
/// `LIMIT` at most where `FIELDS` asks for custom fields.
const FIELDS_LIMIT_MAX: u64 = 200;

/// One selected column.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Own(u16),
    /// Fields of the record that a reference names.
    Parent {
        /// The column of the reference.
        reference: u16,
        /// `Owner`.
        relationship: String,
        schema: Arc<Schema>,
        columns: Vec<u16>,
    },
}

/// An aggregate over all matches.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) name: String,
    pub(crate) function: String,
    pub(crate) column: u16,
}

/// One key of the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) column: u16,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

/// A query that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) object: Object,
    pub(crate) schema: Arc<Schema>,
    pub(crate) columns: Vec<Column>,
    /// `COUNT()`.
    pub(crate) counts: bool,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(super) test: Option<Test>,
    pub(super) bounds: Bounds,
    pub(crate) order: Vec<Key>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    /// Whether deleted records count.
    pub(crate) all_rows: bool,
}

/// Reads a query and checks every name and value in it.
pub(crate) fn compile(
    org: &Org,
    text: &str,
    all_rows: bool,
    flavour: Flavour,
) -> Result<Query, Problem> {
    let soql = parse(text)?;
    let object = Object::parse(&soql.object.text)
        .ok_or_else(|| Problem::no_such_type(&soql.object.text, &pointer(text, soql.object.at)))?;
    let compiler = Compiler {
        org,
        text,
        schema: org.collection(object).schema(),
        flavour,
    };
    compiler.query(object, &soql, all_rows)
}

struct Compiler<'a> {
    org: &'a Org,
    text: &'a str,
    schema: Arc<Schema>,
    flavour: Flavour,
}

impl Compiler<'_> {
    fn query(&self, object: Object, soql: &Soql, all_rows: bool) -> Result<Query, Problem> {
        let mut columns = Vec::new();
        let mut aggregates = Vec::new();
        let mut counts = false;
        for item in &soql.select {
            match item {
                Item::Count => counts = true,
                Item::Aggregate {
                    function,
                    field,
                    alias,
                } => aggregates.push(Aggregate {
                    name: alias
                        .clone()
                        .unwrap_or_else(|| format!("expr{}", aggregates.len())),
                    function: function.clone(),
                    column: self.filterable(field)?,
                }),
                Item::Fields(which) => self.group(which, soql.limit, &mut columns)?,
                Item::Field(name) => self.column(name, &mut columns)?,
            }
        }
        let folded = counts || !aggregates.is_empty();
        if folded && (!columns.is_empty() || (counts && soql.select.len() > 1)) {
            return Err(Problem::malformed_query(
                "Grouped field should not be aggregated, and an aggregate needs a GROUP BY besides fields",
            ));
        }
        if self.flavour == Flavour::Bulk {
            self.check_bulk(soql, folded, &columns)?;
        }
        if soql.offset.is_some_and(|offset| offset > OFFSET_MAX) {
            return Err(Problem::new(
                400,
                "NUMBER_OUTSIDE_VALID_RANGE",
                format!("Maximum SOQL offset allowed is {OFFSET_MAX}"),
            ));
        }
        let test = match &soql.filter {
            Some(expression) => Some(self.test(expression)?),
            None => None,
        };
        let order = soql.order.iter().map(|item| {
            Ok(Key {
                column: self.filterable(&item.field)?,
                descending: item.descending,
                nulls_last: item.nulls_last,
            })
        });
        let order = order.collect::<Result<Vec<Key>, Problem>>()?;
        Ok(Query {
            object,
            columns,
            counts,
            aggregates,
            bounds: Bounds::new(test.as_ref(), &self.schema),
            test,
            order,
            limit: soql.limit,
            offset: soql.offset.unwrap_or(0),
            all_rows,
            schema: Arc::clone(&self.schema),
        })
    }

    /// What only REST can do.
    fn check_bulk(&self, soql: &Soql, folded: bool, columns: &[Column]) -> Result<(), Problem> {
        if !self.schema.object.abilities().bulk {
            return Err(Problem::new(
                400,
                "INVALIDENTITY",
                format!(
                    "Entity '{}' is not supported by the Bulk API.",
                    self.schema.object.name()
                ),
            ));
        }
        let unsupported = |what: &str| {
            Err(Problem::new(
                400,
                "API_ERROR",
                format!("Implementation restriction: {what}"),
            ))
        };
        if folded {
            return unsupported("Aggregate Relationships not supported in Bulk Query");
        }
        if soql.offset.is_some() {
            return unsupported("OFFSET clause not supported in Bulk Query");
        }
        let own = columns.iter().filter_map(|column| match column {
            Column::Own(column) => Some(self.schema.at(*column)),
            Column::Parent { .. } => None,
        });
        for field in own {
            if field.is_compound() {
                return Err(Problem::new(
                    400,
                    "FUNCTIONALITY_NOT_ENABLED",
                    "Selecting compound data not supported in Bulk Query",
                ));
            }
            if field.field_type == FieldType::Base64 {
                return Err(Problem::new(
                    400,
                    "API_ERROR",
                    format!(
                        "Binary fields are not supported in Bulk Query: {}.{}",
                        self.schema.object.name(),
                        field.name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The fields that `FIELDS(...)` stands for.
    fn group(
        &self,
        which: &Name,
        limit: Option<u64>,
        columns: &mut Vec<Column>,
    ) -> Result<(), Problem> {
        let which_upper = which.text.to_ascii_uppercase();
        let wanted: fn(&&Field) -> bool = match which_upper.as_str() {
            "ALL" => |_| true,
            "STANDARD" => |field| !field.custom,
            "CUSTOM" => |field| field.custom,
            _ => {
                return Err(Problem::malformed_query(format!(
                    "{}unexpected token: '{}'",
                    pointer(self.text, which.at),
                    which.text
                )));
            }
        };
        if which_upper != "STANDARD" {
            if self.flavour == Flavour::Bulk {
                return Err(Problem::malformed_query(
                    "The SOQL FIELDS function is not supported with an unbounded set of fields in this API",
                ));
            }
            if limit.is_none_or(|limit| limit > FIELDS_LIMIT_MAX) {
                return Err(Problem::malformed_query(format!(
                    "The SOQL FIELDS function must have a LIMIT of at most {FIELDS_LIMIT_MAX}"
                )));
            }
        }
        let fields = self.schema.fields().filter(wanted);
        columns.extend(fields.map(|field| Column::Own(field.column)));
        Ok(())
    }

    fn column(&self, name: &Name, columns: &mut Vec<Column>) -> Result<(), Problem> {
        let Some((relationship, field)) = name.text.split_once('.') else {
            let column = self.known(name)?.column;
            let twice = columns
                .iter()
                .any(|other| matches!(other, Column::Own(other) if *other == column));
            if twice {
                return Err(Problem::malformed_query(format!(
                    "duplicate field selected: {}",
                    name.text
                )));
            }
            columns.push(Column::Own(column));
            return Ok(());
        };
        // A name may begin with the object's own.
        if relationship.eq_ignore_ascii_case(self.schema.object.name()) {
            let rest = Name {
                text: field.to_owned(),
                at: name.at,
            };
            return self.column(&rest, columns);
        }
        let referring =
            self.schema.fields().find_map(|known| {
                let (object, called) = known.refers?;
                // The record of a relationship to the same object is not simulated.
                (called.eq_ignore_ascii_case(relationship) && object != self.schema.object)
                    .then_some((known.column, object, called))
            });
        let Some((reference, object, called)) = referring else {
            return Err(Problem::new(
                400,
                "INVALID_FIELD",
                format!(
                    "{}Didn't understand relationship '{relationship}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names.",
                    pointer(self.text, name.at)
                ),
            ));
        };
        let schema = self.org.collection(object).schema();
        let Some(column) = schema.column(field) else {
            return Err(Problem::no_such_column(
                field,
                object.name(),
                &pointer(self.text, name.at),
            ));
        };
        let known = columns.iter_mut().find_map(|other| match other {
            Column::Parent {
                reference: same,
                columns,
                ..
            } if *same == reference => Some(columns),
            _ => None,
        });
        match known {
            Some(columns) => columns.push(column),
            None => columns.push(Column::Parent {
                reference,
                relationship: called.to_owned(),
                schema,
                columns: vec![column],
            }),
        }
        Ok(())
    }

    fn known(&self, name: &Name) -> Result<&Field, Problem> {
        let object = self.schema.object.name();
        let own = name.text.split_once('.');
        let text = match own {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(object) => rest,
            _ => &name.text,
        };
        self.schema.field(text).ok_or_else(|| {
            Problem::no_such_column(&name.text, object, &pointer(self.text, name.at))
        })
    }

    /// A field that conditions and orders may name.
    fn filterable(&self, name: &Name) -> Result<u16, Problem> {
        let field = self.known(name)?;
        if field.is_filterable() {
            return Ok(field.column);
        }
        Err(Problem::new(
            400,
            "INVALID_FIELD",
            format!(
                "{}field '{}' can not be filtered in a query call",
                pointer(self.text, name.at),
                field.name
            ),
        ))
    }

    fn test(&self, expression: &Expression) -> Result<Test, Problem> {
        let all = |parts: &[Expression]| {
            let tests = parts.iter().map(|part| self.test(part));
            tests.collect::<Result<Vec<Test>, Problem>>()
        };
        Ok(match expression {
            Expression::And(parts) => Test::And(all(parts)?),
            Expression::Or(parts) => Test::Or(all(parts)?),
            Expression::Not(part) => Test::Not(Box::new(self.test(part)?)),
            Expression::Compare {
                field: name,
                operator,
                operands,
            } => {
                let column = self.filterable(name)?;
                let field = self.schema.at(column);
                let multi = field.field_type == FieldType::MultiPicklist;
                if matches!(operator, Operator::Includes | Operator::Excludes) != multi
                    && !matches!(operator, Operator::Equal | Operator::NotEqual)
                {
                    return Err(Problem::new(
                        400,
                        "INVALID_QUERY_FILTER_OPERATOR",
                        format!(
                            "{}filter operator not supported",
                            pointer(self.text, name.at)
                        ),
                    ));
                }
                let operands = operands
                    .iter()
                    .map(|operand| self.operand(field, name, operand));
                Test::Compare {
                    column,
                    operator: *operator,
                    operands: operands.collect::<Result<Vec<Comparable>, Problem>>()?,
                }
            }
        })
    }

    fn operand(
        &self,
        field: &Field,
        name: &Name,
        literal: &Literal,
    ) -> Result<Comparable, Problem> {
        let wrong = |wanted: &str, quotes: &str| {
            Problem::new(
                400,
                "INVALID_FIELD",
                format!(
                    "{}value of filter criterion for field '{}' must be of type {wanted} and should {quotes}be enclosed in quotes",
                    pointer(self.text, name.at),
                    field.name
                ),
            )
        };
        let bare = match literal {
            Literal::Bare(word) if word.eq_ignore_ascii_case("null") => {
                return Ok(Comparable::Null);
            }
            Literal::Text(text) => {
                return match field.field_type {
                    FieldType::Id | FieldType::Reference => self.id(name, text),
                    field_type if field.is_bare() || is_time(field_type) => {
                        Err(wrong(type_name(field_type), "not "))
                    }
                    field_type => Ok(comparable(field_type, text)),
                };
            }
            Literal::Bare(word) => word,
        };
        let field_type = field.field_type;
        match field_type {
            FieldType::Boolean if bare.eq_ignore_ascii_case("true") => Ok(Comparable::Truth(true)),
            FieldType::Boolean if bare.eq_ignore_ascii_case("false") => {
                Ok(Comparable::Truth(false))
            }
            FieldType::Boolean => Err(wrong("boolean", "not ")),
            FieldType::DateTime => moment_ms(bare)
                .map(Comparable::Moment)
                .ok_or_else(|| wrong("dateTime", "not ")),
            FieldType::Date if bare.parse::<jiff::civil::Date>().is_ok() => {
                Ok(Comparable::Exact(bare.clone()))
            }
            FieldType::Date => Err(wrong("date", "not ")),
            _ if field.is_bare() => bare
                .parse()
                .map(Comparable::Number)
                .map_err(|_| wrong(type_name(field_type), "not ")),
            _ => Err(wrong(type_name(field_type), "")),
        }
    }

    fn id(&self, name: &Name, text: &str) -> Result<Comparable, Problem> {
        match parse_wire_id(text) {
            Some((prefix, number)) => Ok(Comparable::Exact(wire_text(prefix, number))),
            None => Err(Problem::new(
                400,
                "INVALID_QUERY_FILTER_OPERATOR",
                format!("{}invalid ID field: {text}", pointer(self.text, name.at)),
            )),
        }
    }
}

fn is_time(field_type: FieldType) -> bool {
    matches!(
        field_type,
        FieldType::Date | FieldType::DateTime | FieldType::Time
    )
}

fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Boolean => "boolean",
        FieldType::Int => "int",
        FieldType::Double => "double",
        FieldType::Currency => "currency",
        FieldType::Percent => "percent",
        FieldType::Date => "date",
        FieldType::DateTime => "dateTime",
        FieldType::Time => "time",
        _ => "string",
    }
}
