//! Writes of records and fields in both versions, searches, field definitions.

use crm_sim::pipedrive::{Config, CustomField, FieldType, Kind};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{all, call, get, start, unlimited};

#[tokio::test]
async fn the_first_version_creates_with_201_and_keeps_deleted_records_readable() {
    let sim = unlimited(10).await;
    sim.clock().fix(1_639_159_783_000);
    let body = json!({"name": "John Doe", "email": "john@example.com"});
    let created = call(&sim, Method::POST, "/v1/persons", &body).await;
    assert_eq!(created.status, 201);
    let created = created.json();
    let person = &created["data"];
    assert_eq!(person["id"], json!(11), "ids follow each other");
    assert_eq!(
        (&person["first_name"], &person["last_name"]),
        (&json!("John"), &json!("Doe"))
    );
    assert_eq!(
        person["email"],
        json!([{"label": "", "value": "john@example.com", "primary": true}])
    );
    assert_eq!(person["phone"], json!([{"value": "", "primary": true}]));
    assert_eq!(person["add_time"], json!("2021-12-10 18:09:43"));
    assert!(created["related_objects"]["user"].is_object());
    sim.clock().advance(5_000);
    let changed = call(
        &sim,
        Method::PUT,
        "/v1/persons/11",
        &json!({"name": "Bobby"}),
    )
    .await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["data"]["last_name"], Value::Null);
    let deleted = call(&sim, Method::DELETE, "/v1/persons/11", &Value::Null).await;
    assert_eq!(deleted.json(), json!({"success": true, "data": {"id": 11}}));
    let read = get(&sim, "/v1/persons/11").await;
    assert_eq!(read.status, 200);
    assert_eq!(read.json()["data"]["active_flag"], json!(false));
    assert_eq!(
        read.json()["data"]["update_time"],
        json!("2021-12-10 18:09:48")
    );
    let again = call(&sim, Method::DELETE, "/v1/persons/11", &Value::Null).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn custom_fields_keep_their_own_ideas_of_null_and_of_time() {
    let sim = unlimited(10).await;
    let key = |name: &str| sim.field_key(Kind::Persons, name).unwrap();
    let (text, large, amount, day) = (
        key("text_field"),
        key("large_text_field"),
        key("monetary_field"),
        key("date_field"),
    );
    let body = json!({
        "name": "Jill",
        &text: "short",
        &large: "long",
        &amount: 1025.21,
        &day: "2020-08-30T05:49:48.000Z",
    });
    let person = call(&sim, Method::POST, "/v1/persons", &body).await.json();
    let person = &person["data"];
    assert_eq!(person[&amount], json!(1025.21));
    assert_eq!(person[format!("{amount}_currency")], json!("USD"));
    assert_eq!(person[&day], json!("2020-08-30"));
    let body = json!({&text: null, &large: null, &amount: null});
    let person = call(&sim, Method::PUT, "/v1/persons/11", &body)
        .await
        .json();
    let person = &person["data"];
    assert_eq!(person[&text], json!(""), "short text is emptied");
    assert_eq!(person[&large], Value::Null, "long text is unset");
    assert_eq!(person[format!("{amount}_currency")], Value::Null);
}

#[tokio::test]
async fn the_second_version_patches_and_takes_values_by_their_type() {
    let sim = unlimited(10).await;
    let amount = sim.field_key(Kind::Deals, "monetary_field").unwrap();
    let body =
        json!({"title": "Pilot", "custom_fields": {&amount: {"value": 5, "currency": "EUR"}}});
    let created = call(&sim, Method::POST, "/api/v2/deals", &body).await;
    assert_eq!(created.status, 201);
    let deal = created.json()["data"].clone();
    assert_eq!(
        deal["custom_fields"][&amount],
        json!({"value": 5, "currency": "EUR"})
    );
    assert_eq!(deal["status"], json!("open"));
    let target = format!("/api/v2/deals/{}", deal["id"]);
    let won = call(&sim, Method::PATCH, &target, &json!({"status": "won"}))
        .await
        .json();
    assert_eq!(won["data"]["won_time"], won["data"]["update_time"]);
    let archived = call(&sim, Method::PATCH, &target, &json!({"is_archived": true})).await;
    assert_eq!(archived.json()["data"]["is_archived"], json!(true));
    let listed = all(&sim, "/api/v2/deals?limit=500").await;
    assert!(listed.iter().all(|listed| listed["id"] != deal["id"]));
    for wrong in [
        json!({"owner_id": "12121177"}),
        json!({"is_archived": 1}),
        json!({"value": "5"}),
        json!({"status": "stalled"}),
        json!({"title": 7}),
        json!({"custom_fields": {&amount: 5}}),
        json!({"custom_fields": {"unknown": 5}}),
        json!([]),
    ] {
        let refused = call(&sim, Method::PATCH, &target, &wrong).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
    let deleted = call(&sim, Method::DELETE, &target, &Value::Null).await;
    assert_eq!(deleted.json()["data"], json!({"id": deal["id"]}));
    let gone = call(&sim, Method::PATCH, &target, &json!({"title": "x"})).await;
    assert_eq!(gone.status, 410);
}

#[tokio::test]
async fn a_created_person_is_not_compared_with_those_that_are_there() {
    let sim = unlimited(10).await;
    let body = json!({"name": "Twin", "emails": [{"value": "twin@example.com", "primary": true, "label": "work"}]});
    let first = call(&sim, Method::POST, "/api/v2/persons", &body)
        .await
        .json();
    let second = call(&sim, Method::POST, "/api/v2/persons", &body)
        .await
        .json();
    assert_ne!(first["data"]["id"], second["data"]["id"]);
    let found = get(
        &sim,
        "/api/v2/persons/search?term=twin@example.com&fields=email&exact_match=true",
    )
    .await;
    assert_eq!(found.json()["data"]["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_search_does_not_see_a_record_until_it_is_indexed() {
    let sim = unlimited(10).await;
    sim.clock().fix(1_767_300_000_000);
    sim.set_search_lag_ms(10_000);
    let body = json!({"name": "Fresh Face"});
    call(&sim, Method::POST, "/v1/persons", &body).await;
    let found = async || {
        let answer = get(&sim, "/v1/persons/search?term=fresh%20face")
            .await
            .json();
        answer["data"]["items"].clone()
    };
    assert_eq!(found().await, json!([]));
    sim.clock().advance(11_000);
    let items = found().await;
    assert_eq!(items[0]["item"]["name"], json!("Fresh Face"));
    assert_eq!(
        items[0]["item"]["visible_to"],
        json!(3),
        "a number in searches"
    );
    assert_eq!(get(&sim, "/v1/persons/search?term=f").await.status, 400);
    assert_eq!(
        get(&sim, "/v1/persons/search?term=f&exact_match=true")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_new_field_gets_a_key_that_records_carry_until_it_is_deleted() {
    let sim = start(Config {
        limit_scale: None,
        v1_retires_ms: None,
        custom_fields: vec![CustomField {
            kind: Kind::Persons,
            key: "ec03793a2c75324644fd45d9b21606ecb97d1f4c".to_owned(),
            name: "declared".to_owned(),
            field_type: FieldType::Varchar,
            options: Vec::new(),
        }],
        ..Config::default()
    })
    .await;
    let body = json!({"name": "In Group", "field_type": "varchar"});
    let created = call(&sim, Method::POST, "/v1/personFields", &body).await;
    assert_eq!(created.status, 201);
    let field = created.json()["data"].clone();
    let key = field["key"].as_str().unwrap();
    assert!(key.len() == 40 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let body = json!({"name": "Jill", key: "true"});
    let person = call(&sim, Method::POST, "/v1/persons", &body).await.json();
    assert_eq!(person["data"][key], json!("true"));
    assert_eq!(
        person["data"]["ec03793a2c75324644fd45d9b21606ecb97d1f4c"],
        Value::Null
    );
    let target = format!("/v1/personFields?ids={}", field["id"]);
    let deleted = call(&sim, Method::DELETE, &target, &Value::Null)
        .await
        .json();
    assert_eq!(deleted["data"], json!({"id": [field["id"]]}));
    let read = get(&sim, &format!("/v1/persons/{}", person["data"]["id"]))
        .await
        .json();
    assert!(read["data"].get(key).is_none());
}

#[tokio::test]
async fn fields_are_described_with_their_options_and_parts_in_both_versions() {
    let sim = unlimited(1).await;
    let old = get(&sim, "/v1/dealFields").await.json();
    let old = old["data"].as_array().unwrap();
    let modern = all(&sim, "/api/v2/dealFields?limit=5").await;
    let by = |fields: &[Value], key: &str, name: &str| {
        let mut fields = fields.iter();
        fields
            .find(|field| field[key] == json!(name))
            .cloned()
            .unwrap()
    };
    let options = by(&modern, "field_name", "single_option_field");
    assert_eq!(options["options"].as_array().unwrap().len(), 3);
    assert_eq!(options["is_custom_field"], json!(true));
    let amount = by(&modern, "field_name", "monetary_field");
    assert_eq!(amount["subfields"][0]["field_type"], json!("varchar"));
    let key = amount["field_code"].as_str().unwrap();
    let part = by(old, "key", &format!("{key}_currency"));
    assert_eq!(part["is_subfield"], json!(true));
    let title = by(&modern, "field_code", "title");
    assert_eq!(title["is_custom_field"], json!(false));
}

#[tokio::test]
async fn filters_are_kept_with_their_conditions_spelled_out() {
    let sim = unlimited(1).await;
    let body = json!({
        "name": "In Group", "type": "people",
        "conditions": {"glue": "and", "conditions": [{"glue": "and", "conditions": [
            {"object": "person", "field_id": 9279, "operator": "=", "value": "true"}]}]},
    });
    let created = call(&sim, Method::POST, "/v1/filters", &body).await;
    assert_eq!(created.status, 201);
    let filter = created.json()["data"].clone();
    let groups = filter["conditions"]["conditions"].as_array().unwrap();
    assert_eq!(groups[0]["conditions"][0]["field_id"], json!("9279"));
    assert_eq!(groups[1], json!({"glue": "or", "conditions": []}));
    let listed = get(&sim, "/v1/filters?type=people").await.json();
    assert!(listed["data"][0].get("conditions").is_none());
    let target = format!("/v1/filters?ids={}", filter["id"]);
    let deleted = call(&sim, Method::DELETE, &target, &Value::Null)
        .await
        .json();
    assert_eq!(deleted["data"], json!({"id": [filter["id"]]}));
}
