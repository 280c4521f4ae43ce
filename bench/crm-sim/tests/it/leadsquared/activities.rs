//! Activities and opportunities.

use crm_sim::leadsquared::{Config, Kind, LeadSquaredSim};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{EVER, call_as, check_problem, get, post, start, unlimited};

const BY_EVENT: &str = "ProspectActivity.svc/CustomActivity/RetrieveByActivityEvent";

fn calls(from: &str) -> Value {
    json!({
        "Parameter": {"FromDate": from, "ToDate": EVER.1, "ActivityEvent": 22},
        "Paging": {"PageIndex": 1, "PageSize": 1000},
    })
}

#[tokio::test]
async fn activities_are_found_by_their_modification_not_by_when_they_happened() {
    let sim = start(unlimited()).await;
    let types = get(&sim, "ProspectActivity.svc/ActivityTypes.Get")
        .await
        .json();
    assert!(
        types
            .as_array()
            .unwrap()
            .iter()
            .any(|kind| kind["ActivityEvent"] == 22)
    );
    let all = post(&sim, BY_EVENT, &calls(EVER.0)).await.json();
    let list = all["List"].as_array().unwrap();
    assert_eq!(all["RecordCount"], list.len());
    assert!(
        list.iter()
            .all(|activity| activity["ActivityEvent"] == "22")
    );
    assert!(
        list[0]["ActivityEvent_Note"]
            .as_str()
            .unwrap()
            .contains("{=}")
    );
    let id = Kind::Activities
        .parse_id(list[5]["ProspectActivityId"].as_str().unwrap())
        .unwrap();
    sim.edit(Kind::Activities, &[id], 1_772_685_000_000);
    let late = post(&sim, BY_EVENT, &calls("2026-03-01 00:00:00"))
        .await
        .json();
    assert_eq!(late["RecordCount"], 1);
    assert_eq!(late["List"][0]["ModifiedOn"], "2026-03-05 04:30:00");
    assert_eq!(late["List"][0]["CreatedOn"], list[5]["CreatedOn"]);
}

#[tokio::test]
async fn the_activities_of_a_lead_count_from_zero() {
    let sim = start(Config {
        leads: 10,
        ..unlimited()
    })
    .await;
    let lead = sim.current(Kind::Leads).next().unwrap().id;
    let target = format!(
        "ProspectActivity.svc/Retrieve?leadId={}",
        Kind::Leads.wire_id(lead)
    );
    let body = |offset: u64| json!({"Paging": {"Offset": offset, "RowCount": 150}});
    let first = post(&sim, &target, &body(0)).await.json();
    let second = post(&sim, &target, &body(150)).await.json();
    assert_eq!(first["RecordCount"], 200);
    let count = |page: &Value| page["ProspectActivities"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&second)), (150, 50));
    let events =
        json!({"Parameter": {"ActivityEvent": 201}, "Paging": {"Offset": 0, "RowCount": 1000}});
    let visits = post(&sim, &target, &events).await.json();
    assert!(
        visits["ProspectActivities"]
            .as_array()
            .unwrap()
            .iter()
            .all(|visit| visit["EventCode"] == "201")
    );
}

async fn first_lead(sim: &LeadSquaredSim) -> (u64, Value) {
    let id = sim.current(Kind::Leads).next().unwrap().id;
    let target = format!(
        "LeadManagement.svc/Leads.GetById?id={}",
        Kind::Leads.wire_id(id)
    );
    (id, get(sim, &target).await.json()[0].clone())
}

#[tokio::test]
async fn a_new_activity_touches_its_lead_only_where_accounts_are_set_so() {
    for touches in [false, true] {
        let sim = start(Config {
            activities_touch_leads: touches,
            ..unlimited()
        })
        .await;
        sim.clock().fix(1_772_685_000_000);
        let (id, before) = first_lead(&sim).await;
        let body = json!({
            "RelatedProspectId": Kind::Leads.wire_id(id),
            "ActivityEvent": 201,
            "ActivityNote": "came by",
            "ActivityDateTime": "2026-03-01 10:00:00",
        });
        let made = post(&sim, "ProspectActivity.svc/Create", &body)
            .await
            .json();
        assert_eq!(made["Status"], "Success");
        let activity = Kind::Activities
            .parse_id(made["Message"]["Id"].as_str().unwrap())
            .unwrap();
        let activity: Value =
            serde_json::from_str(&sim.record_json(Kind::Activities, activity).unwrap()).unwrap();
        assert_eq!(
            (&activity["CreatedOn"], &activity["ModifiedOn"]),
            (&json!("2026-03-01 10:00:00"), &json!("2026-03-05 04:30:00"))
        );
        let (_, after) = first_lead(&sim).await;
        assert_eq!(after["ModifiedOn"] != before["ModifiedOn"], touches);
        let mut wrong = body.clone();
        wrong["ActivityDateTime"] = json!("2026-03-01T10:00:00Z");
        check_problem(
            &post(&sim, "ProspectActivity.svc/Create", &wrong).await,
            500,
            "MXInvalidInputException",
        );
    }
}

#[tokio::test]
async fn opportunities_are_for_administrators_and_by_lead_for_all() {
    let sim = start(Config {
        leads: 30,
        ..unlimited()
    })
    .await;
    let search = r#"{"GrpConOp":"And","Conditions":[{"Type":"Activity","ConOp":"and","RowCondition":[{"LSO":"ActivityEvent","Operator":"eq","RSO":"12000"}]}]}"#;
    let body = json!({
        "OpportunityEventCode": 12000,
        "AdvancedSearch": search,
        "Paging": {"PageIndex": 1, "PageSize": 1000},
        "Sorting": {"ColumnName": "CreatedOn", "Direction": 1},
    });
    let target = "OpportunityManagement.svc/Retrieve/BySearchParameter";
    let all = post(&sim, target, &body).await.json();
    assert_eq!(all["RecordCount"], 300);
    let created: Vec<&str> = all["List"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deal| deal["CreatedOn"].as_str().unwrap())
        .collect();
    assert!(created.iter().rev().is_sorted());
    let user = sim.issue_keys_of(1);
    let refused = call_as(&sim, &user, Method::POST, target, &body).await;
    check_problem(&refused, 500, "MXPermissionDeniedException");
    let mut bare = body.clone();
    bare.as_object_mut().unwrap().remove("AdvancedSearch");
    check_problem(
        &post(&sim, target, &bare).await,
        500,
        "MXMandatoryAttributeMissingException",
    );
    let lead = all["List"][0]["RelatedProspectId"].as_str().unwrap();
    let of_lead = format!(
        "OpportunityManagement.svc/GetOpportunitiesOfLead?leadId={lead}&opportunityType=12000"
    );
    let deals = post(&sim, &of_lead, &Value::Null).await.json();
    assert_eq!(deals["RecordCount"], 10);
    let untyped = format!("OpportunityManagement.svc/GetOpportunitiesOfLead?leadId={lead}");
    assert_eq!(post(&sim, &untyped, &Value::Null).await.status, 500);
}
