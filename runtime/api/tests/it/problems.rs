//! How requests fail: one shape, stable codes, no way round a bound.

use crate::client::JSON;
use crate::site::{Site, connection, sync};
use http::Method;
use serde_json::json;

/// Name, method, path, headers, body; status and code of the answer.
type Row = (
    &'static str,
    Method,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    u16,
    &'static str,
);

#[tokio::test]
async fn every_failure_is_a_problem_with_a_stable_code() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    const JSON_TYPE: &[(&str, &str)] = &[("content-type", JSON)];
    const TEXT_TYPE: &[(&str, &str)] = &[("content-type", "text/plain")];
    let table: &[Row] = &[
        (
            "no such path",
            Method::GET,
            "/v2/nothing",
            &[],
            "",
            404,
            "not_found",
        ),
        (
            "no such method",
            Method::PATCH,
            "/v1/keys",
            &[],
            "",
            405,
            "method_not_allowed",
        ),
        (
            "no such document",
            Method::GET,
            "/v1/connections/none",
            &[],
            "",
            404,
            "not_found",
        ),
        (
            "an id that cannot be",
            Method::GET,
            "/v1/connections/..%2Fetc",
            &[],
            "",
            404,
            "not_found",
        ),
        (
            "another type",
            Method::PUT,
            "/v1/connections/crm",
            TEXT_TYPE,
            "{}",
            415,
            "unsupported_media_type",
        ),
        (
            "no JSON",
            Method::PUT,
            "/v1/connections/crm",
            JSON_TYPE,
            "{",
            400,
            "malformed_request",
        ),
        (
            "more than JSON",
            Method::PUT,
            "/v1/connections/crm",
            JSON_TYPE,
            "{\"connector\":\"hubspot\"} x",
            400,
            "malformed_request",
        ),
        (
            "a field too many",
            Method::PUT,
            "/v1/connections/crm",
            JSON_TYPE,
            "{\"connector\":\"hubspot\",\"tenant\":\"other\"}",
            422,
            "invalid",
        ),
        (
            "a field too few",
            Method::PUT,
            "/v1/connections/crm",
            JSON_TYPE,
            "{}",
            422,
            "invalid",
        ),
        (
            "no such connector",
            Method::PUT,
            "/v1/connections/crm",
            JSON_TYPE,
            "{\"connector\":\"nothing\"}",
            422,
            "invalid",
        ),
        (
            "a path",
            Method::PUT,
            "/v1/connections/crm",
            JSON_TYPE,
            "{\"connector\":\"./a.wasm\"}",
            422,
            "invalid",
        ),
        (
            "a bad limit",
            Method::GET,
            "/v1/connections?limit=0",
            &[],
            "",
            422,
            "invalid",
        ),
        (
            "a large limit",
            Method::GET,
            "/v1/connections?limit=201",
            &[],
            "",
            422,
            "invalid",
        ),
        (
            "no number",
            Method::GET,
            "/v1/connections?limit=many",
            &[],
            "",
            422,
            "invalid",
        ),
        (
            "an unknown parameter",
            Method::GET,
            "/v1/connections?tenant=other",
            &[],
            "",
            422,
            "invalid",
        ),
        (
            "a strange cursor",
            Method::GET,
            "/v1/jobs?after=zzz",
            &[],
            "",
            422,
            "invalid",
        ),
        (
            "a weak tag",
            Method::DELETE,
            "/v1/connections/crm",
            &[("if-match", "W/\"1\"")],
            "",
            400,
            "malformed_request",
        ),
        (
            "a strange repeat",
            Method::POST,
            "/v1/keys",
            &[("idempotency-key", "a b")],
            "{}",
            400,
            "malformed_request",
        ),
        (
            "a component that is none",
            Method::POST,
            "/v1/connectors",
            &[("content-type", "application/wasm")],
            "x",
            422,
            "component_refused",
        ),
        (
            "a job of nothing",
            Method::POST,
            "/v1/syncs/none/jobs",
            &[],
            "",
            404,
            "not_found",
        ),
        (
            "a long wait",
            Method::GET,
            "/v1/jobs/none?wait_s=56",
            &[],
            "",
            422,
            "invalid",
        ),
    ];
    for (name, method, path, headers, body, status, code) in table {
        let answer = admin.send(method.clone(), path, headers, *body).await;
        assert_eq!(answer.status.as_u16(), *status, "{name}: {}", answer.text);
        assert_eq!(answer.code(), *code, "{name}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{name}"
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        assert_eq!(answer.header("x-request-id").len(), 32, "{name}");
    }
}

#[tokio::test]
async fn a_wrong_value_is_pointed_at() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    admin
        .put("/v1/connections/crm", &connection())
        .await
        .expect(201);
    let mut wrong = sync("crm");
    wrong["streams"][1]["partitions_max"] = json!("seven");
    let answer = admin.put("/v1/syncs/crm", &wrong).await.expect(422);
    assert_eq!(
        answer.json()["errors"][0]["pointer"],
        "/streams/1/partitions_max"
    );
    assert!(
        !answer.text.contains("seven"),
        "the value was quoted: {}",
        answer.text
    );

    let mut wrong = sync("crn");
    wrong["streams"][1]["partitions_max"] = json!(0);
    let answer = admin.put("/v1/syncs/crm", &wrong).await.expect(422).json();
    let errors: Vec<&str> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(errors, ["/streams/1/partitions_max", "/connection"]);
    assert!(
        answer["errors"][1]["reason"]
            .as_str()
            .unwrap()
            .contains("crm"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_is_bounded_with_and_without_an_idempotency_key() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let large = format!(
        "{{\"role\":\"tenant-viewer\",\"title\":\"{}\"}}",
        "x".repeat(300 * 1024)
    );
    for headers in [
        &[("content-type", JSON)][..],
        &[("content-type", JSON), ("idempotency-key", "k")][..],
    ] {
        let answer = admin
            .send(Method::POST, "/v1/keys", headers, large.clone())
            .await
            .expect(413);
        assert_eq!(answer.code(), "body_too_large");
    }
    let deep = format!(
        "{{\"connector\":\"hubspot\",\"config\":{}{}}}",
        "{\"a\":".repeat(200) + "1",
        "}".repeat(200)
    );
    let answer = admin
        .send(
            Method::PUT,
            "/v1/connections/crm",
            &[("content-type", JSON)],
            deep,
        )
        .await;
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
}

#[tokio::test]
async fn a_clients_request_id_comes_back_if_it_can_stand_in_a_log() {
    let site = Site::new().await;
    let nobody = site.nobody();
    let with = async |id: &str| {
        let answer = nobody
            .send(Method::GET, "/healthz", &[("x-request-id", id)], "")
            .await
            .expect(200);
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(with("build-7.2").await, "build-7.2");
    assert_ne!(with("two words").await, "two words");
    assert_ne!(with(&"x".repeat(65)).await, "x".repeat(65));
}
