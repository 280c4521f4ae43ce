#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use tidegate_domain::manifest::ResponseRule;

fn manifest(responses: Vec<ResponseRule>, response_headers: &[&str]) -> Manifest {
    Manifest {
        id: "crm".to_owned(),
        title: String::new(),
        version: String::new(),
        config_schema: "{}".to_owned(),
        endpoints: Vec::new(),
        allowed_hosts: Vec::new(),
        auth: Vec::new(),
        limits: Vec::new(),
        secrets: Vec::new(),
        response_headers: response_headers
            .iter()
            .map(|&name| name.to_owned())
            .collect(),
        responses,
        paging_pointers: Vec::new(),
        extra: "{}".to_owned(),
    }
}

fn rule(first: u16, last: u16, body: Option<(&str, &str)>, class: ResponseClass) -> ResponseRule {
    ResponseRule {
        status: (first, last),
        body: body.map(|(pointer, text)| (pointer.to_owned(), text.to_owned())),
        class,
    }
}

#[test]
fn without_rules_the_status_decides() {
    let plain = manifest(Vec::new(), &[]);
    for (status, class) in [
        (200, ResponseClass::Success),
        (302, ResponseClass::Success),
        (400, ResponseClass::Permanent),
        (401, ResponseClass::Auth),
        (403, ResponseClass::Permanent),
        (408, ResponseClass::Transient),
        (429, ResponseClass::ThrottledShort),
        (503, ResponseClass::Transient),
    ] {
        assert_eq!(classify(&plain, status, b""), class, "{status}");
    }
}

#[test]
fn the_first_matching_rule_decides() {
    use ResponseClass::{Permanent, ThrottledLong, ThrottledShort};
    let ruled = manifest(
        vec![
            rule(
                403,
                403,
                Some(("/0/message", "TotalRequests")),
                ThrottledLong,
            ),
            rule(403, 403, Some(("/0/code", "REQUEST_LIMIT")), ThrottledShort),
            rule(403, 403, Some(("", "<html")), ThrottledShort),
            rule(200, 200, Some(("/errors/0/n", "17")), Permanent),
        ],
        &[],
    );
    for (status, body, class) in [
        (
            403,
            r#"[{"code":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests"}]"#,
            ThrottledLong,
        ),
        (
            403,
            r#"[{"code":"REQUEST_LIMIT_EXCEEDED","message":"Concurrent"}]"#,
            ThrottledShort,
        ),
        (403, "<html>challenge</html>", ThrottledShort),
        (403, r#"{"code":"FORBIDDEN"}"#, Permanent),
        (200, r#"{"errors":[{"n":17}]}"#, Permanent),
        (200, r#"{"errors":[{"n":"#, ResponseClass::Success),
    ] {
        assert_eq!(classify(&ruled, status, body.as_bytes()), class, "{body}");
    }
}

#[test]
fn guests_see_only_the_headers_that_were_asked_for() {
    let asking = manifest(
        Vec::new(),
        &["X-Request-Id", "Set-Cookie", "WWW-Authenticate"],
    );
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-request-id", "7"),
        ("set-cookie", "canary"),
        ("www-authenticate", "canary"),
        ("x-other", "canary"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let shown = shown_headers(&asking, &headers);
    let names: Vec<_> = shown.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "x-request-id"]);
}

#[test]
fn retry_after_is_seconds_or_a_date_and_never_more_than_a_day() {
    // 1994-11-06T08:49:37Z
    let now_ms = 784_111_777_000;
    for (text, wait_ms) in [
        ("0", Some(0)),
        ("7", Some(7_000)),
        (" 1.5 ", Some(1_500)),
        ("-3", Some(0)),
        ("99999999999999", Some(WAIT_MS_MAX)),
        ("inf", Some(WAIT_MS_MAX)),
        ("NaN", None),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
        ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
        ("Sat, 06 Nov 2094 08:40:00 GMT", Some(WAIT_MS_MAX)),
        ("soon", None),
        ("", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_str(text).unwrap());
        assert_eq!(retry_after_ms(&headers, now_ms), wait_ms, "{text:?}");
    }
}

#[test]
fn resets_are_told_apart_by_their_size() {
    let now_ms = 1_790_000_000_000;
    for (text, wait_ms) in [
        ("2", Some(2_000)),
        ("1790000010", Some(10_000)),
        ("1790000010500", Some(10_500)),
        ("1789999990", Some(0)),
        ("tomorrow", None),
    ] {
        assert_eq!(reset_wait_ms(text, now_ms), wait_ms, "{text:?}");
    }
}

/// What each provider is recorded to answer when a limit is reached, by its rules.
#[test]
fn throttles_are_told_apart_by_their_bodies() {
    use ResponseClass::{Permanent, Success, ThrottledLong, ThrottledShort};
    let salesforce = manifest(
        vec![
            rule(
                403,
                403,
                Some(("/0/message", "TotalRequests")),
                ThrottledLong,
            ),
            rule(403, 403, Some(("/0/message", "Concurrent")), ThrottledShort),
        ],
        &[],
    );
    let hubspot = manifest(
        vec![rule(
            429,
            429,
            Some(("/policyName", "DAILY")),
            ThrottledLong,
        )],
        &[],
    );
    let leadsquared = manifest(
        vec![rule(
            200,
            500,
            Some(("/ExceptionType", "MXAPIRateLimitExceeded")),
            ThrottledShort,
        )],
        &[],
    );
    let pipedrive = manifest(
        vec![rule(403, 403, Some(("", "<html")), ThrottledShort)],
        &[],
    );
    for (provider, status, body, class) in [
        (
            &salesforce,
            403,
            r#"[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#,
            ThrottledLong,
        ),
        (
            &salesforce,
            403,
            r#"[{"message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#,
            ThrottledShort,
        ),
        (
            &salesforce,
            403,
            r#"[{"message":"ConcurrentPerOrgLongTxn Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#,
            ThrottledShort,
        ),
        (
            &salesforce,
            403,
            r#"[{"message":"The API is disabled","errorCode":"API_DISABLED_FOR_ORG"}]"#,
            Permanent,
        ),
        (
            &hubspot,
            429,
            r#"{"errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING"}"#,
            ThrottledShort,
        ),
        (
            &hubspot,
            429,
            r#"{"errorType":"RATE_LIMIT","policyName":"DAILY"}"#,
            ThrottledLong,
        ),
        (
            &hubspot,
            429,
            r#"{"message":"You have reached your secondly limit.","category":"RATE_LIMITS"}"#,
            ThrottledShort,
        ),
        (
            &leadsquared,
            200,
            r#"{"Status":"Error","ExceptionType":"MXAPIRateLimitExceededException"}"#,
            ThrottledShort,
        ),
        (&leadsquared, 200, r#"{"Status":"Success"}"#, Success),
        (&pipedrive, 403, "<html>Cloudflare</html>", ThrottledShort),
        (
            &pipedrive,
            403,
            r#"{"success":false,"error":"Scope"}"#,
            Permanent,
        ),
        (
            &pipedrive,
            429,
            r#"{"success":false,"error":"request over limit","errorCode":429}"#,
            ThrottledShort,
        ),
    ] {
        assert_eq!(classify(provider, status, body.as_bytes()), class, "{body}");
    }
}

#[test]
fn what_is_left_is_a_number_or_a_usage() {
    for (text, left) in [
        ("88", Some(88)),
        ("api-usage=18/15000", Some(14_982)),
        (
            "api-usage=17/250; per-app-api-usage=17/250(appName=x)",
            Some(233),
        ),
        ("api-usage=300/250", Some(0)),
        ("api-usage=18", None),
        ("a=b/c", None),
        ("-1", None),
        ("", None),
    ] {
        let value = HeaderValue::from_str(text).unwrap();
        assert_eq!(remaining(&value), left, "{text:?}");
    }
}

#[test]
fn a_cost_is_a_number_somewhere_in_an_answer() {
    for (body, cost) in [
        (r#"{"c":{"actual":7}}"#, Some(7)),
        (r#"{"c":{"actual":6.2}}"#, Some(7)),
        (r#"{"c":{"actual":-3.0}}"#, Some(0)),
        (r#"{"c":{"actual":"7"}}"#, None),
        (r#"{"c":"#, None),
    ] {
        assert_eq!(cost_in(body.as_bytes(), "/c/actual"), cost, "{body}");
    }
}
