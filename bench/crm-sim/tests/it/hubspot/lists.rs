//! Lists, single records, schemas: shapes, paging, projection.

use std::collections::HashSet;

use crm_sim::hubspot::{Config, Kind, iso};
use hyper::Method;
use serde_json::Value;

use super::client::{get, get_as, send, start, unlimited};

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_list_pages_through_every_record_once_in_id_order_and_then_stops() {
    let sim = unlimited(1000).await;
    let mut seen = Vec::new();
    let mut target = "/crm/v3/objects/contacts?limit=100".to_owned();
    let mut pages = 0;
    loop {
        let page = get(&sim, &target).await;
        assert_eq!(page.status, 200);
        seen.extend(page.ids());
        pages += 1;
        let page = page.json();
        let Some(link) = page["paging"]["next"]["link"].as_str() else {
            assert_eq!(keys(&page), ["results"], "no paging on the last page");
            break;
        };
        target = link.strip_prefix(sim.base_url()).unwrap().to_owned();
    }
    assert_eq!(
        pages, 10,
        "a full last page is not followed by an empty one"
    );
    assert!(seen.is_sorted());
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 1000);
    let truth: Vec<u64> = sim
        .current(Kind::Contacts)
        .map(|record| record.id)
        .collect();
    assert_eq!(seen, truth);
}

#[tokio::test]
async fn a_record_has_the_documented_shape_and_only_the_requested_properties() {
    let sim = unlimited(50).await;
    let page = get(
        &sim,
        "/crm/v3/objects/contacts?limit=50&properties=email,loyalty_points&properties=no_such",
    )
    .await
    .json();
    let mut nulls = 0;
    for record in page["results"].as_array().unwrap() {
        assert_eq!(
            keys(record),
            ["archived", "createdAt", "id", "properties", "updatedAt"]
        );
        let properties = &record["properties"];
        assert_eq!(
            keys(properties),
            [
                "createdate",
                "email",
                "hs_object_id",
                "lastmodifieddate",
                "loyalty_points"
            ]
        );
        assert_eq!(properties["hs_object_id"], record["id"]);
        assert_eq!(properties["lastmodifieddate"], record["updatedAt"]);
        assert_eq!(properties["createdate"], record["createdAt"]);
        nulls += usize::from(properties["loyalty_points"].is_null());
    }
    assert!(nulls > 0, "a requested but empty property is null");
}

#[tokio::test]
async fn the_default_properties_and_the_modification_property_depend_on_the_type() {
    let sim = unlimited(1).await;
    let contact = get(&sim, "/crm/v3/objects/CONTACT?limit=1").await.json();
    assert_eq!(
        keys(&contact["results"][0]["properties"]),
        [
            "createdate",
            "email",
            "firstname",
            "hs_object_id",
            "lastmodifieddate",
            "lastname"
        ]
    );
    let company = get(&sim, "/crm/objects/2026-03/0-2?limit=1").await.json();
    assert_eq!(
        keys(&company["results"][0]["properties"]),
        [
            "createdate",
            "domain",
            "hs_lastmodifieddate",
            "hs_object_id",
            "name"
        ]
    );
}

#[tokio::test]
async fn full_records_equal_the_truth_and_hold_escapes_and_non_ascii() {
    let sim = unlimited(300).await;
    let names = sim.property_names(Kind::Contacts).join(",");
    let mut text = String::new();
    let mut bytes = 0;
    let mut after = String::new();
    loop {
        let target = format!("/crm/v3/objects/contacts?limit=100&properties={names}{after}");
        let page = get(&sim, &target).await;
        text.push_str(std::str::from_utf8(&page.body).unwrap());
        let page = page.json();
        for record in page["results"].as_array().unwrap() {
            let id = record["id"].as_str().unwrap().parse().unwrap();
            let truth = sim.record_json(Kind::Contacts, id).unwrap();
            bytes += truth.len();
            assert_eq!(serde_json::from_str::<Value>(&truth).unwrap(), *record);
            assert!(record["properties"].as_object().unwrap().len() >= 18);
        }
        match page["paging"]["next"]["after"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!((600..900).contains(&(bytes / 300)), "{}", bytes / 300);
    for part in ["\\n", "\\\"", "\\\\", "ü", "🚀", ":null"] {
        assert!(text.contains(part), "{part}");
    }
}

#[tokio::test]
async fn ids_are_in_no_order_of_creation_and_of_several_widths() {
    let sim = unlimited(5000).await;
    let records: Vec<_> = sim.current(Kind::Contacts).collect();
    let rising = records
        .windows(2)
        .filter(|pair| pair[0].modified_ms < pair[1].modified_ms)
        .count();
    assert!((2000..3000).contains(&rising), "{rising}");
    let widths: HashSet<usize> = records
        .iter()
        .map(|record| record.id.to_string().len())
        .collect();
    assert!(widths.len() >= 3);
}

#[tokio::test]
async fn one_record_is_read_by_id_or_by_a_unique_property() {
    let sim = unlimited(20).await;
    let first = sim.current(Kind::Contacts).next().unwrap();
    let record = get(&sim, &format!("/crm/v3/objects/contacts/{}", first.id))
        .await
        .json();
    assert_eq!(record["updatedAt"], iso(first.modified_ms));
    let email = record["properties"]["email"].as_str().unwrap();
    let by_email = get(
        &sim,
        &format!("/crm/v3/objects/contacts/{email}?idProperty=email"),
    )
    .await;
    assert_eq!(by_email.json(), record);
    let missing = get(&sim, "/crm/v3/objects/contacts/1").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("x-hubspot-notfound"), Some("true"));
    assert_eq!(missing.json()["category"], "OBJECT_NOT_FOUND");
}

#[tokio::test]
async fn bad_requests_get_the_envelope_and_its_correlation_id() {
    let sim = unlimited(20).await;
    for target in [
        "/crm/v3/objects/contacts?limit=101",
        "/crm/v3/objects/contacts?limit=0",
        "/crm/v3/objects/contacts?limit=ten",
        "/crm/v3/objects/contacts?after=%21",
        "/crm/v3/objects/contacts?archived=maybe",
    ] {
        let answer = get(&sim, target).await;
        assert_eq!(answer.status, 400, "{target}");
        let body = answer.json();
        assert_eq!(body["category"], "VALIDATION_ERROR", "{target}");
        assert_eq!(
            body["correlationId"].as_str(),
            answer.header("x-hubspot-correlation-id")
        );
    }
    let unknown = get(&sim, "/crm/v3/objects/leads").await;
    assert_eq!(unknown.status, 400);
    assert_eq!(
        unknown.json()["message"],
        "Unable to infer object type from: leads"
    );
    let missing = get(&sim, "/crm/v9/nothing").await;
    assert_eq!((missing.status, missing.body.len()), (404, 0));
    let method = send(
        sim.base_url(),
        Method::PUT,
        "/crm/v3/objects/contacts",
        &[],
        Vec::new(),
    )
    .await;
    assert_eq!((method.status, method.body.len()), (405, 0));
    let long = format!("/crm/v3/objects/contacts?properties={}", "x".repeat(17_000));
    assert_eq!(get(&sim, &long).await.status, 414);
}

#[tokio::test]
async fn headers_are_those_of_the_kind_of_token() {
    let sim = unlimited(20).await;
    let token = sim.issue_tokens().access_token;
    let oauth = get_as(&sim, &token, "/crm/v3/objects/contacts").await;
    assert_eq!(
        oauth.header("content-type"),
        Some("application/json;charset=utf-8")
    );
    assert_eq!(
        oauth.header("x-hubspot-ratelimit-interval-milliseconds"),
        Some("10000")
    );
    assert_eq!(oauth.header("x-hubspot-ratelimit-daily"), None);
    let private = get_as(&sim, sim.private_app_token(), "/crm/v3/objects/contacts").await;
    assert_eq!(private.header("x-hubspot-ratelimit-daily"), Some("625000"));
    assert_eq!(
        private.header("x-hubspot-ratelimit-daily-remaining"),
        Some("624999")
    );
}

#[tokio::test]
async fn gzip_is_used_only_when_configured_and_asked_for() {
    for (gzip, expected) in [(false, None), (true, Some("gzip"))] {
        let sim = start(Config {
            gzip,
            ..Config::default()
        })
        .await;
        let bearer = format!("Bearer {}", sim.issue_tokens().access_token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("accept-encoding", "br, gzip"),
        ];
        let target = "/crm/v3/objects/contacts?limit=100";
        let answer = send(sim.base_url(), Method::GET, target, &headers, Vec::new()).await;
        assert_eq!(answer.header("content-encoding"), expected);
        let plain = get(&sim, target).await;
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.ids().len(), 100);
    }
}

#[tokio::test]
async fn properties_and_schemas_describe_what_records_hold() {
    let sim = unlimited(1).await;
    let listed = get(&sim, "/crm/v3/properties/contacts").await.json();
    let listed = listed["results"].as_array().unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, sim.property_names(Kind::Contacts));
    let tier = listed
        .iter()
        .find(|entry| entry["name"] == "customer_tier")
        .unwrap();
    assert_eq!(tier["type"], "enumeration");
    assert_eq!(tier["options"].as_array().unwrap().len(), 4);
    assert!(tier.get("hubspotDefined").is_none());
    let schema = get(&sim, "/crm/v3/schemas/CONTACT").await.json();
    assert_eq!(schema["objectTypeId"], "0-1");
    assert_eq!(
        get(&sim, "/crm/v3/schemas").await.json()["results"],
        Value::Array(Vec::new())
    );
    let details = get(&sim, "/account-info/v3/details").await.json();
    assert_eq!(details["portalId"], sim.config().portal_id);
}
