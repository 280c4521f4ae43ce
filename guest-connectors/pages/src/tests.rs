//! Pages against a list in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use tidegate_sdk::testing::{Answer, Job, MemoryHost};

use super::*;

fn two_pages() -> MemoryHost {
    MemoryHost::scripted([
        Answer::json(&json!({"results": [contact("1"), contact("2")], "paging": {"next": {"after": "2"}}})),
        Answer::json(&json!({"results": [contact("3")]})),
    ])
    .blind(&Contacts::manifest())
}

fn contact(id: &str) -> Value {
    json!({"id": id, "updatedAt": "2026-01-03T10:00:00Z", "archived": false})
}

fn job(config: Value) -> Job {
    Job {
        config,
        ..Job::new("contacts")
    }
}

#[test]
fn the_list_is_read_blind_and_saved_after_each_page_but_the_last() {
    let memory = two_pages();
    let whole = Slice { date: None };
    let outcome = memory.run::<Contacts>(&job(json!({})), &whole).unwrap();
    assert!(matches!(outcome, Outcome::Done(Next(None))));
    let ids: Vec<Value> = memory
        .emitted()
        .into_iter()
        .map(|it| it.record["id"].clone())
        .collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(memory.saves(), [json!("2")]);
    let asked = memory.requests();
    assert_eq!(asked[0].parameter("limit"), Some("100"));
    assert_eq!(asked[0].parameter("date"), None);
    assert_eq!(asked[1].parameter("after"), Some("2"));
}

#[test]
fn a_window_is_asked_for_by_its_date_and_pages_by_their_size() {
    let memory = two_pages();
    let slice = day(1).slice;
    let job = job(json!({"page_size": 1000, "windows": 2}));
    memory.run::<Contacts>(&job, &slice).unwrap();
    for asked in memory.requests() {
        assert_eq!(asked.parameter("date"), Some("2026-01-02"));
        assert_eq!(asked.parameter("limit"), Some("1000"));
    }
}

#[test]
fn windows_are_the_days_from_the_first_of_the_year() {
    let memory = MemoryHost::scripted([]);
    let planned = |windows: u32| {
        let plan = Plan {
            config: Config {
                windows,
                ..Config::default()
            },
            stream: "contacts".to_owned(),
            mode: SyncMode::FullRefresh,
            window: None,
            partitions_max: 1,
            previous: Vec::new(),
        };
        let partitions = Contacts::plan(&memory.host(), plan).unwrap();
        partitions.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(planned(0), ["list"]);
    assert_eq!(planned(3), ["2026-01-01", "2026-01-02", "2026-01-03"]);
}

#[test]
fn properties_have_the_types_that_the_source_names() {
    let memory = MemoryHost::scripted([Answer::json(&json!({"results": [
        {"name": "email", "type": "string"},
        {"name": "createdate", "type": "datetime"},
        {"name": "hs_email_optout", "type": "bool"},
    ]}))]);
    let streams = Contacts::discover(&memory.host(), &Config::default()).unwrap();
    let properties = &streams[0].schema["properties"]["properties"]["properties"];
    assert_eq!(properties["email"], json!({"type": ["string", "null"]}));
    assert_eq!(properties["createdate"]["format"], "date-time");
    assert_eq!(properties["hs_email_optout"]["type"][0], "boolean");
}
