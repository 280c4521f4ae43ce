//! Records as JSON text in the dialect of either version, written straight into the
//! response buffer.

mod slot;
mod templates;

pub(crate) use self::slot::Company;
use self::slot::Slot;
use crate::pipedrive::kind::Kind;
use crate::pipedrive::schema::{FieldType, Schema};
use crate::records::View;

/// The generous size of one rendered record, for reserving buffers.
pub(crate) const RECORD_BYTES: usize = 2400;

/// Which version of the API speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    /// Custom fields flattened into the record, references expanded.
    First,
    /// Custom fields apart, references as numbers.
    Second,
}

/// What a record is answered to: the first version says a little less after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Occasion {
    Listed,
    Read,
    Created,
    Updated,
}

/// What appears of a record, prepared once.
#[derive(Debug)]
pub(crate) struct Projection {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    literal: Box<[u8]>,
    slot: Slot,
}

impl Projection {
    /// The usual members and the custom fields, or only the named ones of them.
    pub(crate) fn new(
        schema: &Schema,
        dialect: Dialect,
        occasion: Occasion,
        custom: Option<&[&str]>,
    ) -> Projection {
        let mut projection = Projection { parts: Vec::new() };
        let template = templates::of(schema.kind, dialect, occasion);
        projection.add(schema, &template);
        if schema.kind.has_custom_fields() {
            let fields = schema.own_fields();
            let shown =
                fields.filter(|field| custom.is_none_or(|keys| keys.contains(&field.key.as_str())));
            let fields: Vec<String> = shown
                .map(|field| match dialect {
                    Dialect::First => templates::flattened(&field.key, field.field_type),
                    Dialect::Second => templates::apart(&field.key, field.field_type),
                })
                .collect();
            projection.add(
                schema,
                &match dialect {
                    Dialect::First => fields.concat(),
                    Dialect::Second => format!(",\"custom_fields\":{{{}}}", fields.join(",")),
                },
            );
        }
        projection.add(schema, "}");
        projection
    }

    fn add(&mut self, schema: &Schema, template: &str) {
        let mut rest = template;
        while let Some((literal, more)) = rest.split_once('<') {
            let (slot, more) = more.split_once('>').expect("slots are closed");
            self.parts.push(Part {
                literal: literal.as_bytes().into(),
                slot: Slot::parse(slot, schema),
            });
            rest = more;
        }
        self.parts.push(Part {
            literal: rest.as_bytes().into(),
            slot: Slot::Nothing,
        });
    }
}

/// Appends one record.
pub(crate) fn record(
    view: &View<'_>,
    schema: &Schema,
    projection: &Projection,
    company: &Company<'_>,
    out: &mut Vec<u8>,
) {
    for part in &projection.parts {
        out.extend_from_slice(&part.literal);
        part.slot.write(view, schema, company, out);
    }
}

/// Appends the text of a column and returns true, or false for null.
pub(crate) fn column_text(
    view: &View<'_>,
    schema: &Schema,
    column: u16,
    out: &mut Vec<u8>,
) -> bool {
    slot::number(view, schema.at(column), out)
}

/// Whether a column says yes.
pub(crate) fn is_set(view: &View<'_>, schema: &Schema, column: Option<u16>) -> bool {
    column.is_some_and(|column| slot::flag(view, schema.at(column)))
}

/// The name of a record, as references to it show it.
pub(crate) fn name_of(view: &View<'_>, schema: &Schema) -> String {
    let mut name = Vec::new();
    let key = match schema.kind {
        Kind::Persons => {
            Slot::parse("name", schema).write(view, schema, &Company::alone(), &mut name);
            return serde_json::from_slice(&name).unwrap_or_default();
        }
        Kind::Organizations | Kind::Products => "name",
        Kind::Deals | Kind::Leads => "title",
        Kind::Activities => "subject",
    };
    if let Some(column) = schema.column(key) {
        view.text(schema.at(column).cell, &mut name);
    }
    String::from_utf8(name).unwrap_or_default()
}

/// Whether a search looks into custom fields of this type.
pub(crate) fn is_searched(field_type: FieldType) -> bool {
    matches!(
        field_type,
        FieldType::Varchar
            | FieldType::VarcharAuto
            | FieldType::Text
            | FieldType::Double
            | FieldType::Monetary
            | FieldType::Phone
            | FieldType::Address
    )
}
