//! Objects and fields as a describe tells them.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Value, json};

use super::{Field, FieldType, Schema, Source};
use crate::salesforce::object::Object;

/// The properties of an object, as the list of all objects has them.
pub(crate) fn properties(object: Object, version: &str) -> Value {
    let abilities = object.abilities();
    let (label, plural) = object.label();
    let base = format!("/services/data/v{version}/sobjects/{}", object.name());
    let history = object == Object::AccountHistory;
    json!({
        "activateable": false,
        "associateEntityType": history.then_some("History"),
        "associateParentEntity": history.then_some("Account"),
        "createable": abilities.writable,
        "custom": object.is_custom(),
        "customSetting": false,
        "deepCloneable": false,
        "deletable": abilities.writable && abilities.deletable,
        "deprecatedAndHidden": false,
        "feedEnabled": abilities.writable,
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "keyPrefix": String::from_utf8_lossy(&object.prefix()),
        "label": label,
        "labelPlural": plural,
        "layoutable": abilities.writable,
        "mergeable": matches!(object, Object::Account | Object::Contact | Object::Lead),
        "mruEnabled": abilities.writable,
        "name": object.name(),
        "queryable": true,
        "replicateable": abilities.replicateable,
        "retrieveable": true,
        "searchable": abilities.writable,
        "triggerable": abilities.writable,
        "undeletable": abilities.undeletable,
        "updateable": abilities.writable,
        "urls": {
            "sobject": base,
            "describe": format!("{base}/describe"),
            "rowTemplate": format!("{base}/{{ID}}"),
        },
    })
}

/// The whole describe of an object.
pub(crate) fn describe(schema: &Schema, version: &str, instance_url: &str) -> Value {
    let object = schema.object;
    let mut described = properties(object, version);
    let base = format!("/services/data/v{version}/sobjects/{}", object.name());
    let fields: Vec<Value> = schema
        .fields()
        .map(|field| field_json(field, object))
        .collect();
    described["fields"] = json!(fields);
    described["actionOverrides"] = json!([]);
    described["childRelationships"] = json!(children(object));
    described["compactLayoutable"] = json!(object.abilities().writable);
    described["listviewable"] = Value::Null;
    described["lookupLayoutable"] = Value::Null;
    described["namedLayoutInfos"] = json!([]);
    described["networkScopeFieldName"] = Value::Null;
    described["recordTypeInfos"] = json!([{
        "active": true,
        "available": true,
        "defaultRecordTypeMapping": true,
        "master": true,
        "name": "Master",
        "recordTypeId": "012000000000000AAA",
        "urls": {"layout": format!("{base}/describe/layouts/012000000000000AAA")},
    }]);
    described["searchLayoutable"] = json!(object.abilities().writable);
    described["sobjectDescribeOption"] = json!("FULL");
    described["supportedScopes"] = json!([
        {"label": format!("All {}", object.label().1), "name": "everything"},
        {"label": format!("My {}", object.label().1), "name": "mine"},
    ]);
    for name in ["compactLayouts", "approvalLayouts", "layouts"] {
        described["urls"][name] = json!(format!("{base}/describe/{name}"));
    }
    described["urls"]["uiDetailTemplate"] = json!(format!("{instance_url}/{{ID}}"));
    described["urls"]["uiEditTemplate"] = json!(format!("{instance_url}/{{ID}}/e"));
    described
}

/// The references of other objects to this one.
fn children(object: Object) -> Vec<Value> {
    let mut all = Vec::new();
    for child in Object::ALL {
        for field in super::tables::fields(child) {
            if field.refers.is_some_and(|(to, _)| to == object) {
                all.push(json!({
                    "cascadeDelete": false,
                    "childSObject": child.name(),
                    "deprecatedAndHidden": false,
                    "field": field.name,
                    "junctionIdListNames": [],
                    "junctionReferenceTo": [],
                    "relationshipName": Value::Null,
                    "restrictedDelete": false,
                }));
            }
        }
    }
    all
}

/// Type, SOAP type, length, digits, precision and scale on the wire.
fn wire(field: &Field) -> (&'static str, &'static str, u32, u32, u32, u32) {
    match field.field_type {
        FieldType::Id => ("id", "tns:ID", 18, 0, 0, 0),
        FieldType::String => ("string", "xsd:string", 255, 0, 0, 0),
        FieldType::TextArea if field.compound.is_some() => ("textarea", "xsd:string", 255, 0, 0, 0),
        FieldType::TextArea => ("textarea", "xsd:string", 32_000, 0, 0, 0),
        FieldType::Email => ("email", "xsd:string", 80, 0, 0, 0),
        FieldType::Phone => ("phone", "xsd:string", 40, 0, 0, 0),
        FieldType::Url => ("url", "xsd:string", 255, 0, 0, 0),
        FieldType::Picklist => ("picklist", "xsd:string", 255, 0, 0, 0),
        FieldType::MultiPicklist => ("multipicklist", "xsd:string", 4099, 0, 0, 0),
        FieldType::Reference => ("reference", "tns:ID", 18, 0, 0, 0),
        FieldType::Boolean => ("boolean", "xsd:boolean", 0, 0, 0, 0),
        FieldType::Int => ("int", "xsd:int", 0, 8, 0, 0),
        FieldType::Double => ("double", "xsd:double", 0, 0, 18, 3),
        FieldType::Currency => ("currency", "xsd:double", 0, 0, 18, 2),
        FieldType::Percent => ("percent", "xsd:double", 0, 0, 5, 2),
        FieldType::Date => ("date", "xsd:date", 0, 0, 0, 0),
        FieldType::DateTime => ("datetime", "xsd:dateTime", 0, 0, 0, 0),
        FieldType::Time => ("time", "xsd:time", 0, 0, 0, 0),
        FieldType::Address => ("address", "urn:address", 0, 0, 0, 0),
        FieldType::Location => ("location", "urn:location", 0, 0, 0, 0),
        FieldType::Base64 => ("base64", "xsd:base64Binary", 0, 0, 0, 0),
    }
}

/// The longest text that a field takes, in characters.
pub(crate) fn length_max(field: &Field) -> usize {
    match wire(field).2 {
        0 => usize::MAX,
        length => usize::try_from(length).unwrap_or(usize::MAX),
    }
}

fn field_json(field: &Field, object: Object) -> Value {
    let (wire_type, soap_type, length, digits, precision, scale) = wire(field);
    let filterable = field.is_filterable();
    let is_name = field.name == "Name";
    let system = !field.writable;
    let picklist: Vec<Value> = field
        .options
        .iter()
        .map(|(value, label)| {
            json!({"active": true, "defaultValue": false, "label": label, "validFor": Value::Null, "value": value})
        })
        .collect();
    let extra = match field.field_type {
        FieldType::String if field.source == Source::PersonName => Some("personname"),
        FieldType::TextArea => Some("plaintextarea"),
        _ => None,
    };
    let label = match field.field_type {
        FieldType::Id => format!("{} ID", object.label().0),
        _ => field.label.clone(),
    };
    let mut described = json!({
        "aggregatable": filterable,
        "aiPredictionField": false,
        "autoNumber": matches!(field.source, Source::Numbered("INV-")),
        "byteLength": length * if soap_type == "xsd:string" { 3 } else { 1 },
        "calculated": false,
        "calculatedFormula": Value::Null,
        "cascadeDelete": false,
        "caseSensitive": field.external_id,
        "compoundFieldName": field.compound,
        "controllerName": Value::Null,
        "createable": field.writable && object.abilities().writable,
        "custom": field.custom,
        "defaultValue": if field.field_type == FieldType::Boolean { json!(false) } else { Value::Null },
        "defaultValueFormula": Value::Null,
        "defaultedOnCreate": system && !field.is_compound(),
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "digits": digits,
        "displayLocationInDecimal": false,
        "encrypted": false,
        "externalId": field.external_id,
        "extraTypeInfo": extra,
        "filterable": filterable,
        "filteredLookupInfo": Value::Null,
    });
    let rest = json!({
        "groupable": filterable && !matches!(field.field_type, FieldType::DateTime | FieldType::Double | FieldType::Currency | FieldType::Percent),
        "highScaleNumber": false,
        "htmlFormatted": false,
        "idLookup": field.field_type == FieldType::Id || field.external_id,
        "inlineHelpText": Value::Null,
        "label": label,
        "length": length,
        "mask": Value::Null,
        "maskType": Value::Null,
        "name": field.name,
        "nameField": is_name,
        "namePointing": false,
        "nillable": !(field.required || field.field_type == FieldType::Boolean || matches!(field.source, Source::Id | Source::Created | Source::LastModified | Source::SystemModstamp)),
        "permissionable": !system,
        "picklistValues": picklist,
        "polymorphicForeignKey": false,
        "precision": precision,
        "queryByDistance": field.is_compound(),
        "referenceTargetField": Value::Null,
        "referenceTo": field.refers.map(|(to, _)| vec![to.name()]).unwrap_or_default(),
        "relationshipName": field.refers.map(|(_, relationship)| relationship),
        "relationshipOrder": Value::Null,
        "restrictedDelete": false,
        "restrictedPicklist": false,
        "scale": scale,
        "searchPrefilterable": false,
        "soapType": soap_type,
        "sortable": filterable && field.field_type != FieldType::MultiPicklist,
        "type": wire_type,
        "unique": field.external_id,
        "updateable": field.writable && object.abilities().writable,
        "writeRequiresMasterRead": false,
    });
    if let (Value::Object(described), Value::Object(rest)) = (&mut described, rest) {
        described.extend(rest);
    }
    described
}

/// `Fri, 03 Dec 2021 18:19:19 GMT`.
pub(crate) fn http_date(time_ms: i64) -> String {
    let time = Timestamp::from_millisecond(time_ms).unwrap_or_default();
    rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .unwrap_or_default()
}

/// Milliseconds since the epoch of such a date.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    let time = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(time.as_millisecond())
}
