//! What the connector says about itself and about a company.

use serde_json::json;
use tidegate_sdk::{ResponseClass, Role, testing::Answer};

use super::*;
use crate::Config;

#[test]
fn streams_are_described_from_the_company_and_refused_ones_left_out() {
    let memory = memory(&Company::default());
    let streams = Pipedrive::discover(&memory.host(), &Config::default()).unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    let expected = [
        "organizations",
        "deals",
        "activities",
        "users",
        "pipelines",
        "stages",
    ];
    assert_eq!(names, expected);
    let deletes: Vec<&str> = streams
        .iter()
        .filter(|stream| stream.has_deletes)
        .map(|stream| stream.name.as_str())
        .collect();
    assert_eq!(deletes, ["deals"], "of others the lists do not tell");
    let incremental: Vec<bool> = streams
        .iter()
        .map(|stream| stream.sync_modes.contains(&SyncMode::Incremental))
        .collect();
    assert_eq!(incremental, [true, true, true, false, false, false]);
}

#[test]
fn custom_fields_carry_the_names_that_people_gave_them() {
    let memory = memory(&Company::default());
    let streams = Pipedrive::discover(&memory.host(), &Config::default()).unwrap();
    let deals = &streams[1].schema["properties"];
    assert_eq!(deals["title"]["title"], "Title");
    assert_eq!(
        deals["custom_fields"]["properties"],
        json!({
            "0123456789abcdef0123456789abcdef01234567": {
                "title": "Contract value",
                "type": ["object", "null"],
                "properties": {
                    "value": {"type": ["number", "null"], "format": "decimal"},
                    "currency": {"type": ["string", "null"]}
                }
            },
            "89abcdef0123456789abcdef0123456789abcdef": {
                "title": "Tier",
                "type": ["integer", "null"],
                "x-labels": {"21": "Gold", "22": "Silver"}
            }
        })
    );
}

#[test]
fn a_token_without_any_scope_is_a_failure() {
    let refusal = json!({"success": false, "error": "Scope and URL mismatch"});
    let memory = MemoryHost::new(move |_| Answer::refusal(403, &refusal));
    let failure = Pipedrive::discover(&memory.host(), &Config::default()).unwrap_err();
    assert!(matches!(failure, Failure::Unsupported(_)));
}

#[test]
fn fields_that_never_end_are_a_protocol_failure() {
    let page = json!({"success": true, "data": [], "additional_data": {"next_cursor": "x"}});
    let memory = MemoryHost::new(move |_| Answer::json(&page));
    let failure = Pipedrive::discover(&memory.host(), &Config::default()).unwrap_err();
    assert!(matches!(failure, Failure::Protocol(_)));
}

#[test]
fn the_probe_says_what_to_mend() {
    for (status, expected) in [
        (401, "authorise again"),
        (402, "subscription"),
        (403, "scope"),
        (429, "throttled"),
        (502, "transient"),
    ] {
        let memory = MemoryHost::new(move |_| Answer::status(status));
        let failure = Pipedrive::check(&memory.host(), &Config::default()).unwrap_err();
        assert!(
            failure.to_string().contains(expected),
            "{status}: {failure}"
        );
    }
}

#[test]
fn a_scope_is_told_from_the_edge_that_refuses_too_much() {
    let rules = Pipedrive::manifest().responses;
    let of_403: Vec<(bool, ResponseClass)> = rules
        .iter()
        .filter(|rule| (rule.first..=rule.last).contains(&403))
        .map(|rule| (rule.body.is_some(), rule.class))
        .take(2)
        .collect();
    let expected = [
        (true, ResponseClass::Permanent),
        (false, ResponseClass::ThrottledShort),
    ];
    assert_eq!(of_403, expected);
}

#[test]
fn bursts_count_requests_and_the_daily_budget_counts_their_cost() {
    let manifest = Pipedrive::manifest();
    assert_eq!(manifest.limits.len(), 3);
    assert_eq!(
        manifest.extra,
        json!({"blind": true, "limits": [{"counts": "requests"}, {"counts": "requests"}, {}]})
    );
}

#[test]
fn no_record_leaves_a_body_and_no_request_leaves_its_lists() {
    let manifest = Pipedrive::manifest();
    assert_eq!(manifest.paging_pointers, ["/additional_data/next_cursor"]);
    for endpoint in &manifest.endpoints {
        assert!(!endpoint.paths.is_empty(), "{}", endpoint.name);
        let describes = endpoint.paths.iter().all(|path| path.ends_with("Fields"));
        assert_eq!(
            describes,
            endpoint.role == Role::Metadata,
            "{}",
            endpoint.name
        );
    }
}
