//! Bulk query jobs and the pages of their results.

use crm_sim::salesforce::{Config, Fault, Object, PathKind, Rule, Salesforce, When};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Answer, all_ids, call, code, get, org, query_path, start};

async fn create(sim: &Salesforce, operation: &str, soql: &str) -> Value {
    let body = json!({"operation": operation, "query": soql});
    let answer = call(sim, Method::POST, "/jobs/query", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

/// Creates a job and polls it until it ends.
async fn finished(sim: &Salesforce, operation: &str, soql: &str) -> Value {
    let job = create(sim, operation, soql).await;
    let path = format!("/jobs/query/{}", job["id"].as_str().unwrap());
    loop {
        let job = get(sim, &path).await.json();
        if !matches!(
            job["state"].as_str().unwrap(),
            "UploadComplete" | "InProgress"
        ) {
            return job;
        }
    }
}

async fn page(sim: &Salesforce, job: &Value, parameters: &str) -> Answer {
    let id = job["id"].as_str().unwrap();
    get(sim, &format!("/jobs/query/{id}/results{parameters}")).await
}

/// The lines of a result without quotes in its values, and its next locator.
fn lines(answer: &Answer) -> (Vec<String>, String) {
    assert_eq!(answer.status, 200, "{}", answer.json());
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    (lines, answer.header("sforce-locator").unwrap().to_owned())
}

/// All rows of a result, read in pages of this size.
async fn rows(sim: &Salesforce, job: &Value, page_rows: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut parameters = format!("?maxRecords={page_rows}");
    loop {
        let answer = page(sim, job, &parameters).await;
        let (mut read, locator) = lines(&answer);
        assert_eq!(read.remove(0), "\"Id\"", "every page has a header");
        let told = answer.header("sforce-numberofrecords").unwrap();
        assert_eq!(told, read.len().to_string());
        all.extend(read.iter().map(|line| line.trim_matches('"').to_owned()));
        if locator == "null" {
            return all;
        }
        parameters = format!("?maxRecords={page_rows}&locator={locator}");
    }
}

#[tokio::test]
async fn a_job_goes_through_its_states_and_gives_no_results_before() {
    let sim = org(&[(Object::Account, 10)]).await;
    let job = create(&sim, "query", "SELECT Id FROM Account").await;
    assert_eq!(job["state"], "UploadComplete");
    assert_eq!(job["apiVersion"], 62.0);
    assert_eq!(job["object"], "Account");
    let early = page(&sim, &job, "").await;
    assert_eq!(
        (early.status, code(&early).as_str()),
        (400, "JOB_NOT_COMPLETE")
    );
    let path = format!("/jobs/query/{}", job["id"].as_str().unwrap());
    assert_eq!(get(&sim, &path).await.json()["state"], "InProgress");
    let refused = call(&sim, Method::DELETE, &path, &json!({})).await;
    assert_eq!(code(&refused), "INVALIDJOBSTATE");
    let done = get(&sim, &path).await.json();
    assert_eq!(done["state"], "JobComplete");
    assert_eq!(done["jobType"], "V2Query");
    assert_eq!(done["numberRecordsProcessed"], 10);
    let listed = get(&sim, "/jobs/query").await.json();
    assert_eq!(listed["records"].as_array().unwrap().len(), 1);
    assert_eq!(
        call(&sim, Method::DELETE, &path, &json!({})).await.status,
        204
    );
    assert_eq!(get(&sim, &path).await.status, 404);
    let aborted = create(&sim, "query", "SELECT Id FROM Account").await;
    let path = format!("/jobs/query/{}", aborted["id"].as_str().unwrap());
    let abort = json!({"state": "Aborted"});
    assert_eq!(
        call(&sim, Method::PATCH, &path, &abort).await.json()["state"],
        "Aborted"
    );
    assert_eq!(get(&sim, &path).await.json()["state"], "Aborted");
    sim.fail_bulk_jobs(1);
    let failed = finished(&sim, "query", "SELECT Id FROM Account").await;
    assert_eq!(failed["state"], "Failed");
    assert_eq!(
        finished(&sim, "query", "SELECT Id FROM Account").await["state"],
        "JobComplete"
    );
}

#[tokio::test]
async fn results_stay_as_they_were_in_pages_of_any_size() {
    let sim = org(&[(Object::Contact, 12_000)]).await;
    let before = all_ids(&sim, &query_path("SELECT Id FROM Contact")).await;
    let job = finished(&sim, "query", "SELECT Id FROM Contact").await;
    let now_ms = sim.clock().now_ms();
    sim.delete_count(Object::Contact, 300, now_ms);
    sim.create(Object::Contact, 200, now_ms);
    sim.edit_count(Object::Contact, 500, now_ms - 1_000, now_ms);
    for page_rows in [999, 5_000, 7_000, 50_000] {
        assert_eq!(
            rows(&sim, &job, page_rows).await,
            before,
            "pages of {page_rows}"
        );
    }
    let (_, second) = lines(&page(&sim, &job, "?maxRecords=4000").await);
    assert_eq!(second, "NDAwMA");
    let first_time = page(&sim, &job, &format!("?maxRecords=100&locator={second}")).await;
    let again = page(&sim, &job, &format!("?maxRecords=100&locator={second}")).await;
    assert_eq!(first_time.body, again.body);
    let unknown = page(&sim, &job, "?locator=MTIz").await;
    assert_eq!(
        (unknown.status, code(&unknown).as_str()),
        (400, "INVALID_QUERY_LOCATOR")
    );
    let now = finished(&sim, "query", "SELECT Id FROM Contact").await;
    assert_eq!(now["numberRecordsProcessed"], 11_900);
    assert_eq!(rows(&sim, &now, 6_000).await.len(), 11_900);
    let window = "SELECT Id FROM Contact WHERE SystemModstamp > 2023-01-01T00:00:00Z AND SystemModstamp <= 2024-01-01T00:00:00Z";
    let job = finished(&sim, "query", window).await;
    let expected = all_ids(&sim, &query_path(window)).await;
    sim.edit_count(Object::Contact, 3_000, now_ms, now_ms);
    assert_eq!(rows(&sim, &job, 700).await, expected);
    assert!(all_ids(&sim, &query_path(window)).await.len() < expected.len());
}

#[tokio::test]
async fn deleted_records_come_with_query_all_alone() {
    let sim = org(&[(Object::Lead, 100)]).await;
    sim.delete_count(Object::Lead, 10, sim.clock().now_ms());
    let live = finished(&sim, "query", "SELECT Id FROM Lead").await;
    let all = finished(&sim, "queryAll", "SELECT Id FROM Lead").await;
    let gone = finished(
        &sim,
        "queryAll",
        "SELECT Id FROM Lead WHERE IsDeleted = true",
    )
    .await;
    let none = finished(&sim, "query", "SELECT Id FROM Lead WHERE IsDeleted = true").await;
    sim.purge(Object::Lead);
    assert_eq!(rows(&sim, &live, 1_000).await.len(), 90);
    assert_eq!(rows(&sim, &all, 1_000).await.len(), 100);
    assert_eq!(rows(&sim, &gone, 1_000).await.len(), 10);
    let (empty, locator) = lines(&page(&sim, &none, "").await);
    assert_eq!(
        (empty, locator.as_str()),
        (vec!["\"Id\"".to_owned()], "null")
    );
}

#[tokio::test]
async fn values_stand_in_quotes_and_keep_what_is_in_them() {
    let sim = org(&[(Object::Account, 3), (Object::User, 2)]).await;
    let id = sim.current(Object::Account).next().unwrap().id;
    let now_ms = 1_780_000_000_000;
    let nasty = "a \"quoted\"\nline, with\0nul";
    sim.set_field(Object::Account, id, "Description", Some(nasty), now_ms);
    sim.set_field(Object::Account, id, "Name", None, now_ms);
    let wire = sim.wire_id(Object::Account, id);
    let soql = format!(
        "SELECT Id, Name, Description, IsDeleted, SystemModstamp, Owner.Username FROM Account WHERE Id = '{wire}'"
    );
    let body = json!({
        "operation": "query",
        "query": soql,
        "contentType": "CSV",
        "columnDelimiter": "PIPE",
        "lineEnding": "CRLF",
    });
    let job = call(&sim, Method::POST, "/jobs/query", &body).await.json();
    assert_eq!(
        (job["columnDelimiter"].as_str(), job["lineEnding"].as_str()),
        (Some("PIPE"), Some("CRLF"))
    );
    for _ in 0..2 {
        get(
            &sim,
            &format!("/jobs/query/{}", job["id"].as_str().unwrap()),
        )
        .await;
    }
    let text = String::from_utf8(page(&sim, &job, "").await.body.to_vec()).unwrap();
    let rest = text
        .strip_prefix("\"Id\"|\"Name\"|\"Description\"|\"IsDeleted\"|\"SystemModstamp\"|\"Owner.Username\"\r\n")
        .unwrap();
    let expected = format!(
        "\"{wire}\"|\"\"|\"a \"\"quoted\"\"\nline, with\0nul\"|\"false\"|\"2026-05-28T20:26:40.000+0000\"|\"user."
    );
    assert!(rest.starts_with(&expected), "{rest}");
    assert!(rest.ends_with("\"\r\n"));
}

#[tokio::test]
async fn what_only_rest_can_do_is_refused() {
    let sim = org(&[(Object::Account, 3)]).await;
    for (soql, refused, message) in [
        (
            "SELECT Id FROM TaskStatus",
            "INVALIDENTITY",
            "Entity 'TaskStatus' is not supported by the Bulk API.",
        ),
        (
            "SELECT BillingAddress FROM Account",
            "FUNCTIONALITY_NOT_ENABLED",
            "Selecting compound data not supported in Bulk Query",
        ),
        (
            "SELECT Body FROM Attachment",
            "API_ERROR",
            "Binary fields are not supported",
        ),
        (
            "SELECT COUNT() FROM Account",
            "API_ERROR",
            "Implementation restriction",
        ),
        (
            "SELECT Id FROM Account LIMIT 5 OFFSET 5",
            "API_ERROR",
            "Implementation restriction",
        ),
        (
            "SELECT FIELDS(ALL) FROM Account LIMIT 5",
            "MALFORMED_QUERY",
            "FIELDS",
        ),
        (
            "SELECT Nothing FROM Account",
            "INVALID_FIELD",
            "No such column 'Nothing' on entity 'Account'",
        ),
    ] {
        let body = json!({"operation": "query", "query": soql});
        let answer = call(&sim, Method::POST, "/jobs/query", &body).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, refused),
            "{soql}"
        );
        let told = answer.json()[0]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(message), "{told}");
    }
    let body = json!({"operation": "insert", "query": "SELECT Id FROM Account"});
    assert_eq!(
        code(&call(&sim, Method::POST, "/jobs/query", &body).await),
        "INVALIDOPERATION"
    );
}

#[tokio::test]
async fn a_page_that_breaks_off_can_be_read_again() {
    let sim = start(Config {
        counts: [(Object::Account, 8_000)].into(),
        bulk_polls: 0,
        ..Config::default()
    })
    .await;
    let job = finished(&sim, "query", "SELECT Id FROM Account").await;
    sim.install_fault(Rule {
        path: Some(PathKind::BulkResults),
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::Cut(400),
    });
    let broken = page(&sim, &job, "?maxRecords=6000").await;
    assert!(broken.broken);
    let locator = broken.header("sforce-locator").unwrap().to_owned();
    let whole = page(&sim, &job, "?maxRecords=6000").await;
    assert!(!whole.broken);
    assert!(whole.body.starts_with(&broken.body));
    let (rest, last) = lines(&page(&sim, &job, &format!("?locator={locator}")).await);
    assert_eq!((rest.len(), last.as_str()), (2_001, "null"));
}
