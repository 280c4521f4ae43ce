//! The OpenAPI document: a part of the contract, so a change of it is looked at.

use crate::site::Site;
use serde_json::Value;
use tidegate_api::{Config, openapi};

#[test]
fn the_document_is_the_one_that_was_agreed_on() {
    let document: Value = serde_json::from_slice(&openapi::text(&Config::default())).unwrap();
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test]
async fn the_document_is_served_and_every_reference_in_it_leads_somewhere() {
    let site = Site::new().await;
    let served = site.nobody().get("/v1/openapi.json").await.expect(200);
    assert_eq!(
        served.text.as_bytes(),
        &openapi::text(&Config::default())[..]
    );
    let document = served.json();
    for reference in served.text.split("\"$ref\": \"").skip(1) {
        let pointer = reference.split('"').next().unwrap().trim_start_matches('#');
        assert!(
            document.pointer(pointer).is_some(),
            "{pointer} leads nowhere"
        );
    }
    for (spec, field) in [
        ("ConnectionSpec", "connector"),
        ("SyncSpec", "streams"),
        ("SubscriptionSpec", "events"),
    ] {
        // One schema would stand for all three if they were named alike.
        let pointer =
            format!("/components/schemas/Document_{spec}/properties/spec/properties/{field}");
        assert!(document.pointer(&pointer).is_some(), "{pointer}");
    }
    for file in ["connection", "sync", "document"] {
        let schema = site
            .nobody()
            .get(&format!("/v1/schema/{file}.json"))
            .await
            .expect(200)
            .json();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
    }
    site.nobody().get("/v1/schema/other.json").await.expect(404);
}
