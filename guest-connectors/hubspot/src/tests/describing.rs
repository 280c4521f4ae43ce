//! What the connector says about itself and about an account.

use serde_json::json;
use tidegate_sdk::{ResponseClass, Role};

use super::*;
use crate::Config;

#[test]
fn streams_are_described_from_the_account_and_refused_ones_left_out() {
    let memory = memory(&Crm::default());
    let streams = HubSpot::discover(&memory.host(), &Config::default()).unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "contacts",
            "deals",
            "deals-stages",
            "deals-pipelines",
            "tickets",
            "tickets-stages",
            "tickets-pipelines",
            "p1_machine",
            "deals-to-contacts",
            "tickets-to-contacts",
            "tickets-to-deals",
            "contacts-to-contacts",
            "deals-to-deals",
            "tickets-to-tickets",
            "p1_machine-to-contacts",
            "owners"
        ]
    );
    assert_eq!(memory.log_lines().len(), 1, "companies are refused");
    let contacts = &streams[0];
    assert_eq!(contacts.primary_key, ["/id"]);
    assert_eq!(
        contacts.cursor_field.as_deref(),
        Some("/properties/lastmodifieddate")
    );
    assert_eq!(
        contacts.sync_modes,
        [SyncMode::FullRefresh, SyncMode::Incremental]
    );
    assert!(contacts.has_deletes && contacts.splittable);
    assert_eq!(
        streams[1].cursor_field.as_deref(),
        Some("/properties/hs_lastmodifieddate")
    );
}

#[test]
fn property_types_become_schema_types() {
    let memory = memory(&Crm::default());
    let streams = HubSpot::discover(&memory.host(), &Config::default()).unwrap();
    let properties = &streams[0].schema["properties"]["properties"]["properties"];
    assert_eq!(
        properties,
        &json!({
            "email": {"type": ["string", "null"]},
            "lastmodifieddate": {"type": ["string", "null"], "format": "date-time"},
            "birthday": {"type": ["string", "null"], "format": "date"},
            "opted_out": {"type": ["boolean", "null"]},
            "score": {"type": ["string", "null"], "format": "decimal"},
            "stage": {"type": ["string", "null"]}
        })
    );
}

#[test]
fn a_stream_without_changes_is_read_in_full_only_and_keyed_by_its_record() {
    let memory = memory(&Crm::default());
    let streams = HubSpot::discover(&memory.host(), &Config::default()).unwrap();
    let of = |name: &str| streams.iter().find(|stream| stream.name == name).unwrap();
    let associations = of("p1_machine-to-contacts");
    assert_eq!(associations.primary_key, ["/from/id", "/to/0/toObjectId"]);
    assert_eq!(associations.sync_modes, [SyncMode::FullRefresh]);
    assert_eq!(of("owners").sync_modes, [SyncMode::FullRefresh]);
    let machine = of("p1_machine");
    let hours = &machine.schema["properties"]["properties"]["properties"]["hours"];
    assert_eq!(
        hours,
        &json!({"type": ["string", "null"], "format": "decimal"})
    );
    let stages = &of("deals-stages").schema["properties"]["propertiesWithHistory"];
    assert_eq!(stages["properties"]["dealstage"]["type"], "array");
}

#[test]
fn an_account_that_offers_no_stream_is_a_failure() {
    let memory = MemoryHost::new(|_| tidegate_sdk::testing::Answer::status(403));
    let failure = HubSpot::discover(&memory.host(), &Config::default()).unwrap_err();
    assert!(matches!(failure, Failure::Unsupported(_)));
}

#[test]
fn the_probe_asks_for_the_account_only() {
    let memory = memory(&Crm::default());
    HubSpot::check(&memory.host(), &Config::default()).unwrap();
    assert_eq!(memory.requests().len(), 1);
}

#[test]
fn the_manifest_lets_no_record_out_of_a_body() {
    let manifest = HubSpot::manifest();
    assert_eq!(manifest.extra, json!({"blind": true}));
    let ids_and_places = [
        "/paging/next/after",
        "/total",
        "/results/*/id",
        "/results/*/from/id",
        "/results/*/paging/next/after",
        "/results/*/properties/hs_merged_object_ids",
    ];
    assert_eq!(manifest.paging_pointers, ids_and_places);
    let data = manifest
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.role == Role::Data);
    assert!(data.flat_map(|endpoint| &endpoint.paths).eq([
        "/crm/v3/objects/",
        "/crm/v3/owners",
        "/crm/v3/pipelines/",
        "/crm/v4/associations/"
    ]));
}

#[test]
fn a_daily_limit_is_told_from_a_short_one() {
    let classes: Vec<ResponseClass> = HubSpot::manifest()
        .responses
        .into_iter()
        .filter(|rule| rule.first == 429)
        .map(|rule| rule.class)
        .collect();
    assert_eq!(
        classes,
        [ResponseClass::ThrottledLong, ResponseClass::ThrottledShort]
    );
}

#[test]
fn an_unknown_setting_is_refused() {
    assert!(serde_json::from_value::<Config>(json!({"auht": "oauth"})).is_err());
}
