//! Versions, the list of objects, and descriptions of them.

use crm_sim::salesforce::{ExtraField, FieldType, Object};
use hyper::Method;
use serde_json::json;

use super::client::{DATA, call, call_as, code, get, org, query_path, send};

#[tokio::test]
async fn versions_need_no_session_and_name_their_seasons() {
    let sim = org(&[]).await;
    let answer = send(
        sim.base_url(),
        Method::GET,
        "/services/data",
        &[],
        Vec::new(),
    )
    .await;
    assert_eq!(answer.status, 200);
    let versions = answer.json();
    let versions = versions.as_array().unwrap();
    let expected = json!({"label": "Winter '26", "url": "/services/data/v65.0", "version": "65.0"});
    assert!(versions.contains(&expected));
    assert_eq!(versions[0]["version"], "31.0");
}

#[tokio::test]
async fn every_object_is_listed_with_what_can_be_done_to_it() {
    let sim = org(&[]).await;
    let listed = get(&sim, "/sobjects/").await.json();
    let all = listed["sobjects"].as_array().unwrap().clone();
    let find = |name: &str| {
        all.iter()
            .find(|object| object["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(all.len(), Object::ALL.len());
    assert_eq!(find("Invoice__c")["custom"], true);
    assert_eq!(find("AccountHistory")["createable"], false);
    assert_eq!(find("TaskStatus")["replicateable"], false);
    assert_eq!(find("Account")["keyPrefix"], "001");
    assert_eq!(
        find("Account")["urls"]["describe"],
        "/services/data/v62.0/sobjects/Account/describe"
    );
}

#[tokio::test]
async fn a_describe_tells_compounds_references_and_file_fields_apart() {
    let sim = org(&[]).await;
    let described = get(&sim, "/sobjects/Contact/describe").await.json();
    let fields = described["fields"].as_array().unwrap().clone();
    let find = |name: &str| {
        fields
            .iter()
            .find(|field| field["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(find("MailingAddress")["type"], "address");
    assert_eq!(find("MailingCity")["compoundFieldName"], "MailingAddress");
    assert_eq!(find("FirstName")["compoundFieldName"], "Name");
    assert_eq!(find("Name")["extraTypeInfo"], "personname");
    assert_eq!(find("AccountId")["referenceTo"], json!(["Account"]));
    assert_eq!(find("AccountId")["relationshipName"], "Account");
    assert_eq!(find("External_Id__c")["externalId"], true);
    assert_eq!(find("Description")["filterable"], false);
    let file = get(&sim, "/sobjects/Attachment/describe").await.json();
    let body = file["fields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|field| field["name"] == "Body")
        .cloned();
    assert_eq!(body.unwrap()["type"], "base64");
    let missing = get(&sim, "/sobjects/Nothing/describe").await;
    assert_eq!(
        (missing.status, code(&missing).as_str()),
        (404, "NOT_FOUND")
    );
}

#[tokio::test]
async fn a_field_can_come_and_go_and_the_describe_says_since_when() {
    let sim = org(&[(Object::Account, 5)]).await;
    let token = sim.issue_tokens().access_token;
    let path = format!("{DATA}/sobjects/Account/describe");
    let first = call_as(&sim, &token, Method::GET, &path, &[], Vec::new()).await;
    let since = first.header("last-modified").unwrap().to_owned();
    let tag = first.header("etag").unwrap().to_owned();
    let unchanged = call_as(
        &sim,
        &token,
        Method::GET,
        &path,
        &[("if-modified-since", &since)],
        Vec::new(),
    )
    .await;
    assert_eq!(unchanged.status, 304);
    let score = ExtraField {
        object: Object::Account,
        name: "Score__c".to_owned(),
        field_type: FieldType::Double,
        external_id: false,
    };
    let asked = query_path("SELECT Id, Score__c FROM Account");
    assert_eq!(code(&get(&sim, &asked).await), "INVALID_FIELD");
    assert!(sim.add_field(&score));
    assert!(!sim.add_field(&score));
    let changed = call_as(
        &sim,
        &token,
        Method::GET,
        &path,
        &[("if-modified-since", &since)],
        Vec::new(),
    )
    .await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag").unwrap(), tag);
    let fields = changed.json()["fields"].as_array().unwrap().clone();
    assert!(
        fields
            .iter()
            .any(|field| field["name"] == "Score__c" && field["type"] == "double")
    );
    assert_eq!(
        get(&sim, &asked).await.json()["records"][0]["Score__c"],
        json!(null)
    );
    assert!(sim.drop_field(Object::Account, "Score__c"));
    assert!(!sim.drop_field(Object::Account, "Name"));
    let refused = get(&sim, &asked).await;
    assert_eq!(code(&refused), "INVALID_FIELD");
    let message = refused.json()[0]["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("No such column 'Score__c' on entity 'Account'"),
        "{message}"
    );
    assert!(message.contains("ERROR at Row:1:Column:12"), "{message}");
}

#[tokio::test]
async fn what_can_only_be_read_cannot_be_posted() {
    let sim = org(&[]).await;
    let answer = call(&sim, Method::POST, "/sobjects/Account/describe", &json!({})).await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (405, "METHOD_NOT_ALLOWED")
    );
}
