//! What the connector says about itself and about an account.

use tidegate_sdk::{Auth, Place, ResponseClass, Role, testing::Answer};

use super::*;

#[test]
fn streams_are_described_from_the_account() {
    let memory = memory(&Account::default());
    let streams = LeadSquared::discover(&memory.host(), &config()).unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["leads", "activities", "opportunities", "users"]);
    let lead = &streams[0].schema["properties"]["LeadPropertyList"]["properties"];
    assert_eq!(
        lead,
        &json!({
            "ProspectID": {"type": ["string", "null"], "title": "Lead Id"},
            "ProspectAutoId": {"type": ["string", "null"]},
            "ModifiedOn": {"type": ["string", "null"], "format": "date-time", "title": "Modified On"},
            "mx_City": {"type": ["string", "null"], "title": "City"},
            "mx_Budget": {"type": ["string", "null"], "format": "decimal", "title": "Budget"}
        })
    );
    assert!(
        streams.iter().all(|stream| !stream.has_deletes),
        "nothing tells"
    );
}

#[test]
fn opportunities_are_described_where_the_account_has_them() {
    for has_no_opportunities in [false, true] {
        let account = Account {
            has_no_opportunities,
            ..Account::default()
        };
        let memory = memory(&account);
        let streams = LeadSquared::discover(&memory.host(), &config()).unwrap();
        let found = streams.iter().find(|stream| stream.name == "opportunities");
        let field = found.map(|stream| stream.schema["properties"]["mx_Custom_8"].clone());
        let expected =
            json!({"type": ["string", "null"], "format": "decimal", "title": "Expected value"});
        assert_eq!(field, (!has_no_opportunities).then_some(expected));
    }
}

#[test]
fn the_region_is_one_part_of_the_host_and_has_to_be_set() {
    let manifest = LeadSquared::manifest();
    let base = "https://{config.region}.leadsquared.com/v2";
    assert!(
        manifest
            .endpoints
            .iter()
            .all(|endpoint| endpoint.base_url == base)
    );
    assert!(serde_json::from_value::<Config>(json!({})).is_err());
    assert!(serde_json::from_value::<Config>(json!({"region": "api", "key": "x"})).is_err());
}

#[test]
fn keys_go_into_the_query_or_into_headers() {
    let manifest = LeadSquared::manifest();
    let places: Vec<(&str, Vec<&Place>)> = manifest
        .auth
        .iter()
        .map(|(name, auth)| match auth {
            Auth::Keys(parts) => (
                name.as_str(),
                parts.iter().map(|part| &part.place).collect(),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    let query = |name: &str| Place::Query(name.to_owned());
    let header = |name: &str| Place::Header(name.to_owned());
    assert_eq!(
        places,
        [
            ("query", vec![&query("accessKey"), &query("secretKey")]),
            (
                "header",
                vec![&header("x-lsq-accesskey"), &header("x-lsq-secretkey")]
            ),
        ]
    );
    for (keys, name) in [("query", "query"), ("header", "header")] {
        let memory = memory(&Account::default());
        let config = json!({"region": "api", "keys": keys});
        LeadSquared::check(&memory.host(), &serde_json::from_value(config).unwrap()).unwrap();
        assert_eq!(memory.requests()[0].auth.as_deref(), Some(name));
    }
}

#[test]
fn errors_are_known_by_their_names_whatever_their_status() {
    for (status, exception, expected) in [
        (200, "MXAPIRateLimitExceededException", "throttled"),
        (500, "MXAPIRateLimitExceededException", "throttled"),
        (200, "MXInvalidInputException", "fatal"),
        (500, "MXDuplicateEntryException", "fatal"),
        (500, "MXUnauthorizedException", "credentials refused"),
        (500, "MXPermissionDeniedException", "not available"),
        (500, "NullReferenceException", "transient"),
        (401, "MXUnauthorizedException", "credentials refused"),
    ] {
        let body = json!({"Status": "Error", "ExceptionType": exception, "ExceptionMessage": "john@acme.example"});
        let memory = MemoryHost::new(move |_| Answer::refusal(status, &body))
            .blind(&LeadSquared::manifest());
        let slice = Slice::Users { until: NOW_MS };
        let failure = memory
            .run::<LeadSquared>(&job("users"), &slice)
            .unwrap_err();
        let text = failure.to_string();
        assert!(text.starts_with(expected), "{status} {exception}: {text}");
        assert!(
            !text.contains("john"),
            "an error may hold what people wrote"
        );
    }
    for (status, expected) in [(429, "throttled"), (502, "transient"), (500, "transient")] {
        let memory = MemoryHost::new(move |_| Answer::status(status));
        let failure = LeadSquared::check(&memory.host(), &config()).unwrap_err();
        assert!(
            failure.to_string().starts_with(expected),
            "{status}: {failure}"
        );
    }
}

#[test]
fn the_host_is_told_of_errors_by_the_same_names() {
    let class = |status: u16, body: &Value| {
        let rules = LeadSquared::manifest().responses;
        let found = rules.into_iter().find(|rule| {
            let holds = |(pointer, text): &(String, String)| {
                body.pointer(pointer)
                    .and_then(Value::as_str)
                    .is_some_and(|found| found.contains(text.as_str()))
            };
            (rule.first..=rule.last).contains(&status) && rule.body.as_ref().is_none_or(holds)
        });
        found.map(|rule| rule.class)
    };
    let named = |name: &str| json!({"Status": "Error", "ExceptionType": name});
    use ResponseClass::{Auth, Permanent, ThrottledLong, ThrottledShort, Transient};
    for (status, body, expected) in [
        (200, json!([{"ID": "u-1"}]), None),
        (200, json!({"RecordCount": 0, "Leads": []}), None),
        (
            200,
            named("MXAPIRateLimitExceededException"),
            Some(ThrottledShort),
        ),
        (
            500,
            named("MXAPIRateLimitExceededException"),
            Some(ThrottledShort),
        ),
        (
            200,
            named("MXAPICallLimitExceededException"),
            Some(ThrottledLong),
        ),
        (200, named("MXInvalidInputException"), Some(Permanent)),
        (200, json!({"Status": "Error"}), Some(Permanent)),
        (500, named("MXDuplicateEntryException"), Some(Permanent)),
        (500, named("MXUnauthorizedException"), Some(Auth)),
        (500, json!({}), Some(Transient)),
        (502, Value::Null, Some(Transient)),
        (429, Value::Null, Some(ThrottledShort)),
        (401, Value::Null, Some(Auth)),
        (400, Value::Null, Some(Permanent)),
    ] {
        assert_eq!(class(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn no_record_leaves_a_body() {
    let manifest = LeadSquared::manifest();
    assert_eq!(
        manifest.paging_pointers,
        ["/RecordCount", "/Status", "/ExceptionType"]
    );
    let describing = manifest
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.role == Role::Metadata);
    let paths: Vec<&String> = describing.flat_map(|endpoint| &endpoint.paths).collect();
    assert_eq!(
        paths,
        [
            "/LeadManagement.svc/LeadsMetaData.Get",
            "/ProspectActivity.svc/ActivityTypes.Get",
            "/OpportunityManagement.svc/GetOpportunityTypeMetadata"
        ]
    );
}
