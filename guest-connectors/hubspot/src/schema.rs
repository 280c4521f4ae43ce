//! Which streams an account has, which properties its objects have, and their JSON
//! Schema.

use serde::Deserialize;
use serde_json::Value;
use tidegate_sdk::prelude::*;

use crate::catalog::{Entity, Object, PAIRS};
use crate::shapes::{
    Property, association_schema, owner_schema, pipeline_schema, record_schema, stages_schema,
};
use crate::{Config, accepted, associations};

#[derive(Deserialize)]
struct Properties {
    results: Vec<Property>,
}

/// The property that tells which records became a part of this one; nothing else does.
pub(crate) const MERGED: &str = "hs_merged_object_ids";

/// A type of object that an account defined itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnType {
    object_type_id: String,
    fully_qualified_name: String,
    #[serde(default)]
    properties: Vec<Property>,
    #[serde(default)]
    associations: Vec<Association>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Association {
    from_object_type_id: String,
    to_object_type_id: String,
}

#[derive(Deserialize)]
struct OwnTypes {
    results: Vec<OwnType>,
}

pub(crate) fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
    let mut found = Found {
        host,
        streams: Vec::new(),
        readable: Vec::new(),
        refused: None,
    };
    for (object, type_id) in Object::STANDARD {
        if let Some(properties) = found.granted(object.name(), properties(host, config, &object))? {
            found.records(object, type_id, &properties);
        }
    }
    let own = found.granted("object types of the account's own", own_types(host, config))?;
    let own = own.unwrap_or_default();
    for one in &own {
        let object = Object::Custom(one.fully_qualified_name.clone());
        found.records(object, &one.object_type_id, &one.properties);
    }
    found.associations(&own);
    let owners = Request::get("api", "/crm/v3/owners").query("limit", 1);
    let answer = host.fetch(&owners.auth(config.auth.name()))?;
    if found
        .granted("owners", accepted(answer, "owners"))?
        .is_some()
    {
        found
            .streams
            .push(whole(&Entity::Owners, &["/id"], owner_schema()));
    }
    match found.refused {
        Some(failure) if found.readable.is_empty() => Err(failure),
        _ => Ok(found.streams),
    }
}

/// What discovery has found so far.
struct Found<'a> {
    host: &'a Host,
    streams: Vec<Stream>,
    /// Objects whose records may be read, with their type ids.
    readable: Vec<(Object, String)>,
    /// The last refusal.
    refused: Option<Failure>,
}

impl Found<'_> {
    /// What was asked for, or nothing where the account does not grant it.
    fn granted<T>(&mut self, what: &str, asked: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match asked {
            Ok(granted) => Ok(Some(granted)),
            Err(failure @ Failure::Unsupported(_)) => {
                let reason = failure.to_string();
                let fields = [("stream", what), ("reason", reason.as_str())];
                self.host
                    .log(Level::Warn, "the account does not offer a stream", &fields);
                self.refused = Some(failure);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The streams of the records of one type.
    fn records(&mut self, object: Object, type_id: &str, properties: &[Property]) {
        let entity = Entity::Records(object.clone());
        let followed = |entity: &Entity, schema: Value| {
            Stream::new(entity.name(), schema)
                .primary_key("/id")
                .incremental(object.modified_pointer())
                .with_deletes()
                .splittable()
        };
        self.streams
            .push(followed(&entity, record_schema(properties)));
        if let Some(stage) = object.stage() {
            let stages = Entity::Stages(object.clone());
            self.streams
                .push(followed(&stages, stages_schema(&object, stage)));
            let pipelines = Entity::Pipelines(object.clone());
            self.streams
                .push(whole(&pipelines, &["/id"], pipeline_schema()));
        }
        self.readable.push((object, type_id.to_owned()));
    }

    /// One stream for each pair of types whose records can be associated.
    fn associations(&mut self, own: &[OwnType]) {
        let named = |type_id: &str| {
            let mut readable = self.readable.iter();
            readable.find(|(_, known)| known == type_id)
        };
        let is_readable = |object: &Object| self.readable.iter().any(|(one, _)| one == object);
        let standard = PAIRS.into_iter();
        let mut pairs: Vec<(Object, Object)> = standard
            .filter(|(from, to)| is_readable(from) && is_readable(to))
            .collect();
        for one in own {
            // Both directions are listed; the type's own is read.
            let ends = one.associations.iter();
            let ends = ends.filter(|end| end.from_object_type_id == one.object_type_id);
            for end in ends {
                let (Some((from, _)), Some((to, _))) =
                    (named(&one.object_type_id), named(&end.to_object_type_id))
                else {
                    continue;
                };
                let pair = (from.clone(), to.clone());
                let back = (to.clone(), from.clone());
                if !pairs.contains(&pair) && !pairs.contains(&back) {
                    pairs.push(pair);
                }
            }
        }
        for (from, to) in pairs {
            let entity = Entity::Associations(from, to);
            self.streams
                .push(whole(&entity, &associations::KEY, association_schema()));
        }
    }
}

/// A stream of which everything is read each time.
fn whole(entity: &Entity, key: &[&str], schema: Value) -> Stream {
    let stream = Stream::new(entity.name(), schema);
    key.iter()
        .fold(stream, |stream, part| stream.primary_key(*part))
}

/// The properties to ask for: those of the `fields` that the user chose, or
/// all; in any case what the cursor needs.
pub(crate) fn chosen(
    host: &Host,
    config: &Config,
    object: &Object,
    fields: &[String],
) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = if fields.is_empty() {
        let properties = properties(host, config, object)?;
        properties
            .into_iter()
            .map(|property| property.name)
            .collect()
    } else {
        fields
            .iter()
            .filter_map(|field| property_of_field(field))
            .map(str::to_owned)
            .collect()
    };
    names.push(object.modified().to_owned());
    names.push(MERGED.to_owned());
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// A field is a JSON pointer into the record, or a property's bare name; what
/// lies outside `properties` is always in the answer.
fn property_of_field(field: &str) -> Option<&str> {
    match field.strip_prefix('/') {
        Some(path) => path.strip_prefix("properties/"),
        None if ["id", "properties", "createdAt", "updatedAt", "archived"].contains(&field) => None,
        None => Some(field),
    }
}

fn properties(host: &Host, config: &Config, object: &Object) -> Result<Vec<Property>, Failure> {
    let path = format!("/crm/v3/properties/{}", object.name());
    let request = Request::get("schema", path).auth(config.auth.name());
    let body = accepted(host.fetch(&request)?, object.name())?;
    let list: Properties = serde_json::from_slice(&body.bytes()?)?;
    Ok(list.results)
}

fn own_types(host: &Host, config: &Config) -> Result<Vec<OwnType>, Failure> {
    let request = Request::get("schema", "/crm/v3/schemas").auth(config.auth.name());
    let body = accepted(host.fetch(&request)?, "object types of the account's own")?;
    let types: OwnTypes = serde_json::from_slice(&body.bytes()?)?;
    Ok(types.results)
}
