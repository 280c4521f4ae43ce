//! What the connector says about itself and about a workspace.

use serde_json::json;
use tidegate_sdk::{ResponseClass, Role, testing::Answer};

use super::{workspace::refusal, *};
use crate::{Config, Object, Region};

fn in_europe() -> Config {
    Config {
        region: Region::Eu,
        ..Config::default()
    }
}

#[test]
fn streams_are_described_with_the_workspaces_own_attributes() {
    let memory = memory(&Workspace::default());
    let streams = Intercom::discover(&memory.host(), &Config::default()).unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, Object::ALL.map(Object::name));
    assert_eq!(
        streams[0].schema["properties"]["custom_attributes"]["properties"],
        json!({
            "tier": {"type": ["string", "null"], "title": "The tier"},
            "score": {"type": ["number", "null"], "format": "decimal", "title": "The score"},
            "since": {"type": ["integer", "null"], "title": "The since"}
        })
    );
    let deletes: Vec<&str> = streams
        .iter()
        .filter(|stream| stream.has_deletes)
        .map(|stream| stream.name.as_str())
        .collect();
    assert_eq!(deletes, ["conversations"], "of others nothing tells");
    assert_eq!(streams[6].primary_key, ["/model", "/full_name"]);
}

#[test]
fn the_probe_tells_which_region_to_set() {
    let memory = memory(&Workspace::default());
    Intercom::check(&memory.host(), &in_europe()).unwrap();
    let failure = Intercom::check(&memory.host(), &Config::default()).unwrap_err();
    assert!(
        matches!(&failure, Failure::Config(text) if text.contains("region eu")),
        "{failure}"
    );
}

#[test]
fn a_missing_permission_is_told_from_a_token_that_is_not_accepted() {
    for (code, expected) in [
        ("unauthorized", "credentials refused"),
        ("token_unauthorized", "not available"),
    ] {
        let memory = MemoryHost::new(move |_| refusal(401, code)).blind(&Intercom::manifest());
        let failure = Intercom::check(&memory.host(), &in_europe()).unwrap_err();
        assert!(
            failure.to_string().starts_with(expected),
            "{code}: {failure}"
        );
    }
    let classes: Vec<(bool, ResponseClass)> = Intercom::manifest()
        .responses
        .iter()
        .filter(|rule| rule.first == 401)
        .map(|rule| (rule.body.is_some(), rule.class))
        .collect();
    let expected = [
        (true, ResponseClass::Permanent),
        (false, ResponseClass::Auth),
    ];
    assert_eq!(classes, expected);
}

#[test]
fn every_region_has_hosts_of_its_own_and_no_record_leaves_a_body() {
    let manifest = Intercom::manifest();
    let hosts: Vec<&str> = manifest
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.role == Role::Data)
        .map(|endpoint| endpoint.base_url.as_str())
        .collect();
    let expected = [
        "https://api.intercom.io",
        "https://api.eu.intercom.io",
        "https://api.au.intercom.io",
    ];
    assert_eq!(hosts, expected);
    // Of records ids and times alone.
    let inside: Vec<&String> = manifest
        .paging_pointers
        .iter()
        .filter(|pointer| pointer.contains('*'))
        .collect();
    assert!(
        inside
            .iter()
            .all(|pointer| pointer.ends_with("/id") || pointer.ends_with("/updated_at"))
    );
}

#[test]
fn an_answer_without_a_body_is_worth_asking_again() {
    let memory = MemoryHost::new(|_| Answer::body("")).blind(&Intercom::manifest());
    let read = memory.sync::<Intercom>(&job("contacts"), Vec::new());
    assert!(matches!(read, Err(Failure::Transient(_))), "{read:?}");
    let memory = MemoryHost::new(|_| Answer::body("{}")).blind(&Intercom::manifest());
    let read = memory.sync::<Intercom>(&job("contacts"), Vec::new());
    assert!(matches!(read, Err(Failure::Protocol(_))), "{read:?}");
}
