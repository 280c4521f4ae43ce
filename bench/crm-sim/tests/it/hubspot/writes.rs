//! Single and batch writes: what comes back, and what is refused.

use crm_sim::hubspot::{Config, ExtraProperty, Kind, PropertyType};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call, get, ids, post, start, unlimited};

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_created_record_returns_what_was_written_and_can_be_read_back() {
    let sim = unlimited(10).await;
    let body = json!({"properties": {"name": "Acme \"X\"", "domain": "acme.test"}});
    let created = post(&sim, "/crm/v3/objects/COMPANY", &body).await;
    assert_eq!(created.status, 201);
    let created = created.json();
    assert_eq!(
        keys(&created["properties"]),
        [
            "createdate",
            "domain",
            "hs_lastmodifieddate",
            "hs_object_id",
            "name",
            "website"
        ]
    );
    assert_eq!(created["properties"]["website"], "acme.test");
    let id = created["id"].as_str().unwrap();
    let read = get(
        &sim,
        &format!("/crm/v3/objects/companies/{id}?properties=name,city"),
    )
    .await
    .json();
    assert_eq!(read["properties"]["name"], "Acme \"X\"");
    assert_eq!(read["properties"]["city"], Value::Null);

    let target = format!("/crm/v3/objects/companies/{id}");
    let update = json!({"properties": {"name": "Acme", "domain": ""}});
    let updated = call(&sim, Method::PATCH, &target, &update).await;
    assert_eq!(updated.status, 200);
    assert_eq!(updated.json()["properties"]["domain"], "");
    assert_eq!(
        call(&sim, Method::DELETE, &target, &json!({})).await.status,
        204
    );
    assert_eq!(
        call(&sim, Method::DELETE, &target, &json!({})).await.status,
        204
    );
    assert_eq!(
        call(&sim, Method::PATCH, &target, &update).await.status,
        404
    );
}

#[tokio::test]
async fn addresses_are_unique_and_bad_values_are_all_listed() {
    let sim = unlimited(10).await;
    let target = "/crm/v3/objects/contacts";
    let first = get(&sim, "/crm/v3/objects/contacts?limit=1").await.json();
    let email = first["results"][0]["properties"]["email"].as_str().unwrap();
    let conflict = post(&sim, target, &json!({"properties": {"email": email}})).await;
    assert_eq!(conflict.status, 409);
    let existing = format!(
        "Contact already exists. Existing ID: {}",
        first["results"][0]["id"].as_str().unwrap()
    );
    assert_eq!(conflict.json()["message"], existing);
    let bad = json!({"properties": {"nope": "1", "hs_object_id": "1", "loyalty_points": "many", "city": "ok"}});
    let bad = post(&sim, target, &bad).await;
    assert_eq!(bad.status, 400);
    let message = bad.json()["message"].as_str().unwrap().to_owned();
    let list = message
        .strip_prefix("Property values were not valid: ")
        .unwrap();
    let list: Vec<Value> = serde_json::from_str(list).unwrap();
    assert_eq!(list.len(), 3);
}

#[tokio::test]
async fn batches_come_back_reordered_and_say_what_was_not_found() {
    let sim = unlimited(10).await;
    let inputs: Vec<Value> = (0..5)
        .map(|n| json!({"properties": {"email": format!("n{n}@new.test")}}))
        .collect();
    let created = post(
        &sim,
        "/crm/v3/objects/contacts/batch/create",
        &json!({"inputs": inputs}),
    )
    .await;
    assert_eq!(created.status, 201);
    let created = created.json();
    assert_eq!(
        keys(&created),
        ["completedAt", "results", "startedAt", "status"]
    );
    let emails: Vec<&str> = created["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["properties"]["email"].as_str().unwrap())
        .collect();
    assert_eq!(emails.len(), 5);
    assert_ne!(
        emails[0], "n0@new.test",
        "results are in no order of the inputs"
    );

    let mut wanted: Vec<Value> = ids(&created)
        .iter()
        .map(|id| json!({"id": id.to_string()}))
        .collect();
    wanted.push(json!({"id": "2"}));
    let read = post(
        &sim,
        "/crm/v3/objects/contacts/batch/read",
        &json!({"inputs": wanted}),
    )
    .await;
    assert_eq!(read.status, 207);
    let read = read.json();
    assert_eq!(
        (
            read["results"].as_array().unwrap().len(),
            &read["numErrors"]
        ),
        (5, &json!(1))
    );
    assert_eq!(read["errors"][0]["context"]["ids"], json!(["2"]));
    let archived = post(
        &sim,
        "/crm/v3/objects/contacts/batch/archive",
        &json!({"inputs": wanted}),
    )
    .await;
    assert_eq!(
        (archived.status, archived.header("content-type")),
        (204, None)
    );
    assert_eq!(sim.live_count(Kind::Contacts), 10);
    let twice = json!({"inputs": [{"properties": {"email": "x@new.test"}}, {"properties": {"email": "X@new.test"}}]});
    let target = "/crm/v3/objects/contacts/batch/create";
    assert_eq!(post(&sim, target, &twice).await.status, 400);
    let too_many = json!({"inputs": vec![json!({"id": "1"}); 101]});
    assert_eq!(
        post(&sim, "/crm/v3/objects/contacts/batch/read", &too_many)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn an_account_can_have_properties_of_its_own_and_derived_ones() {
    let sim = start(Config {
        derived_properties: true,
        extra_properties: vec![ExtraProperty {
            kind: Kind::Contacts,
            name: "number_field".to_owned(),
            property_type: PropertyType::Number,
            archived: false,
        }],
        ..Config::default()
    })
    .await;
    let body = json!({"inputs": [{"properties": {"email": "a@new.test", "number_field": "7"}}]});
    let created = post(&sim, "/crm/v3/objects/CONTACT/batch/create", &body)
        .await
        .json();
    assert_eq!(
        keys(&created["results"][0]["properties"]),
        [
            "createdate",
            "email",
            "hs_all_contact_vids",
            "hs_email_domain",
            "hs_is_contact",
            "hs_is_unworked",
            "hs_object_id",
            "hs_pipeline",
            "lastmodifieddate",
            "number_field"
        ]
    );
    let id = &created["results"][0]["id"];
    let update = json!({"inputs": [{"id": id, "properties": {"email": "b@new.test"}}]});
    let updated = post(&sim, "/crm/v3/objects/CONTACT/batch/update", &update)
        .await
        .json();
    assert_eq!(
        keys(&updated["results"][0]["properties"]),
        ["email", "hs_email_domain", "lastmodifieddate"]
    );
}
