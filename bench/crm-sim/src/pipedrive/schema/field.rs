//! The definition of one field, as both versions of the API describe it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::pipedrive::kind::Kind;
use crate::pipedrive::schema::FIRST_USER_ID;
use crate::pipedrive::wire::spaced;

/// The type of a field, named as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text of up to 255 characters.
    Varchar,
    /// The same, completed while typing.
    VarcharAuto,
    /// Long text.
    Text,
    /// A number.
    Double,
    /// An amount and a currency.
    Monetary,
    /// A day.
    Date,
    /// Two days.
    Daterange,
    /// A time of day.
    Time,
    /// Two times of day.
    Timerange,
    /// One of several options.
    Enum,
    /// Some of several options.
    Set,
    /// A telephone number.
    Phone,
    /// An address with its parts.
    Address,
    /// A user of the company.
    User,
    /// An organization.
    Org,
    /// A person.
    People,
    /// Who may see the record.
    VisibleTo,
    /// A whole number.
    Int,
    /// A picture.
    Picture,
    /// Open, won, lost.
    Status,
    /// A stage of a pipeline.
    Stage,
    /// True or false.
    Boolean,
}

impl FieldType {
    /// The name on the wire.
    pub(crate) fn name(self) -> String {
        let named = serde_json::to_value(self).unwrap_or_default();
        named.as_str().unwrap_or_default().to_owned()
    }

    /// Whether a company may define a field of this type.
    pub(crate) fn is_definable(self) -> bool {
        !matches!(
            self,
            FieldType::VisibleTo
                | FieldType::Int
                | FieldType::Picture
                | FieldType::Status
                | FieldType::Stage
                | FieldType::Boolean
        )
    }

    fn is_searchable(self) -> bool {
        matches!(
            self,
            FieldType::Varchar
                | FieldType::VarcharAuto
                | FieldType::Text
                | FieldType::Double
                | FieldType::Phone
                | FieldType::Address
                | FieldType::Monetary
        )
    }
}

/// One option of a field. Records hold its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldOption {
    /// Unique within the type; 0 takes the next free one.
    #[serde(default)]
    pub id: u64,
    /// What people see.
    pub label: String,
    /// Only some fields have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// A field that the company defined itself; null for every generated record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// The type whose records have it.
    pub kind: Kind,
    /// Forty hexadecimal digits.
    pub key: String,
    /// What people see.
    pub name: String,
    /// What it holds.
    pub field_type: FieldType,
    /// For options only.
    #[serde(default)]
    pub options: Vec<FieldOption>,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) id: u64,
    pub(crate) key: String,
    /// The name in the second version; empty where only the first one has it.
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) order: u64,
    pub(crate) field_type: FieldType,
    pub(crate) is_custom: bool,
    pub(crate) options: Vec<FieldOption>,
    /// Letters of what holds: `d`etails, `a`dd dialog, `b`ulk edit, `s`earchable,
    /// `m`andatory.
    pub(crate) flags: &'static str,
    /// Members that only this field has in the first version.
    pub(crate) extras: &'static [(&'static str, &'static str)],
    pub(crate) at_ms: Option<i64>,
}

/// A part of a field that the first version shows as a field of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) suffix: &'static str,
    pub(crate) name: &'static str,
    pub(crate) field_type: FieldType,
}

const fn part(suffix: &'static str, name: &'static str, field_type: FieldType) -> Part {
    Part {
        suffix,
        name,
        field_type,
    }
}

/// The parts of a field. A name that ends in `of` is completed with the field's own.
pub(crate) fn subfields(field_type: FieldType) -> &'static [Part] {
    const CURRENCY: [Part; 1] = [part("currency", "Currency of", FieldType::Varchar)];
    const TIME: [Part; 1] = [part("timezone_id", "Timezone", FieldType::Int)];
    const TIMES: [Part; 2] = [
        part("until", "End time of", FieldType::Time),
        part("timezone_id", "Timezone", FieldType::Int),
    ];
    const DAYS: [Part; 1] = [part("until", "End date of", FieldType::Date)];
    const PLACE: [Part; 10] = [
        part("subpremise", "Apartment/suite no", FieldType::Varchar),
        part("street_number", "House number", FieldType::Varchar),
        part("route", "Street/road name", FieldType::Varchar),
        part("sublocality", "District/sublocality", FieldType::Varchar),
        part("locality", "City/town/village/locality", FieldType::Varchar),
        part("admin_area_level_1", "State/county", FieldType::Varchar),
        part("admin_area_level_2", "Region", FieldType::Varchar),
        part("country", "Country", FieldType::Varchar),
        part("postal_code", "ZIP/Postal code", FieldType::Varchar),
        part(
            "formatted_address",
            "Full/combined address",
            FieldType::Varchar,
        ),
    ];
    match field_type {
        FieldType::Monetary => &CURRENCY,
        FieldType::Time => &TIME,
        FieldType::Timerange => &TIMES,
        FieldType::Daterange => &DAYS,
        FieldType::Address => &PLACE,
        _ => &[],
    }
}

impl Part {
    fn name(&self, field: &str) -> String {
        match self.name.ends_with(" of") {
            true => format!("{} {field}", self.name),
            false => self.name.to_owned(),
        }
    }
}

impl Field {
    /// A field of the company's own.
    pub(crate) fn own(
        id: u64,
        key: String,
        name: String,
        field_type: FieldType,
        options: Vec<FieldOption>,
        order: u64,
        at_ms: Option<i64>,
    ) -> Field {
        Field {
            id,
            code: key.clone(),
            key,
            name,
            order,
            field_type,
            is_custom: true,
            options,
            flags: match (at_ms.is_some(), field_type.is_searchable()) {
                (true, true) => "dabs",
                (true, false) => "dab",
                (false, true) => "dbs",
                (false, false) => "db",
            },
            extras: &[],
            at_ms,
        }
    }

    fn has_options(&self) -> bool {
        matches!(
            self.field_type,
            FieldType::Enum | FieldType::Set | FieldType::VisibleTo | FieldType::Status
        )
    }

    /// The field and its parts as the first version lists them.
    pub(crate) fn first_version(&self) -> Vec<Value> {
        let is = |flag: char| self.flags.contains(flag);
        let time = spaced(self.at_ms.unwrap_or(1_610_049_911_000));
        let mut field = json!({
            "id": self.id,
            "key": self.key,
            "name": self.name,
            "order_nr": self.order,
            "field_type": self.field_type,
            "json_column_flag": self.at_ms.is_some(),
            "add_time": time,
            "update_time": time,
            "last_updated_by_user_id": self.is_custom.then_some(FIRST_USER_ID),
            "active_flag": true,
            "edit_flag": self.is_custom,
            "index_visible_flag": true,
            "details_visible_flag": is('d'),
            "add_visible_flag": is('a'),
            "important_flag": false,
            "bulk_edit_allowed": is('b'),
            "searchable_flag": is('s'),
            "filtering_allowed": true,
            "sortable_flag": true,
            "mandatory_flag": is('m'),
        });
        let members = field.as_object_mut().expect("it was written as an object");
        if self.has_options() {
            members.insert("options".to_owned(), json!(self.options));
        } else {
            members.insert("picklist_data".to_owned(), Value::Null);
        }
        for (name, value) in self.extras {
            members.insert((*name).to_owned(), json!(value));
        }
        let parts = subfields(self.field_type).iter().map(|part| {
            json!({
                "id": null,
                "key": format!("{}_{}", self.key, part.suffix),
                "name": part.name(&self.name),
                "field_type": part.field_type,
                "edit_flag": self.is_custom,
                "active_flag": true,
                "is_subfield": true,
                "json_column_flag": false,
                "mandatory_flag": !self.is_custom,
            })
        });
        std::iter::once(field).chain(parts).collect()
    }

    /// The field as the second version has it.
    pub(crate) fn second_version(&self) -> Value {
        let parts: Vec<Value> = subfields(self.field_type)
            .iter()
            .map(|part| {
                json!({
                    "field_code": format!("{}_{}", self.code, part.suffix),
                    "field_name": part.name(&self.name),
                    "field_type": part.field_type,
                })
            })
            .collect();
        let mut field = Map::new();
        field.insert("field_name".to_owned(), json!(self.name));
        field.insert("field_code".to_owned(), json!(self.code));
        field.insert("field_type".to_owned(), json!(self.field_type));
        let options = self.has_options().then_some(&self.options);
        field.insert("options".to_owned(), json!(options));
        let parts = (!parts.is_empty()).then_some(parts);
        field.insert("subfields".to_owned(), json!(parts));
        field.insert("is_custom_field".to_owned(), json!(self.is_custom));
        field.insert("is_optional_response_field".to_owned(), json!(false));
        Value::Object(field)
    }
}
