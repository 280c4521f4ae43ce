//! What the connector says about itself and about an org.

use tidegate_sdk::{ResponseClass, Role, testing::Answer};

use super::org::refusal;
use super::*;

#[test]
fn usual_and_custom_objects_become_streams_and_refused_ones_are_left_out() {
    let memory = memory(&Org::default());
    let streams = Salesforce::discover(&memory.host(), &Config::default()).unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["Account", "AccountHistory", "Tree__c"]);
    assert_eq!(memory.log_lines().len(), 1, "Profile is refused");
    let [account, history, tree] = &streams[..] else {
        unreachable!()
    };
    assert_eq!(account.primary_key, ["/Id"]);
    assert_eq!(account.cursor_field.as_deref(), Some("/SystemModstamp"));
    assert!(account.has_deletes && account.splittable);
    assert_eq!(history.cursor_field.as_deref(), Some("/CreatedDate"));
    assert!(!history.has_deletes, "its time does not move with the flag");
    assert_eq!(tree.cursor_field, None);
    assert_eq!(tree.sync_modes, [SyncMode::FullRefresh]);
}

#[test]
fn field_types_become_schema_types_without_compounds_and_files() {
    let memory = memory(&Org::default());
    let streams = Salesforce::discover(&memory.host(), &Config::default()).unwrap();
    assert_eq!(
        streams[0].schema["properties"],
        json!({
            "Id": {"type": ["string", "null"]},
            "IsDeleted": {"type": ["boolean", "null"]},
            "Name": {"type": ["string", "null"]},
            "BillingCity": {"type": ["string", "null"]},
            "AnnualRevenue": {
                "type": ["number", "null"], "format": "decimal", "precision": 20, "scale": 2
            },
            "NumberOfEmployees": {"type": ["integer", "null"]},
            "Founded__c": {"type": ["string", "null"], "format": "date"},
            "SystemModstamp": {"type": ["string", "null"], "format": "date-time"},
            "CreatedDate": {"type": ["string", "null"], "format": "date-time"}
        })
    );
    let any = &streams[1].schema["properties"]["NewValue"];
    assert_eq!(
        any,
        &json!({"type": ["string", "number", "boolean", "null"]})
    );
    let age = &streams[2].schema["properties"]["Age__c"];
    assert_eq!(
        age,
        &json!({"type": ["number", "null"]}),
        "no digits declared"
    );
    assert_eq!(streams[2].schema["properties"].get("Spot__c"), None);
}

#[test]
fn compounds_are_read_part_by_part_where_somebody_wants_them() {
    let memory = memory(&Org::default());
    let config = Config {
        compound_fields: true,
        ..Config::default()
    };
    let streams = Salesforce::discover(&memory.host(), &config).unwrap();
    let address = &streams[0].schema["properties"]["BillingAddress"];
    assert_eq!(address["type"], json!(["object", "null"]));
    assert_eq!(address["properties"]["stateCode"]["type"][0], "string");
    let degrees = json!({
        "type": ["number", "null"], "format": "decimal", "precision": 18, "scale": 15
    });
    let place = json!({"latitude": degrees, "longitude": degrees});
    assert_eq!(
        streams[2].schema["properties"]["Spot__c"]["properties"],
        place
    );
}

#[test]
fn only_chosen_objects_are_described_and_unknown_ones_are_named() {
    let memory = memory(&Org::default());
    let chosen = |names: &[&str]| Config {
        objects: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Config::default()
    };
    let streams = Salesforce::discover(&memory.host(), &chosen(&["Account"])).unwrap();
    assert_eq!(streams.len(), 1);
    assert_eq!(asked(&memory, "/describe"), 1);
    for wrong in ["Acount", "Contact", "Account/describe"] {
        let failure = Salesforce::discover(&memory.host(), &chosen(&[wrong])).unwrap_err();
        assert!(
            matches!(&failure, Failure::Config(text) if text.contains(wrong)),
            "{failure}"
        );
    }
}

#[test]
fn an_org_that_offers_no_stream_is_a_failure() {
    let memory = memory(&Org::default());
    let config = Config {
        objects: vec!["Profile".to_owned()],
        ..Config::default()
    };
    let failure = Salesforce::discover(&memory.host(), &config).unwrap_err();
    assert!(matches!(failure, Failure::Unsupported(_)));
}

#[test]
fn the_probe_is_one_call_and_says_what_to_fix() {
    let memory = memory(&Org::default());
    Salesforce::check(&memory.host(), &Config::default()).unwrap();
    assert_eq!(memory.requests().len(), 1);
    let failing = |answer: Answer| {
        let memory = MemoryHost::scripted([answer]).blind(&Salesforce::manifest());
        Salesforce::check(&memory.host(), &Config::default()).unwrap_err()
    };
    let disabled = refusal(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled");
    assert!(matches!(failing(disabled), Failure::Config(text) if text.contains("API Enabled")));
    let refused = Answer::fault(tidegate_sdk::HttpFault::Auth("status 401".to_owned()));
    assert!(matches!(
        failing(refused),
        Failure::Auth(text) if text.contains("https://login.salesforce.com") && text.contains("401")
    ));
    let spent = Answer::json(&json!({"DailyApiRequests": {"Max": 15_000, "Remaining": 0}}));
    assert_eq!(failing(spent), Failure::Throttled(None));
}

#[test]
fn the_manifest_lets_of_records_only_ids_and_one_time_out_and_of_events_their_headers() {
    let manifest = Salesforce::manifest();
    assert_eq!(manifest.extra, json!({"blind": true}));
    let inside: Vec<&String> = manifest
        .paging_pointers
        .iter()
        .filter(|pointer| pointer.contains('*') || pointer.starts_with("/records"))
        .collect();
    assert_eq!(
        inside,
        [
            "/records/0/SystemModstamp",
            "/records/0/LastModifiedDate",
            "/records/0/CreatedDate",
            "/records/0/LoginTime",
            "/deletedRecords/*/*",
            "/records/*/Id",
            "/*/channel",
            "/*/clientId",
            "/*/successful",
            "/*/error",
            "/*/advice/reconnect",
            "/*/ext/sfdc/failureReason",
            "/*/data/event/replayId",
            "/*/data/payload/ChangeEventHeader/changeType",
            "/*/data/payload/ChangeEventHeader/commitTimestamp",
            "/*/data/payload/ChangeEventHeader/recordIds",
            "/*/data/payload/ChangeEventHeader/recordIds/*",
        ]
    );
    let metadata = manifest
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.role == Role::Metadata);
    assert!(metadata.flat_map(|endpoint| &endpoint.paths).eq([
        "/services/data/v62.0/sobjects",
        "/services/data/v62.0/limits"
    ]));
}

#[test]
fn headers_that_the_connector_reads_are_asked_for() {
    let manifest = Salesforce::manifest();
    for header in ["date", "sforce-locator", "sforce-numberofrecords"] {
        assert!(manifest.response_headers.iter().any(|name| name == header));
    }
}

#[test]
fn a_daily_limit_is_told_from_one_of_requests_at_once() {
    let rules = Salesforce::manifest().responses;
    let class = |status: u16, code: &str, message: &str| {
        let body = json!([{"message": message, "errorCode": code}]);
        let rule = rules.iter().find(|rule| {
            (rule.first..=rule.last).contains(&status)
                && rule.body.as_ref().is_none_or(|(pointer, text)| {
                    let found = body.pointer(pointer).and_then(Value::as_str);
                    found.is_some_and(|found| found.contains(text))
                })
        });
        rule.unwrap().class
    };
    let limit = "REQUEST_LIMIT_EXCEEDED";
    let concurrent = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
    for (status, code, message, expected) in [
        (403, limit, concurrent, ResponseClass::ThrottledShort),
        (
            403,
            limit,
            "ConcurrentPerOrgLongTxn Limit exceeded.",
            ResponseClass::ThrottledShort,
        ),
        (
            403,
            limit,
            "TotalRequests Limit exceeded.",
            ResponseClass::ThrottledLong,
        ),
        (403, "INSUFFICIENT_ACCESS", "no", ResponseClass::Permanent),
        (
            401,
            "INVALID_SESSION_ID",
            "Session expired or invalid",
            ResponseClass::Auth,
        ),
        (
            401,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
            ResponseClass::Permanent,
        ),
        (400, "UNABLE_TO_LOCK_ROW", "", ResponseClass::Transient),
        (400, "QUERY_TIMEOUT", "", ResponseClass::Permanent),
        (400, "INVALID_QUERY_LOCATOR", "", ResponseClass::Permanent),
        (406, "", "", ResponseClass::Transient),
        (420, "", "", ResponseClass::Transient),
        (500, "UNKNOWN_EXCEPTION", "", ResponseClass::Transient),
        (503, "SERVER_UNAVAILABLE", "", ResponseClass::Transient),
    ] {
        assert_eq!(
            class(status, code, message),
            expected,
            "{status} {code} {message}"
        );
    }
}

#[test]
fn an_unknown_setting_is_refused() {
    assert!(serde_json::from_value::<Config>(json!({"bulk_abov": 1})).is_err());
}
