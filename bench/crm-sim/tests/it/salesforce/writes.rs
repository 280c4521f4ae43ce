//! Writes of one record and of many.

use crm_sim::salesforce::{Object, Salesforce};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{DATA, all_ids, call, code, get, org, query_path};

async fn account(sim: &Salesforce, fields: &Value) -> String {
    let answer = call(sim, Method::POST, "/sobjects/Account/", fields).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        answer.json(),
        json!({"id": id, "success": true, "errors": []})
    );
    let location = format!("{DATA}/sobjects/Account/{id}");
    assert_eq!(answer.header("location"), Some(location.as_str()));
    id
}

#[tokio::test]
async fn a_record_lives_from_its_creation_to_its_deletion() {
    let sim = org(&[(Object::User, 2)]).await;
    sim.clock().fix(1_780_000_000_000);
    let id = account(
        &sim,
        &json!({"Name": "Acme \"A\"", "AnnualRevenue": 12.5, "Email__c": "a@b.example"}),
    )
    .await;
    let path = format!("/sobjects/Account/{id}");
    let read = get(&sim, &path).await;
    assert_eq!(
        read.header("last-modified"),
        Some("Thu, 28 May 2026 20:26:40 GMT")
    );
    assert!(read.header("etag").is_some());
    let record = read.json();
    assert_eq!(record["Name"], "Acme \"A\"");
    assert_eq!(record["AnnualRevenue"], 12.5);
    assert_eq!(record["BillingAddress"], Value::Null);
    assert_eq!(record["CreatedDate"], "2026-05-28T20:26:40.000+0000");
    assert!(record["OwnerId"].as_str().unwrap().starts_with("005"));
    sim.clock().advance(5_000);
    let changed = call(
        &sim,
        Method::PATCH,
        &path,
        &json!({"Name": "Beta", "BillingCity": "Oslo", "AnnualRevenue": null}),
    )
    .await;
    assert_eq!((changed.status, changed.body.len()), (204, 0));
    let record = get(&sim, &path).await.json();
    assert_eq!(record["BillingAddress"]["city"], "Oslo");
    assert_eq!(record["AnnualRevenue"], Value::Null);
    assert_eq!(record["SystemModstamp"], "2026-05-28T20:26:45.000+0000");
    assert_eq!(record["CreatedDate"], "2026-05-28T20:26:40.000+0000");
    let asked = query_path("SELECT Id FROM Account WHERE Name = 'beta'");
    assert_eq!(all_ids(&sim, &asked).await.join(" "), id);
    assert_eq!(
        call(&sim, Method::DELETE, &path, &json!({})).await.status,
        204
    );
    assert_eq!(code(&get(&sim, &path).await), "NOT_FOUND");
    let again = call(&sim, Method::DELETE, &path, &json!({})).await;
    assert_eq!(
        (again.status, code(&again).as_str()),
        (404, "ENTITY_IS_DELETED")
    );
    let number = sim.parse_id(Object::Account, &id).unwrap();
    let versions = sim.versions_of(Object::Account, number);
    let deleted: Vec<bool> = versions.iter().map(|version| version.archived).collect();
    assert_eq!(deleted, [false, false, true]);
}

#[tokio::test]
async fn bad_values_name_what_is_wrong() {
    let sim = org(&[(Object::User, 2), (Object::Account, 3)]).await;
    for (fields, expected, named) in [
        (
            json!({"Phone": "1"}),
            "REQUIRED_FIELD_MISSING",
            Some("Name"),
        ),
        (
            json!({"Name": null}),
            "REQUIRED_FIELD_MISSING",
            Some("Name"),
        ),
        (
            json!({"Name": "x", "Email__c": "badone"}),
            "INVALID_EMAIL_ADDRESS",
            Some("Email__c"),
        ),
        (
            json!({"Name": "x".repeat(256)}),
            "STRING_TOO_LONG",
            Some("Name"),
        ),
        (
            json!({"Name": "x", "CreatedDate": "2026-01-01T00:00:00Z"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            Some("CreatedDate"),
        ),
        (json!({"Name": "x", "Nothing__c": 1}), "INVALID_FIELD", None),
        (json!({"Name": 5}), "JSON_PARSER_ERROR", Some("Name")),
        (
            json!({"Name": "x", "AnnualRevenue": "much"}),
            "JSON_PARSER_ERROR",
            Some("AnnualRevenue"),
        ),
        (
            json!({"Name": "x", "OwnerId": "0034S0000000000QAA"}),
            "MALFORMED_ID",
            Some("OwnerId"),
        ),
        (
            json!({"Name": "x", "ParentId": "0014S0000000000QAA"}),
            "INVALID_CROSS_REFERENCE_KEY",
            Some("ParentId"),
        ),
    ] {
        let answer = call(&sim, Method::POST, "/sobjects/Account", &fields).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, expected),
            "{fields}"
        );
        let told = answer.json()[0]["fields"][0].clone();
        assert_eq!(told.as_str(), named, "{fields}");
    }
    let history = call(&sim, Method::POST, "/sobjects/AccountHistory", &json!({})).await;
    assert_eq!(code(&history), "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY");
    assert_eq!(sim.live_count(Object::Account), 3);
}

#[tokio::test]
async fn an_external_id_finds_creates_and_stays_unique() {
    let sim = org(&[(Object::User, 2), (Object::Account, 50)]).await;
    let path = "/sobjects/Account/External_Id__c/k%2F1";
    let first = call(&sim, Method::PATCH, path, &json!({"Name": "One"})).await;
    assert_eq!(
        (first.status, first.json()["created"].clone()),
        (201, json!(true))
    );
    let second = call(&sim, Method::PATCH, path, &json!({"Name": "Two"})).await;
    assert_eq!(
        (second.status, second.json()["created"].clone()),
        (200, json!(false))
    );
    assert_eq!(first.json()["id"], second.json()["id"]);
    let read = get(&sim, path).await.json();
    assert_eq!(
        (read["Name"].as_str(), read["External_Id__c"].as_str()),
        (Some("Two"), Some("k/1"))
    );
    let twice = call(
        &sim,
        Method::POST,
        "/sobjects/Account",
        &json!({"Name": "x", "External_Id__c": "K/1"}),
    )
    .await;
    assert_eq!(code(&twice), "DUPLICATE_VALUE");
    // Generated records are found by theirs too.
    let page = get(
        &sim,
        &query_path("SELECT Id, External_Id__c FROM Account WHERE External_Id__c != 'k/1' LIMIT 1"),
    )
    .await
    .json();
    let known = page["records"][0].clone();
    let generated = format!(
        "/sobjects/Account/External_Id__c/{}",
        known["External_Id__c"].as_str().unwrap()
    );
    let third = call(&sim, Method::PATCH, &generated, &json!({"Name": "Three"})).await;
    assert_eq!(
        (third.status, third.json()["id"].clone()),
        (200, known["Id"].clone())
    );
    let other = sim
        .parse_id(Object::Account, known["Id"].as_str().unwrap())
        .unwrap();
    sim.set_field(Object::Account, other, "External_Id__c", Some("k/1"), 0);
    let many = get(&sim, path).await;
    assert_eq!(
        (many.status, many.json().as_array().unwrap().len()),
        (300, 2)
    );
    assert_eq!(
        code(&get(&sim, "/sobjects/Account/Phone/1").await),
        "NOT_FOUND"
    );
    assert_eq!(sim.live_count(Object::Account), 51);
}

#[tokio::test]
async fn each_record_of_a_collection_fails_for_itself() {
    let sim = org(&[(Object::User, 2), (Object::Account, 3)]).await;
    let record = |name: Value| json!({"attributes": {"type": "Account"}, "Name": name});
    let body = json!({"allOrNone": false, "records": [record(json!("a")), record(Value::Null), record(json!("c"))]});
    let answer = call(&sim, Method::POST, "/composite/sobjects", &body).await;
    assert_eq!(answer.status, 200);
    let rows = answer.json();
    assert_eq!(rows[0]["success"], true);
    assert_eq!(
        rows[1],
        json!({"success": false, "errors": [{"statusCode": "REQUIRED_FIELD_MISSING", "message": "Required fields are missing: [Name]", "fields": ["Name"]}]})
    );
    assert_eq!(sim.live_count(Object::Account), 5);
    let together = json!({"allOrNone": true, "records": [record(json!("a")), record(Value::Null)]});
    let rows = call(&sim, Method::POST, "/composite/sobjects", &together)
        .await
        .json();
    assert_eq!(
        rows[0]["errors"][0]["statusCode"],
        "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    );
    assert_eq!(sim.live_count(Object::Account), 5);
    let id = answer.json()[0]["id"].as_str().unwrap().to_owned();
    let patch = json!({"records": [
        {"attributes": {"type": "Account"}, "id": id, "Site": "s"},
        {"attributes": {"type": "Account"}, "Site": "s"},
    ]});
    let rows = call(&sim, Method::PATCH, "/composite/sobjects", &patch)
        .await
        .json();
    assert_eq!(
        (rows[0]["id"].as_str(), rows[1]["success"].clone()),
        (Some(id.as_str()), json!(false))
    );
    let upsert = json!({"records": [
        {"attributes": {"type": "Account"}, "External_Id__c": "n1", "Name": "new"},
        {"attributes": {"type": "Account"}, "External_Id__c": "n1", "Name": "newer"},
    ]});
    let rows = call(
        &sim,
        Method::PATCH,
        "/composite/sobjects/Account/External_Id__c",
        &upsert,
    )
    .await
    .json();
    assert_eq!(
        (rows[0]["created"].clone(), rows[1]["created"].clone()),
        (json!(true), json!(false))
    );
    let missing = sim.wire_id(Object::Account, 7);
    let wanted = json!({"ids": [id, missing], "fields": ["Name", "Site"]});
    let read = call(&sim, Method::POST, "/composite/sobjects/Account", &wanted)
        .await
        .json();
    assert_eq!(
        (read[0]["Site"].as_str(), read[1].clone()),
        (Some("s"), Value::Null)
    );
    let path = format!("/composite/sobjects?ids={id},{missing}&allOrNone=false");
    let rows = call(&sim, Method::DELETE, &path, &json!({})).await.json();
    assert_eq!(
        (rows[0]["success"].clone(), rows[1]["success"].clone()),
        (json!(true), json!(false))
    );
    let many: Vec<Value> = (0..201).map(|_| record(json!("x"))).collect();
    let refused = call(
        &sim,
        Method::POST,
        "/composite/sobjects",
        &json!({"records": many}),
    )
    .await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (400, "EXCEEDED_ID_LIMIT")
    );
}

#[tokio::test]
async fn requests_can_hold_requests() {
    let sim = org(&[(Object::User, 2)]).await;
    let body = json!({"haltOnError": true, "batchRequests": [
        {"method": "GET", "url": "/services/data/v62.0/sobjects/Account/describe"},
        {"method": "GET", "url": "v62.0/sobjects/Nothing/describe"},
        {"method": "GET", "url": "v62.0/limits"},
    ]});
    let answer = call(&sim, Method::POST, "/composite/batch", &body)
        .await
        .json();
    assert_eq!(answer["hasErrors"], true);
    assert_eq!(answer["results"][0]["result"]["name"], "Account");
    assert_eq!(answer["results"][1]["statusCode"], 404);
    assert_eq!(answer["results"][2]["statusCode"], 412);
    let body = json!({"compositeRequest": [
        {"method": "POST", "url": "/services/data/v62.0/sobjects/Account", "referenceId": "a", "body": {"Name": "A"}},
        {"method": "POST", "url": "/services/data/v62.0/sobjects/Contact", "referenceId": "c", "body": {"LastName": "C", "AccountId": "@{a.id}"}},
        {"method": "GET", "url": "/services/data/v62.0/sobjects/Contact/@{c.id}?fields=AccountId", "referenceId": "r"},
    ]});
    let answer = call(&sim, Method::POST, "/composite", &body).await.json();
    let parts = answer["compositeResponse"].as_array().unwrap();
    assert_eq!(parts[1]["httpStatusCode"], 201, "{answer}");
    assert_eq!(parts[2]["body"]["AccountId"], parts[0]["body"]["id"]);
}
