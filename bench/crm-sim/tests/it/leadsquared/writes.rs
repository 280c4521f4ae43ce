//! Writes of leads, and the one deletion that is a GET.

use crm_sim::leadsquared::{Config, Kind, LeadSquaredSim};
use serde_json::{Value, json};

use super::client::{check_problem, get, post, start, unlimited};

const CREATE: &str = "LeadManagement.svc/Lead.Create";

fn pairs(values: &[(&str, &str)]) -> Value {
    let pairs = values
        .iter()
        .map(|(name, value)| json!({"Attribute": name, "Value": value}));
    Value::Array(pairs.collect())
}

async fn lead(sim: &LeadSquaredSim, id: &str) -> Value {
    get(sim, &format!("LeadManagement.svc/Leads.GetById?id={id}"))
        .await
        .json()[0]
        .clone()
}

async fn create(sim: &LeadSquaredSim, values: &[(&str, &str)]) -> String {
    let made = post(sim, CREATE, &pairs(values)).await.json();
    assert_eq!(made["Status"], "Success", "{made}");
    made["Message"]["Id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_second_lead_of_an_address_is_a_500_that_stays() {
    let sim = start(unlimited()).await;
    create(
        &sim,
        &[("EmailAddress", "john@acme.co"), ("FirstName", "John")],
    )
    .await;
    let again = post(&sim, CREATE, &pairs(&[("EmailAddress", "JOHN@acme.co")])).await;
    check_problem(&again, 500, "MXDuplicateEntryException");
    assert_eq!(
        again.json()["ExceptionMessage"],
        "Duplicate entry 'JOHN@acme.co' for key 'UQ_Prospect_Base_EmailAddress'"
    );
    check_problem(
        &post(&sim, CREATE, &pairs(&[("FirstName", "x")])).await,
        500,
        "MXMandatoryAttributeMissingException",
    );
    let script = pairs(&[
        ("EmailAddress", "x@y.z"),
        ("Notes", "<Script>alert(1)</script>"),
    ]);
    check_problem(&post(&sim, CREATE, &script).await, 500, "MXXSSException");
    let unknown = pairs(&[("EmailAddress", "x@y.z"), ("mx_Unknown", "1")]);
    check_problem(
        &post(&sim, CREATE, &unknown).await,
        500,
        "MXInvalidInputException",
    );
}

#[tokio::test]
async fn an_update_clears_with_an_empty_text_and_leaves_what_is_null() {
    let sim = start(Config {
        mandatory: vec!["FirstName".to_owned()],
        ..unlimited()
    })
    .await;
    sim.clock().fix(1_772_685_000_000);
    let id = create(
        &sim,
        &[
            ("EmailAddress", "a@b.c"),
            ("FirstName", "A"),
            ("LastName", "B"),
            ("mx_City", "Oslo"),
        ],
    )
    .await;
    sim.clock().advance(3000);
    let target = format!("LeadManagement.svc/Lead.Update?leadId={id}");
    let body =
        json!([{"Attribute": "LastName", "Value": ""}, {"Attribute": "mx_City", "Value": null}]);
    let done = post(&sim, &target, &body).await.json();
    assert_eq!(
        done,
        json!({"Status": "Success", "Message": {"AffectedRows": 1}})
    );
    let lead = lead(&sim, &id).await;
    assert_eq!(
        (&lead["LastName"], &lead["mx_City"]),
        (&json!(""), &json!("Oslo"))
    );
    assert_eq!(lead["ModifiedOn"], "2026-03-05 04:30:03");
    assert_eq!(lead["CreatedOn"], "2026-03-05 04:30:00");
    let mandatory = post(&sim, &target, &pairs(&[("FirstName", "")])).await;
    check_problem(&mandatory, 500, "MXMandatoryAttributeMissingException");
    let moved = post(&sim, &target, &pairs(&[("LeadType", "OT_1")])).await;
    check_problem(&moved, 500, "MXInvalidInputException");
}

#[tokio::test]
async fn an_upsert_searches_by_address_then_by_number_or_by_what_it_names() {
    let sim = start(unlimited()).await;
    let target = "LeadManagement.svc/Lead.CreateOrUpdate?postUpdatedLead=false";
    let id = create(&sim, &[("EmailAddress", "a@b.c"), ("Phone", "+1-55")]).await;
    let upsert = |values: &[(&str, &str)]| {
        let (sim, body) = (&sim, pairs(values));
        async move {
            post(sim, target, &body).await.json()["Message"]["Id"]
                .as_str()
                .unwrap()
                .to_owned()
        }
    };
    assert_eq!(
        upsert(&[("EmailAddress", "a@b.c"), ("FirstName", "A")]).await,
        id
    );
    assert_eq!(upsert(&[("Phone", "+1-55"), ("FirstName", "B")]).await, id);
    assert_eq!(
        upsert(&[
            ("SearchBy", "Phone"),
            ("Phone", "+1-55"),
            ("EmailAddress", "new@b.c")
        ])
        .await,
        id
    );
    assert_eq!(lead(&sim, &id).await["EmailAddress"], "new@b.c");
    assert_ne!(upsert(&[("EmailAddress", "other@b.c")]).await, id);
}

#[tokio::test]
async fn bulk_calls_answer_for_each_row_and_have_caps() {
    let sim = start(unlimited()).await;
    let rows = json!([
        [{"Attribute": "EmailAddress", "Value": "one@b.c"}],
        [{"Attribute": "EmailAddress", "Value": "one@b.c"}],
        [{"Attribute": "EmailAddress", "Value": "two@b.c"}],
    ]);
    let results = post(&sim, "LeadManagement.svc/Lead/Bulk/Create", &rows)
        .await
        .json();
    let created: Vec<bool> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["LeadCreated"].as_bool().unwrap())
        .collect();
    assert_eq!(created, [true, false, true]);
    assert_eq!(results[1]["ExceptionType"], "MXDuplicateEntryException");
    let upserted = post(&sim, "LeadManagement.svc/Lead/Bulk/CreateOrUpdate", &rows)
        .await
        .json();
    assert!(
        upserted
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["LeadUpdated"] == true)
    );
    let ids = [&results[0]["LeadId"], &results[2]["LeadId"]];
    let body = json!({"LeadIds": ids, "LeadFields": {"Attribute": "mx_City", "Value": "Lagos"}});
    let done = post(&sim, "LeadManagement.svc/Lead/Bulk/Update", &body)
        .await
        .json();
    assert_eq!(done["Message"]["AffectedRows"], 2);
    assert_eq!(
        lead(&sim, ids[0].as_str().unwrap()).await["mx_City"],
        "Lagos"
    );
    for (target, count) in [("Create", 51), ("CreateOrUpdate", 26)] {
        let rows = Value::Array(vec![json!([]); count]);
        let answer = post(
            &sim,
            &format!("LeadManagement.svc/Lead/Bulk/{target}"),
            &rows,
        )
        .await;
        check_problem(&answer, 500, "MXInvalidInputException");
    }
}

#[tokio::test]
async fn a_get_deletes_a_lead_with_all_that_belongs_to_it() {
    let sim = start(Config {
        leads: 10,
        ..unlimited()
    })
    .await;
    let id = sim.current(Kind::Leads).next().unwrap().id;
    let target = format!(
        "LeadManagement.svc/Lead/Delete/ById?leadId={}",
        Kind::Leads.wire_id(id)
    );
    assert_eq!(
        get(&sim, &target).await.json(),
        json!({"Status": "Success"})
    );
    let live = Kind::ALL.map(|kind| sim.live_count(kind));
    assert_eq!(live, [9, 1800, 270]);
    check_problem(&get(&sim, &target).await, 500, "MXInvalidInputException");
    let sim = start(Config {
        deletes: false,
        ..unlimited()
    })
    .await;
    let id = sim.current(Kind::Leads).next().unwrap().id;
    let target = format!(
        "LeadManagement.svc/Lead/Delete/ById?leadId={}",
        Kind::Leads.wire_id(id)
    );
    assert_eq!(get(&sim, &target).await.status, 500);
    assert_eq!(sim.live_count(Kind::Leads), 1000);
}
