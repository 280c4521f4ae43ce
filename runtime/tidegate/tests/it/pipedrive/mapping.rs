//! The file that says how Pipedrive's records become Salesforce's, held against what
//! really lands of the one and what the other really has.

use crate::site::Site;
use crate::truth::{self, Crm, Stream};
use crm_sim::Simulator;
use crm_sim::pipedrive::{Config, PipedriveSim};
use crm_sim::salesforce::{self, Salesforce};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::sync::Arc;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_landing::lake;

const ALL_STREAMS: Crm = Crm {
    streams: &[
        Stream::of("persons"),
        Stream::of("organizations"),
        Stream::of("deals"),
        Stream::of("activities"),
        whole("users"),
        whole("pipelines"),
        whole("stages"),
    ],
    ..super::PIPEDRIVE
};

/// A list that is read whole each time.
const fn whole(name: &'static str) -> Stream {
    Stream {
        mode: "full_refresh",
        ..Stream::of(name)
    }
}

/// Standard fields of objects that the simulated org does not have, from Salesforce's
/// object reference, as far as the mapping names them.
const NOT_SIMULATED: [(&str, &[&str]); 3] = [
    (
        "OpportunityContactRole",
        &["OpportunityId", "ContactId", "IsPrimary", "Role"],
    ),
    (
        "Task",
        &[
            "Subject",
            "ActivityDate",
            "Status",
            "TaskSubtype",
            "Description",
            "WhoId",
            "WhatId",
            "OwnerId",
        ],
    ),
    (
        "Event",
        &[
            "Subject",
            "StartDateTime",
            "DurationInMinutes",
            "Description",
            "WhoId",
            "WhatId",
            "OwnerId",
        ],
    ),
];

/// What both sides have.
struct Sides {
    /// Members of landed records, as pointers, by stream.
    landed: BTreeMap<&'static str, BTreeSet<String>>,
    /// Fields by object.
    fields: BTreeMap<String, BTreeSet<String>>,
    formats: BTreeSet<String>,
    page: String,
    wrong: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mapping_to_salesforce_names_members_that_land_and_fields_that_salesforce_has() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mapping: Value = serde_saphyr::from_str(&read("pipedrive-to-salesforce.yaml")).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect();
    let mut sides = Sides {
        landed: landed().await,
        fields: salesforce_fields().await,
        formats: names(&mapping["formats"]),
        page: read("pipedrive-to-salesforce.md"),
        wrong: Vec::new(),
    };
    let objects = mapping["objects"].as_array().unwrap();
    for one in objects {
        sides.check(one);
    }
    let streams: BTreeSet<_> = objects
        .iter()
        .filter_map(|one| one["stream"].as_str())
        .collect();
    let wanted = ["users", "organizations", "persons", "deals", "activities"];
    assert_eq!(streams, BTreeSet::from(wanted), "streams that are mapped");
    assert!(sides.wrong.is_empty(), "{:#?}", sides.wrong);
}

impl Sides {
    fn check(&mut self, one: &Value) {
        let stream = one["stream"].as_str().unwrap();
        let mut objects: Vec<(String, Vec<&Value>)> = Vec::new();
        let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
        let fields: Vec<Value> = list(&one["fields"]);
        if let Some(object) = one["object"].as_str() {
            objects.push((object.to_owned(), fields.iter().collect()));
        }
        if let Some(split) = one["objects"].as_object() {
            self.member(stream, &one["split"]["by"]);
            for (object, fields) in split {
                objects.push((object.clone(), fields.as_array().unwrap().iter().collect()));
            }
            let chosen = one["split"]["choices"].as_object().unwrap().values();
            for object in chosen.chain([&one["split"]["else"]]) {
                if !split.contains_key(object.as_str().unwrap()) {
                    self.wrong.push(format!("{stream}: {object} has no fields"));
                }
            }
        }
        for relation in one["relations"].as_array().into_iter().flatten() {
            let object = relation["object"].as_str().unwrap().to_owned();
            objects.push((
                object.clone(),
                relation["fields"].as_array().unwrap().iter().collect(),
            ));
            for to in relation["match"]["to"].as_array().unwrap() {
                self.field(&object, to);
            }
        }
        for (object, fields) in objects {
            if let Some(to) = one["match"].get("to") {
                self.member(stream, &one["match"]["from"]);
                if relation_of(one, &object).is_none() {
                    self.field(&object, to);
                }
            }
            for field in fields {
                self.mapped(stream, &object, field);
            }
        }
    }

    fn mapped(&mut self, stream: &str, object: &str, field: &Value) {
        // Only organisations with several currencies have the field.
        if field["only_if"].is_null() {
            self.field(object, &field["to"]);
        }
        for name in ["from", "before", "time"] {
            if let Some(pointer) = field.get(name) {
                self.member(stream, pointer);
            }
        }
        for pointer in field["first_present"].as_array().into_iter().flatten() {
            self.member(stream, pointer);
        }
        if let Some(pointer) = field["else"].as_str().filter(|text| text.starts_with('/')) {
            self.member(stream, &pointer.into());
        }
        if let Some(pointer) = field["else"].get("from") {
            self.member(stream, pointer);
        }
        if let Some(inner) = field["value"].as_str() {
            let whole = format!("{}/*{inner}", field["from"].as_str().unwrap());
            self.member(stream, &whole.into());
        }
        if let Some(format) = field["format"].as_str()
            && !self.formats.contains(format)
        {
            self.wrong
                .push(format!("{stream}: there is no format {format}"));
        }
        let references = [&field["reference"], &field["else"]["reference"]];
        for reference in references
            .into_iter()
            .filter(|reference| !reference.is_null())
        {
            let names = match reference {
                Value::Array(names) => names.clone(),
                name => vec![name.clone()],
            };
            for name in names {
                if !self.landed.contains_key(name.as_str().unwrap()) {
                    self.wrong
                        .push(format!("{stream}: there is no stream {name}"));
                }
            }
        }
    }

    fn member(&mut self, stream: &str, pointer: &Value) {
        let pointer = pointer.as_str().unwrap_or_default();
        if !self.landed[stream].contains(pointer) {
            self.wrong
                .push(format!("{stream}: no record has {pointer}"));
        }
    }

    /// A standard field that the object has, or a custom one that the page asks for.
    fn field(&mut self, object: &str, name: &Value) {
        let name = name.as_str().unwrap_or_default();
        let is_asked_for = name.ends_with("__c") && self.page.contains(&format!("`{name}`"));
        let is_there = self
            .fields
            .get(object)
            .is_some_and(|fields| fields.contains(name));
        if !is_asked_for && !is_there {
            self.wrong.push(format!("{object} has no field {name:?}"));
        }
    }
}

fn relation_of<'a>(one: &'a Value, object: &str) -> Option<&'a Value> {
    let mut relations = one["relations"].as_array()?.iter();
    relations.find(|relation| relation["object"] == object)
}

/// Everything that a small company's records hold once they have landed.
async fn landed() -> BTreeMap<&'static str, BTreeSet<String>> {
    let simulator = PipedriveSim::start(Config {
        limit_scale: None,
        api_domain: Some("https://acme.pipedrive.com".to_owned()),
        ..Config::default()
    });
    let simulator: Arc<dyn Simulator> = Arc::new(simulator.await.unwrap());
    let site = truth::connected(&ALL_STREAMS, simulator, "limit_scale: .inf").await;
    site.sync_to_end().await;
    let mut landed = BTreeMap::new();
    for stream in ALL_STREAMS.streams {
        landed.insert(stream.name, members(&site, stream.name).await);
    }
    landed
}

async fn members<C>(site: &Site<C>, stream: &str) -> BTreeSet<String> {
    let key = StreamKey {
        tenant: TenantId::parse("acme").unwrap(),
        sync: SyncId::parse("crm").unwrap(),
        stream: StreamName::parse(stream).unwrap(),
    };
    let target = site.lake();
    let mut found = BTreeSet::new();
    for seen in lake::view(&target, &key).await.unwrap().objects {
        let bytes = target.read(&seen.key).await.unwrap().unwrap();
        let text = std::io::BufReader::new(zstd::Decoder::new(&bytes[..]).unwrap());
        for line in text.lines() {
            let row = serde_json::from_str(&line.unwrap()).unwrap();
            pointers(&row, "", &mut found);
        }
    }
    found
}

fn pointers(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    into.insert(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                pointers(value, &format!("{at}/{name}"), into);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                pointers(element, &format!("{at}/*"), into);
            }
        }
        _ => {}
    }
}

async fn salesforce_fields() -> BTreeMap<String, BTreeSet<String>> {
    let org: Arc<dyn Simulator> = Arc::new(
        Salesforce::start(salesforce::Config::default())
            .await
            .unwrap(),
    );
    let mut fields = BTreeMap::new();
    for object in ["Account", "Contact", "Opportunity", "User"] {
        let first = org.current(object).unwrap().next().unwrap();
        let record = org.version_json(object, &first.id, first.modified_ms);
        let record: Value = serde_json::from_str(&record.unwrap()).unwrap();
        let names = record.as_object().unwrap().keys().cloned();
        fields.insert(object.to_owned(), names.collect());
    }
    for (object, names) in NOT_SIMULATED {
        let names = names.iter().map(|name| (*name).to_owned());
        fields.insert(object.to_owned(), names.collect());
    }
    fields
}
