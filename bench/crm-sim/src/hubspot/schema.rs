//! The properties of each object type: names, types, options, and which
//! generator fills them.

mod tables;

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::iso;
use crate::generate::Generator;
use crate::hubspot::config::Config;
use crate::hubspot::kind::{Kind, Names};
use crate::overlay::Changes;
use crate::records::Cell;

/// When the standard properties were defined, 2019-08-06T02:41:08.029Z.
const DEFINED_MS: i64 = 1_565_059_268_029;

/// The wire types of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PropertyType {
    /// Free text.
    String,
    /// A decimal number, sent as text.
    Number,
    /// One of the options, or several joined with `;`.
    Enumeration,
    /// `true` or `false`, sent as text.
    Bool,
    /// `2026-01-02`.
    Date,
    /// ISO 8601 with milliseconds.
    DateTime,
}

impl PropertyType {
    fn wire(self) -> (&'static str, &'static str) {
        match self {
            PropertyType::String => ("string", "text"),
            PropertyType::Number => ("number", "number"),
            PropertyType::Enumeration => ("enumeration", "select"),
            PropertyType::Bool => ("bool", "booleancheckbox"),
            PropertyType::Date => ("date", "date"),
            PropertyType::DateTime => ("datetime", "date"),
        }
    }
}

/// A portal-specific property to add, empty on every generated record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraProperty {
    /// The object type that gets the property.
    pub kind: Kind,
    /// Its internal name.
    pub name: String,
    /// Its wire type.
    pub property_type: PropertyType,
    /// Whether it is to come only later, by a [`PropertyChange`].
    #[serde(default)]
    pub archived: bool,
}

/// What an administrator changes of a property that the account defined itself;
/// absent fields stay. Values of records stay as they are, as in the real API: only
/// whether, and as what, the property is described and shown changes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyChange {
    /// Whether it is gone from descriptions, records and searches.
    pub archived: Option<bool>,
    /// Its wire type.
    pub property_type: Option<PropertyType>,
}

/// What may change of a property.
#[derive(Clone, Copy, Debug)]
struct Standing {
    property_type: PropertyType,
    archived: bool,
}

/// One property of an object type.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) name: String,
    label: String,
    standing: RwLock<Standing>,
    options: &'static [(&'static str, &'static str)],
    /// False for properties that the account defined itself.
    standard: bool,
    /// Whether it was made along with its type, by nobody in particular.
    came_with_type: bool,
    pub(crate) read_only: bool,
    pub(crate) generator: Generator,
    /// This property's share in a record's randomness.
    pub(crate) salt: u64,
}

/// All properties of one object type, in name order (the order on the wire).
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) kind: Kind,
    pub(crate) names: Names,
    pub(crate) properties: Vec<Property>,
    by_name: HashMap<String, u16>,
    pub(crate) object_id: u16,
    pub(crate) created: u16,
    pub(crate) modified: u16,
    /// The property that a simulated edit changes.
    pub(crate) edited: u16,
    /// The property that lists merged records.
    pub(crate) merged: u16,
    /// What a response holds when the request names no properties.
    pub(crate) defaults: Vec<u16>,
}

impl Schema {
    pub(crate) fn new(kind: Kind, config: &Config) -> Schema {
        let mut properties = tables::properties(kind, config);
        if config.derived_properties {
            properties.extend(tables::derived(kind));
        }
        let extra = config.extra_properties.iter();
        for property in extra.filter(|property| property.kind == kind) {
            if properties.iter().all(|known| known.name != property.name) {
                properties.push(Property::custom(property));
            }
        }
        properties.sort_by(|left, right| left.name.cmp(&right.name));
        for (salt, property) in (1_u64..).zip(&mut properties) {
            property.salt = crate::generate::mix(salt);
        }
        // It holds nothing generated, so that the others' values do not depend on it.
        properties.push(tables::merged());
        properties.sort_by(|left, right| left.name.cmp(&right.name));
        let by_name: HashMap<String, u16> = (0_u16..)
            .zip(&properties)
            .map(|(column, property)| (property.name.clone(), column))
            .collect();
        let at = |name: &str| by_name.get(name).copied().unwrap_or(0);
        Schema {
            kind,
            names: Names::of(kind, config),
            object_id: at("hs_object_id"),
            created: at(kind.created_property()),
            modified: at(kind.modified_property()),
            edited: at(tables::edited(kind, config)),
            merged: at("hs_merged_object_ids"),
            defaults: tables::defaults(kind).iter().map(|name| at(name)).collect(),
            by_name,
            properties,
        }
    }

    /// The property of this name, unless it is archived.
    pub(crate) fn column(&self, name: &str) -> Option<u16> {
        let column = self.by_name.get(name).copied()?;
        (!self.property(column).is_archived()).then_some(column)
    }

    /// Changes a property; false where there is none that the account defined itself.
    pub(crate) fn change(&self, name: &str, change: PropertyChange) -> bool {
        let found = self.by_name.get(name).map(|column| self.property(*column));
        match found.filter(|property| !property.standard) {
            Some(property) => {
                property.change(change);
                true
            }
            None => false,
        }
    }

    pub(crate) fn property(&self, column: u16) -> &Property {
        &self.properties[usize::from(column)]
    }

    pub(crate) fn cell(&self, column: u16) -> Cell {
        let property = self.property(column);
        Cell {
            column,
            generator: property.generator,
            salt: property.salt,
        }
    }

    pub(crate) fn is_system(&self, column: u16) -> bool {
        column == self.object_id || column == self.created || column == self.modified
    }

    /// What the API fills in on a new record, as far as the schema has it.
    pub(crate) fn derive(&self, id: u64, written: &Changes) -> Changes {
        let text_of = |name: &str| {
            let column = self.column(name)?;
            let (_, value) = written.iter().find(|(at, _)| *at == column)?;
            value.as_deref()
        };
        let domain = text_of("email").and_then(|email| email.rsplit_once('@'));
        let filled = match self.kind {
            Kind::Contacts => vec![
                ("hs_all_contact_vids", Some(id.to_string())),
                (
                    "hs_email_domain",
                    domain.map(|(_, domain)| domain.to_owned()),
                ),
                ("hs_is_contact", Some("true".to_owned())),
                ("hs_is_unworked", Some("true".to_owned())),
                (
                    "hs_pipeline",
                    Some("contacts-lifecycle-pipeline".to_owned()),
                ),
            ],
            Kind::Companies if text_of("website").is_none() => {
                vec![("website", text_of("domain").map(str::to_owned))]
            }
            _ => Vec::new(),
        };
        filled
            .into_iter()
            .filter_map(|(name, value)| Some((self.column(name)?, Some(value?.into()))))
            .collect()
    }

    /// Descriptions of all properties, as the properties endpoint lists them.
    pub(crate) fn describe_all(&self) -> Vec<Value> {
        self.properties
            .iter()
            .filter(|property| !property.is_archived())
            .map(|property| property.describe(&self.names))
            .collect()
    }
}

impl Property {
    fn custom(extra: &ExtraProperty) -> Property {
        Property {
            name: extra.name.clone(),
            label: extra.name.clone(),
            standing: RwLock::new(Standing {
                property_type: extra.property_type,
                archived: extra.archived,
            }),
            options: &[],
            standard: false,
            came_with_type: false,
            read_only: false,
            generator: Generator::Unset,
            salt: 0,
        }
    }

    fn standing(&self) -> Standing {
        *self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn property_type(&self) -> PropertyType {
        self.standing().property_type
    }

    pub(crate) fn is_archived(&self) -> bool {
        self.standing().archived
    }

    fn change(&self, change: PropertyChange) {
        let mut standing = self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        standing.archived = change.archived.unwrap_or(standing.archived);
        standing.property_type = change.property_type.unwrap_or(standing.property_type);
    }

    /// One entry of `GET /crm/v3/properties/{type}`.
    pub(crate) fn describe(&self, names: &Names) -> Value {
        let (wire_type, field_type) = self.property_type().wire();
        let options: Vec<Value> = (0_i32..)
            .zip(self.options)
            .map(|(order, (value, label))| {
                json!({"label": label, "value": value, "displayOrder": order, "hidden": false, "description": ""})
            })
            .collect();
        let mut described = json!({
            "updatedAt": iso(DEFINED_MS),
            "createdAt": iso(DEFINED_MS),
            "name": self.name,
            "label": self.label,
            "type": wire_type,
            "fieldType": if matches!(self.generator, Generator::Choices { .. }) { "checkbox" } else { field_type },
            "description": "",
            "groupName": names.group(),
            "options": options,
            "displayOrder": -1,
            "calculated": false,
            "externalOptions": false,
            "archived": false,
            "hasUniqueValue": false,
            "hidden": false,
            "modificationMetadata": {
                "archivable": !self.standard,
                "readOnlyDefinition": self.standard,
                "readOnlyValue": self.read_only,
            },
            "formField": !self.read_only,
        });
        if let Some(object) = described.as_object_mut() {
            if self.standard {
                object.insert("hubspotDefined".to_owned(), json!(true));
                if names.is_own() {
                    // What the API gives every type is described in fewer words.
                    for word in ["updatedAt", "createdAt", "archived"] {
                        object.remove(word);
                    }
                    object["modificationMetadata"]["archivable"] = json!(true);
                }
            } else if !self.came_with_type {
                object.insert("createdUserId".to_owned(), json!("13534722"));
                object.insert("updatedUserId".to_owned(), json!("13534722"));
                object.insert("showCurrencySymbol".to_owned(), json!(false));
            }
        }
        described
    }

    /// Whether a written value fits the type; empty text clears a value.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        if value.is_empty() {
            return true;
        }
        match self.property_type() {
            PropertyType::String => true,
            PropertyType::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
            PropertyType::Enumeration => {
                self.options.is_empty()
                    || value
                        .split(';')
                        .all(|part| self.options.iter().any(|(option, _)| *option == part))
            }
            PropertyType::Bool => value == "true" || value == "false",
            PropertyType::Date | PropertyType::DateTime => crate::clock::parse_ms(value).is_some(),
        }
    }
}
