//! Queries and their pages.

use std::collections::BTreeSet;

use crm_sim::salesforce::{Config, Fault, Object, PathKind, Rule, Salesforce, When, iso};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{
    DATA, all_ids, all_records, call_as, code, get, org, query_all_path, query_path, start,
};

/// `2024-03-01T00:00:00Z`, as a literal of a query.
fn literal(time_ms: i64) -> String {
    iso(time_ms).replace(".000Z", "Z")
}

/// Ids and modification times of live records, by time.
fn truth(sim: &Salesforce, object: Object) -> Vec<(i64, String)> {
    let live = sim.current(object).filter(|record| !record.archived);
    let mut all: Vec<(i64, String)> = live
        .map(|record| (record.modified_ms, sim.wire_id(object, record.id)))
        .collect();
    all.sort_unstable();
    all
}

fn ids(records: &[(i64, String)]) -> Vec<String> {
    records.iter().map(|(_, id)| id.clone()).collect()
}

#[tokio::test]
async fn pages_hold_every_record_once_and_name_the_next() {
    let sim = org(&[(Object::Account, 4_500), (Object::User, 3)]).await;
    let first = get(&sim, &query_path("SELECT Id, Name FROM Account")).await;
    let page = first.json();
    assert_eq!(page["totalSize"], 4_500);
    assert_eq!(page["done"], false);
    assert_eq!(page["records"].as_array().unwrap().len(), 2_000);
    let next = page["nextRecordsUrl"].as_str().unwrap();
    assert!(next.starts_with("/services/data/v62.0/query/01g"), "{next}");
    assert!(next.ends_with("-2000"), "{next}");
    let record = &page["records"][0];
    assert_eq!(record["attributes"]["type"], "Account");
    let url = format!("{DATA}/sobjects/Account/{}", record["Id"].as_str().unwrap());
    assert_eq!(record["attributes"]["url"], url.as_str());
    let all = all_ids(&sim, &query_path("SELECT Id, Name FROM Account")).await;
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), 4_500);
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(all, sorted, "ids sort as text");
}

#[tokio::test]
async fn windows_of_time_agree_with_the_truth_and_keep_their_ties() {
    let sim = org(&[(Object::Contact, 3_000)]).await;
    let now_ms = 1_780_000_000_000;
    sim.clock().fix(now_ms);
    sim.edit_count(Object::Contact, 200, now_ms - 900_000, now_ms - 100_000);
    sim.create(Object::Contact, 30, now_ms - 50_000);
    sim.delete_count(Object::Contact, 20, now_ms - 40_000);
    let all = truth(&sim, Object::Contact);
    let burst_ms = all[1_400].0;
    assert!(
        all.iter()
            .filter(|(time_ms, _)| *time_ms == burst_ms)
            .count()
            > 300
    );
    for (from_ms, until_ms) in [
        (burst_ms, burst_ms + 1_000),
        (all[100].0, all[900].0),
        (now_ms - 900_000, now_ms),
    ] {
        let soql = format!(
            "SELECT Id FROM Contact WHERE SystemModstamp >= {} AND SystemModstamp < {} ORDER BY SystemModstamp ASC, Id ASC",
            literal(from_ms),
            literal(until_ms)
        );
        let window: Vec<(i64, String)> = all
            .iter()
            .filter(|(time_ms, _)| (from_ms..until_ms).contains(time_ms))
            .cloned()
            .collect();
        assert_eq!(all_ids(&sim, &query_path(&soql)).await, ids(&window));
        let total = get(&sim, &query_path(&soql)).await.json()["totalSize"].clone();
        assert_eq!(total, window.len());
    }
}

#[tokio::test]
async fn a_walk_by_keys_reads_everything_through_ties() {
    let sim = org(&[(Object::Contact, 1_500)]).await;
    let mut read = Vec::new();
    let mut condition = String::new();
    loop {
        let soql = format!(
            "SELECT Id, SystemModstamp FROM Contact{condition} ORDER BY SystemModstamp, Id LIMIT 100"
        );
        let page = all_records(&sim, &query_path(&soql)).await;
        let Some(last) = page.last() else { break };
        let text = |name: &str| last[name].as_str().unwrap().to_owned();
        let (time, id) = (text("SystemModstamp"), text("Id"));
        let time = time.replace("+0000", "Z");
        condition =
            format!(" WHERE SystemModstamp > {time} OR (SystemModstamp = {time} AND Id > '{id}')");
        read.extend(
            page.iter()
                .map(|record| record["Id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(read, ids(&truth(&sim, Object::Contact)));
}

#[tokio::test]
async fn records_show_their_types() {
    let sim = org(&[
        (Object::Account, 50),
        (Object::Contact, 50),
        (Object::Invoice, 20),
        (Object::User, 3),
    ])
    .await;
    let soql = "SELECT Id, IsDeleted, Name, FirstName, LastName, Email, Birthdate, MailingAddress, MailingCity, OwnerId, CreatedDate, SystemModstamp, Account.Name, Owner.Username, MobilePhone FROM Contact";
    for record in all_records(&sim, &query_path(soql)).await {
        assert_eq!(record["IsDeleted"], false);
        let full = format!(
            "{} {}",
            record["FirstName"].as_str().unwrap(),
            record["LastName"].as_str().unwrap()
        );
        assert_eq!(record["Name"], full.as_str());
        assert_eq!(record["MailingAddress"]["city"], record["MailingCity"]);
        assert_eq!(record["MailingAddress"]["latitude"], Value::Null);
        assert_eq!(record["MobilePhone"], Value::Null);
        let stamp = record["SystemModstamp"].as_str().unwrap();
        assert!(stamp.ends_with(".000+0000"), "{stamp}");
        assert_eq!(record["Owner"]["attributes"]["type"], "User");
        assert!(record["Owner"]["Username"].as_str().unwrap().contains('@'));
        assert!(record["Account"].is_null() || record["Account"]["Name"].is_string());
        assert_eq!(record["Birthdate"].as_str().unwrap().len(), 10);
    }
    let invoice = get(
        &sim,
        &query_path("SELECT FIELDS(ALL) FROM Invoice__c LIMIT 200"),
    )
    .await
    .json()["records"][0]
        .clone();
    assert!(invoice["Amount__c"].is_number());
    assert!(invoice["Paid__c"].is_boolean());
    assert_eq!(
        invoice["Place__c"]["latitude"],
        invoice["Place__Latitude__s"]
    );
    let id = invoice["Id"].as_str().unwrap();
    let whole = get(&sim, &format!("/sobjects/Invoice__c/{id}"))
        .await
        .json();
    assert_eq!(whole, invoice);
    let by_external = format!(
        "/sobjects/Invoice__c/External_Id__c/{}",
        invoice["External_Id__c"].as_str().unwrap()
    );
    assert_eq!(get(&sim, &by_external).await.json()["Id"], id);
}

#[tokio::test]
async fn conditions_and_orders_agree_with_a_filter_of_everything() {
    let sim = org(&[
        (Object::Opportunity, 400),
        (Object::Account, 30),
        (Object::User, 3),
    ])
    .await;
    let all = all_records(
        &sim,
        &query_path("SELECT Id, Name, Amount, StageName, CloseDate, IsWon, LeadSource, AccountId FROM Opportunity"),
    )
    .await;
    let number = |record: &Value| record["Amount"].as_f64();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or("").to_owned();
    let account = all
        .iter()
        .find_map(|record| record["AccountId"].as_str())
        .unwrap();
    let by_account = format!("AccountId = '{account}'");
    let by_short = format!("AccountId IN ('{}')", &account[..15]);
    type Wanted<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let cases: Vec<(&str, Wanted<'_>)> = vec![
        (
            "Amount > 1000000.5",
            Box::new(|record| number(record).is_some_and(|value| value > 1_000_000.5)),
        ),
        ("Amount = null", Box::new(|record| number(record).is_none())),
        (
            "Amount != null AND IsWon = TRUE",
            Box::new(|record| number(record).is_some() && record["IsWon"] == true),
        ),
        (
            "StageName = 'closed won'",
            Box::new(|record| record["StageName"] == "Closed Won"),
        ),
        (
            "StageName IN ('Closed Won','Prospecting') AND CloseDate < 2023-01-01",
            Box::new(|record| {
                matches!(
                    text(record, "StageName").as_str(),
                    "Closed Won" | "Prospecting"
                ) && text(record, "CloseDate").as_str() < "2023-01-01"
            }),
        ),
        (
            "LeadSource NOT IN ('Web')",
            Box::new(|record| record["LeadSource"] != "Web"),
        ),
        (
            "NOT (IsWon = true OR LeadSource = 'Web')",
            Box::new(|record| record["IsWon"] == false && record["LeadSource"] != "Web"),
        ),
        (
            "Name LIKE '%caf\u{e9}%'",
            Box::new(|record| text(record, "Name").to_lowercase().contains("caf\u{e9}")),
        ),
        (
            &by_account,
            Box::new(|record| record["AccountId"] == account),
        ),
        (&by_short, Box::new(|record| record["AccountId"] == account)),
    ];
    for (condition, wanted) in &cases {
        let soql = format!("SELECT Id FROM Opportunity WHERE {condition} ORDER BY Id");
        let mut expected: Vec<String> = all
            .iter()
            .filter(|record| wanted(record))
            .map(|record| text(record, "Id"))
            .collect();
        expected.sort();
        assert!(!expected.is_empty(), "{condition}");
        assert_eq!(
            all_ids(&sim, &query_path(&soql)).await,
            expected,
            "{condition}"
        );
        let count = get(
            &sim,
            &query_path(&format!(
                "SELECT COUNT() FROM Opportunity WHERE {condition}"
            )),
        )
        .await
        .json();
        assert_eq!(
            count,
            json!({"totalSize": expected.len(), "done": true, "records": []})
        );
    }
    let soql = "SELECT Id, Amount FROM Opportunity ORDER BY Amount DESC NULLS LAST, Id DESC LIMIT 50 OFFSET 10";
    let mut expected = all.clone();
    expected.sort_by(|left, right| {
        let keys = (number(right).unwrap_or(-1.0), text(right, "Id"));
        keys.partial_cmp(&(number(left).unwrap_or(-1.0), text(left, "Id")))
            .unwrap()
    });
    let expected: Vec<String> = expected[10..60]
        .iter()
        .map(|record| text(record, "Id"))
        .collect();
    assert_eq!(all_ids(&sim, &query_path(soql)).await, expected);
    let folded = get(
        &sim,
        &query_path("SELECT COUNT(Amount) amounts, MAX(Amount) FROM Opportunity"),
    )
    .await
    .json();
    let record = &folded["records"][0];
    assert_eq!(record["attributes"], json!({"type": "AggregateResult"}));
    assert_eq!(
        record["amounts"],
        all.iter().filter(|record| number(record).is_some()).count()
    );
    assert_eq!(
        record["expr1"].as_f64(),
        all.iter().filter_map(number).max_by(f64::total_cmp)
    );
}

#[tokio::test]
async fn queries_that_the_platform_refuses_are_refused() {
    let sim = org(&[(Object::Account, 5)]).await;
    for (soql, refused) in [
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Foo FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Foo = 1", "INVALID_FIELD"),
        (
            "SELECT Id FROM Account WHERE SystemModstamp > '2024-01-01T00:00:00Z'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account WHERE SystemModstamp > 2024-01-01T00:00:00 00:00",
            "MALFORMED_QUERY",
        ),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"),
        (
            "SELECT Id FROM Account WHERE Description = 'x'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account WHERE Id = 'x'",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
            "MALFORMED_QUERY",
        ),
        ("SELECT Id FROM Account WHERE Name = 'a", "MALFORMED_QUERY"),
        ("SELECT FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id, Id FROM Account", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Account", "MALFORMED_QUERY"),
        (
            "SELECT FIELDS(CUSTOM) FROM Account LIMIT 201",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account OFFSET 2001",
            "NUMBER_OUTSIDE_VALID_RANGE",
        ),
        ("SELECT Id, COUNT(Id) FROM Account", "MALFORMED_QUERY"),
        ("DELETE FROM Account", "MALFORMED_QUERY"),
    ] {
        let answer = get(&sim, &query_path(soql)).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, refused),
            "{soql}"
        );
    }
    assert_eq!(
        get(&sim, &query_path("SELECT FIELDS(STANDARD) FROM Account"))
            .await
            .status,
        200
    );
    let long = "x".repeat(17_000);
    assert_eq!(get(&sim, &query_path(&long)).await.status, 414);
    let token = sim.issue_tokens().access_token;
    let headers = [("x-padding", &*"y".repeat(16_000))];
    let target = format!("{DATA}{}", query_path(&"x".repeat(500)));
    let heavy = call_as(&sim, &token, Method::GET, &target, &headers, Vec::new()).await;
    assert_eq!(heavy.status, 431);
}

#[tokio::test]
async fn deleted_records_are_in_query_all_until_they_are_purged() {
    let sim = org(&[(Object::Lead, 300)]).await;
    let now_ms = 1_780_000_000_000;
    sim.clock().fix(now_ms);
    let gone = sim.delete_count(Object::Lead, 5, now_ms);
    let mut gone_ids: Vec<String> = gone
        .iter()
        .map(|id| sim.wire_id(Object::Lead, *id))
        .collect();
    gone_ids.sort();
    let live = query_path("SELECT Id FROM Lead");
    let all = query_all_path("SELECT Id, IsDeleted, SystemModstamp FROM Lead");
    let deleted = query_all_path("SELECT Id FROM Lead WHERE IsDeleted = true");
    assert_eq!(all_ids(&sim, &live).await.len(), 295);
    let everything = all_records(&sim, &all).await;
    assert_eq!(everything.len(), 300);
    for record in &everything {
        let is_gone = gone_ids.contains(&record["Id"].as_str().unwrap().to_owned());
        assert_eq!(record["IsDeleted"], is_gone);
        // A deletion counts as a modification.
        assert_eq!(
            record["SystemModstamp"] == "2026-05-28T20:26:40.000+0000",
            is_gone
        );
    }
    let mut found = all_ids(&sim, &deleted).await;
    found.sort();
    assert_eq!(found, gone_ids);
    assert!(
        all_ids(
            &sim,
            &query_path("SELECT Id FROM Lead WHERE IsDeleted = true")
        )
        .await
        .is_empty()
    );
    assert_eq!(sim.undelete(Object::Lead, &gone[..1], now_ms), gone[..1]);
    assert_eq!(all_ids(&sim, &live).await.len(), 296);
    sim.purge(Object::Lead);
    assert_eq!(all_ids(&sim, &all).await.len(), 296);
    assert!(all_ids(&sim, &deleted).await.is_empty());
    let back = sim.undelete(Object::Lead, &gone, now_ms);
    assert!(back.is_empty(), "{back:?} came back out of an emptied bin");
    let missing = get(&sim, &format!("/sobjects/Lead/{}", gone_ids[1])).await;
    assert_eq!(
        (missing.status, code(&missing).as_str()),
        (404, "NOT_FOUND")
    );
}

#[tokio::test]
async fn a_locator_belongs_to_its_user_its_version_and_its_time() {
    let sim = start(Config {
        counts: [(Object::Account, 3_000)].into(),
        limit_scale: None,
        cursor_idle_s: 60,
        ..Config::default()
    })
    .await;
    sim.clock().fix(1_780_000_000_000);
    let page = get(&sim, &query_path("SELECT Id FROM Account"))
        .await
        .json();
    let next = page["nextRecordsUrl"]
        .as_str()
        .unwrap()
        .strip_prefix(DATA)
        .unwrap()
        .to_owned();
    let second = get(&sim, &next).await;
    assert_eq!(second.json()["records"].as_array().unwrap().len(), 1_000);
    assert_eq!(
        get(&sim, &next).await.body,
        second.body,
        "a page can be read again"
    );
    let token = sim.issue_tokens().access_token;
    let other = format!("/services/data/v61.0{next}");
    let other = call_as(&sim, &token, Method::GET, &other, &[], Vec::new()).await;
    assert_eq!(
        (other.status, code(&other).as_str()),
        (400, "INVALID_QUERY_LOCATOR")
    );
    let beside = get(&sim, &next.replace("-2000", "-1999")).await;
    assert_eq!(code(&beside), "INVALID_QUERY_LOCATOR");
    sim.clock().advance(61_000);
    assert_eq!(code(&get(&sim, &next).await), "INVALID_QUERY_LOCATOR");
    let oldest = get(&sim, &query_path("SELECT Id FROM Account"))
        .await
        .json();
    let oldest = oldest["nextRecordsUrl"]
        .as_str()
        .unwrap()
        .strip_prefix(DATA)
        .unwrap()
        .to_owned();
    for _ in 0..9 {
        get(&sim, &query_path("SELECT Id FROM Account")).await;
    }
    assert_eq!(get(&sim, &oldest).await.status, 200);
    get(&sim, &query_path("SELECT Id FROM Account")).await;
    assert_eq!(code(&get(&sim, &oldest).await), "INVALID_QUERY_LOCATOR");
}

#[tokio::test]
async fn a_session_can_end_between_two_pages_and_the_locator_outlives_it() {
    let sim = org(&[(Object::Account, 3_000)]).await;
    let page = get(&sim, &query_path("SELECT Id FROM Account"))
        .await
        .json();
    let next = page["nextRecordsUrl"].as_str().unwrap().to_owned();
    sim.install_fault(Rule {
        path: Some(PathKind::QueryMore),
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::ExpireToken,
    });
    let token = sim.issue_tokens().access_token;
    let read = |token: String| {
        let (sim, next) = (&sim, &next);
        async move { call_as(sim, &token, Method::GET, next, &[], Vec::new()).await }
    };
    for _ in 0..2 {
        let ended = read(token.clone()).await;
        assert_eq!(ended.status, 401);
        assert_eq!(
            ended.json(),
            json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
        );
    }
    assert_eq!(read(sim.issue_tokens().access_token).await.status, 200);
    assert_eq!(sim.counters().tally.unauthorized, 2);
}

#[tokio::test]
async fn fewer_records_in_a_page_lose_none() {
    let sim = org(&[(Object::Account, 1_000)]).await;
    sim.install_fault(Rule {
        path: Some(PathKind::Query),
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::ShortPage(7),
    });
    let token = sim.issue_tokens().access_token;
    let target = format!("{DATA}{}", query_path("SELECT Id FROM Account"));
    let options = [("sforce-query-options", "batchSize=300")];
    let first = call_as(&sim, &token, Method::GET, &target, &options, Vec::new())
        .await
        .json();
    assert_eq!(first["records"].as_array().unwrap().len(), 7);
    let next = first["nextRecordsUrl"].as_str().unwrap().to_owned();
    let second = call_as(&sim, &token, Method::GET, &next, &options, Vec::new())
        .await
        .json();
    assert_eq!(second["records"].as_array().unwrap().len(), 300);
    assert_ne!(first["records"][6], second["records"][0]);
    assert_eq!(
        all_ids(&sim, &query_path("SELECT Id FROM Account"))
            .await
            .len(),
        1_000
    );
}

#[tokio::test]
async fn the_system_moves_one_time_and_users_both() {
    let sim = org(&[(Object::Account, 20)]).await;
    let now_ms = 1_780_000_000_000;
    sim.clock().fix(now_ms);
    let touched = sim.edit_count(Object::Account, 2, now_ms - 60_000, now_ms - 60_000);
    assert_eq!(
        sim.touch(Object::Account, &[touched[0].0], now_ms),
        [touched[0].0]
    );
    let at = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let id = sim.wire_id(Object::Account, touched[0].0);
    let record = get(
        &sim,
        &format!("/sobjects/Account/{id}?fields=SystemModstamp,LastModifiedDate"),
    )
    .await
    .json();
    assert_eq!(
        at(&record, "SystemModstamp"),
        "2026-05-28T20:26:40.000+0000"
    );
    assert_eq!(
        at(&record, "LastModifiedDate"),
        "2026-05-28T20:25:40.000+0000"
    );
    sim.edit(Object::Account, &[touched[0].0], now_ms);
    let record = get(&sim, &format!("/sobjects/Account/{id}")).await.json();
    // Twice changed within a second: two versions of the same time.
    assert_eq!(
        at(&record, "SystemModstamp"),
        "2026-05-28T20:26:40.000+0000"
    );
    assert_eq!(
        at(&record, "LastModifiedDate"),
        "2026-05-28T20:26:40.000+0000"
    );
    let versions = sim.versions_of(Object::Account, touched[0].0);
    assert_eq!(versions.len(), 4);
    assert_eq!(versions[2].modified_ms, versions[3].modified_ms);
    let late = format!(
        "SELECT COUNT() FROM Account WHERE LastModifiedDate >= {}",
        literal(now_ms - 60_000)
    );
    assert_eq!(get(&sim, &query_path(&late)).await.json()["totalSize"], 2);
}
