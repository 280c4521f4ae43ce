//! Bulk ingest jobs.

use std::collections::BTreeMap;

use crm_sim::salesforce::{Object, Salesforce};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Answer, DATA, all_records, call, call_as, code, get, org, query_path};

/// Creates a job with its file and lets it run to its end.
async fn ingest(sim: &Salesforce, job: &Value, file: &str) -> Value {
    let created = call(sim, Method::POST, "/jobs/ingest", job).await;
    assert_eq!(created.status, 200, "{}", created.json());
    let created = created.json();
    assert_eq!(created["state"], "Open");
    let path = format!("/jobs/ingest/{}", created["id"].as_str().unwrap());
    let content = format!("services/data/v62.0{path}/batches");
    assert_eq!(created["contentUrl"], content.as_str());
    let uploaded = put(sim, &path, file).await;
    assert_eq!((uploaded.status, uploaded.body.len()), (201, 0));
    let twice = put(sim, &path, file).await;
    assert_eq!(code(&twice), "INVALIDJOBSTATE");
    let done = json!({"state": "UploadComplete"});
    assert_eq!(
        call(sim, Method::PATCH, &path, &done).await.json()["state"],
        "UploadComplete"
    );
    assert_eq!(get(sim, &path).await.json()["state"], "InProgress");
    get(sim, &path).await.json()
}

async fn put(sim: &Salesforce, path: &str, file: &str) -> Answer {
    let token = sim.issue_tokens().access_token;
    let target = format!("{DATA}{path}/batches");
    let headers = [("content-type", "text/csv; charset=UTF-8")];
    call_as(
        sim,
        &token,
        Method::PUT,
        &target,
        &headers,
        file.as_bytes().to_vec(),
    )
    .await
}

async fn file(sim: &Salesforce, job: &Value, name: &str) -> Vec<String> {
    let answer = get(
        sim,
        &format!("/jobs/ingest/{}/{name}/", job["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_job_is_complete_although_lines_failed() {
    let sim = org(&[(Object::User, 2)]).await;
    let mut csv = "LastName,Email,External_Id__c\n".to_owned();
    for at in 0..50 {
        let name = if at % 10 == 0 { "" } else { "Name" };
        csv.push_str(&format!("{name},p{at}@b.example,k{at}\n"));
    }
    let job = ingest(
        &sim,
        &json!({"object": "Contact", "operation": "insert"}),
        &csv,
    )
    .await;
    assert_eq!(job["state"], "JobComplete");
    assert_eq!(
        (
            job["numberRecordsProcessed"].clone(),
            job["numberRecordsFailed"].clone()
        ),
        (json!(50), json!(5))
    );
    let failed = file(&sim, &job, "failedResults").await;
    assert_eq!(
        failed[0],
        r#""sf__Id","sf__Error","LastName","Email","External_Id__c""#
    );
    assert!(
        failed[1]
            .contains("REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"),
        "{}",
        failed[1]
    );
    let succeeded = file(&sim, &job, "successfulResults").await;
    assert_eq!(succeeded.len(), 46);
    let keys: Vec<&str> = succeeded[1..]
        .iter()
        .map(|line| line.rsplit(',').next().unwrap())
        .collect();
    let mut sorted = keys.clone();
    sorted.sort_by_key(|key| key.trim_matches(['"', 'k']).parse::<u32>().unwrap());
    assert_ne!(keys, sorted, "results are in no order");
    for name in ["unprocessedrecords", "unprocessedRecords"] {
        assert_eq!(file(&sim, &job, name).await.len(), 1);
    }
    assert_eq!(sim.live_count(Object::Contact), 45);
}

#[tokio::test]
async fn an_upsert_creates_changes_clears_and_refuses_twins() {
    let sim = org(&[(Object::User, 2), (Object::Account, 10)]).await;
    let upsert = json!({"object": "Contact", "operation": "upsert", "externalIdFieldName": "External_Id__c"});
    let csv = "External_Id__c,LastName,Department\na,A,old\nb,B,old\n";
    assert_eq!(ingest(&sim, &upsert, csv).await["numberRecordsFailed"], 0);
    let account = get(
        &sim,
        &query_path("SELECT Id, External_Id__c FROM Account LIMIT 1"),
    )
    .await
    .json()["records"][0]
        .clone();
    let key = account["External_Id__c"].as_str().unwrap();
    let csv = format!(
        "External_Id__c,LastName,Department,Account.External_Id__c\na,,#N/A,{key}\nb,B2,,\nc,C,,nobody\nd,D,,\nD,E,,\n"
    );
    let job = ingest(&sim, &upsert, &csv).await;
    assert_eq!(
        (
            job["numberRecordsProcessed"].clone(),
            job["numberRecordsFailed"].clone()
        ),
        (json!(5), json!(3))
    );
    let failed = file(&sim, &job, "failedResults").await.join("\n");
    assert_eq!(
        failed
            .matches("DUPLICATE_VALUE:Duplicate external id specified")
            .count(),
        2
    );
    let records = all_records(
        &sim,
        &query_path("SELECT External_Id__c, LastName, Department, AccountId FROM Contact"),
    )
    .await;
    let by_key: BTreeMap<&str, &Value> = records
        .iter()
        .map(|record| (record["External_Id__c"].as_str().unwrap(), record))
        .collect();
    assert_eq!(by_key.len(), 2);
    assert_eq!(
        (
            by_key["a"]["LastName"].as_str(),
            by_key["a"]["Department"].clone()
        ),
        (Some("A"), Value::Null)
    );
    assert_eq!(by_key["a"]["AccountId"], account["Id"]);
    assert_eq!(
        (
            by_key["b"]["LastName"].as_str(),
            by_key["b"]["Department"].as_str()
        ),
        (Some("B2"), Some("old"))
    );
}

#[tokio::test]
async fn deletions_want_nothing_but_ids_and_hard_ones_leave_no_trace() {
    let sim = org(&[(Object::Lead, 20)]).await;
    let ids: Vec<String> = sim
        .current(Object::Lead)
        .take(3)
        .map(|record| sim.wire_id(Object::Lead, record.id))
        .collect();
    let job = ingest(
        &sim,
        &json!({"object": "Lead", "operation": "delete"}),
        &format!("Id,Name\n{},x\n", ids[0]),
    )
    .await;
    assert_eq!(job["state"], "Failed");
    assert_eq!(
        job["errorMessage"],
        "InvalidBatch : Field name not found : Name"
    );
    assert_eq!(file(&sim, &job, "unprocessedrecords").await.len(), 2);
    ingest(
        &sim,
        &json!({"object": "Lead", "operation": "delete"}),
        &format!("Id\n{}\n", ids[0]),
    )
    .await;
    ingest(
        &sim,
        &json!({"object": "Lead", "operation": "hardDelete", "lineEnding": "CRLF"}),
        &format!("Id\r\n{}\r\n", ids[1]),
    )
    .await;
    let kept = all_records(
        &sim,
        &query_path("SELECT Id FROM Lead WHERE IsDeleted = true").replace("/query?", "/queryAll?"),
    )
    .await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["Id"], ids[0].as_str());
    assert_eq!(sim.live_count(Object::Lead), 18);
    let job = ingest(
        &sim,
        &json!({"object": "Lead", "operation": "update"}),
        &format!("Id,Title\n{},t\n{},t\n", ids[0], ids[2]),
    )
    .await;
    assert_eq!(job["numberRecordsFailed"], 1);
    let failed = file(&sim, &job, "failedResults").await;
    assert!(
        failed[1].starts_with(&format!(
            "\"{}\",\"ENTITY_IS_DELETED:entity is deleted:--\"",
            ids[0]
        )),
        "{}",
        failed[1]
    );
}

#[tokio::test]
async fn a_failed_job_says_what_it_has_not_done() {
    let sim = org(&[(Object::User, 2)]).await;
    sim.fail_bulk_jobs(1);
    let csv = "Name\na\nb\nc\nd\n";
    let insert = json!({"object": "Account", "operation": "insert"});
    let job = ingest(&sim, &insert, csv).await;
    assert_eq!(job["state"], "Failed");
    assert_eq!(file(&sim, &job, "successfulResults").await.len(), 3);
    assert_eq!(
        file(&sim, &job, "unprocessedrecords").await,
        ["\"Name\"", "\"c\"", "\"d\""]
    );
    assert_eq!(sim.live_count(Object::Account), 2);
    for (job, expected) in [
        (
            json!({"object": "TaskStatus", "operation": "insert"}),
            "INVALIDENTITY",
        ),
        (
            json!({"object": "Account", "operation": "upsert"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "upsert", "externalIdFieldName": "Phone"}),
            "INVALIDJOB",
        ),
        (
            json!({"object": "Account", "operation": "query"}),
            "INVALIDOPERATION",
        ),
    ] {
        assert_eq!(
            code(&call(&sim, Method::POST, "/jobs/ingest", &job).await),
            expected
        );
    }
}
