//! Tickets, and object types that the account defined itself.

use crm_sim::hubspot::{Config, CrmSim, CustomType, Kind};
use serde_json::{Value, json};

use super::client::{get, post, start};

async fn with_machines() -> CrmSim {
    start(Config {
        custom_types: vec![CustomType::machines(250)],
        limit_scale: None,
        ..Config::default()
    })
    .await
}

const MACHINES: Kind = Kind::Custom(0);

#[tokio::test]
async fn a_type_of_the_accounts_own_is_found_by_its_schema_and_read_like_any_other() {
    let sim = with_machines().await;
    let schemas = get(&sim, "/crm/v3/schemas").await.json();
    let schema = &schemas["results"][0];
    assert_eq!(schema["objectTypeId"], "2-3604285");
    assert_eq!(schema["fullyQualifiedName"], "p20858235_machine");
    assert_eq!(schema["requiredProperties"], json!(["serial_name"]));
    let names: Vec<&str> = schema["properties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|property| property["name"].as_str().unwrap())
        .collect();
    for name in [
        "serial_name",
        "hours_run",
        "hs_createdate",
        "hs_lastmodifieddate",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    assert_eq!(get(&sim, "/crm/v3/schemas/2-3604285").await.json(), *schema);
    let by_old_name = get(&sim, "/crm-object-schemas/v3/schemas/p20858235_machine").await;
    assert_eq!(by_old_name.json(), *schema);

    let mut expected: Vec<u64> = sim.current(MACHINES).map(|one| one.id).collect();
    expected.sort_unstable();
    for spelling in ["2-3604285", "p20858235_machine"] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/crm/v3/objects/{spelling}?limit=100&after={after}");
            let page = get(&sim, &path).await;
            seen.extend(page.ids());
            match page.json()["paging"]["next"]["after"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{spelling}");
    }
    let found = post(
        &sim,
        "/crm/v3/objects/2-3604285/search",
        &json!({"limit": 200, "properties": ["hours_run"]}),
    )
    .await
    .json();
    assert_eq!(found["total"], 250);
    let properties = found["results"][0]["properties"].as_object().unwrap();
    let names: Vec<&String> = properties.keys().collect();
    assert_eq!(
        names,
        [
            "hours_run",
            "hs_createdate",
            "hs_lastmodifieddate",
            "hs_object_id"
        ]
    );
}

#[tokio::test]
async fn its_associations_are_the_accounts_own_kinds() {
    let sim = with_machines().await;
    let schema = get(&sim, "/crm/v3/schemas/2-3604285").await.json();
    let kinds = schema["associations"].as_array().unwrap();
    let to_contact = kinds
        .iter()
        .find(|kind| kind["toObjectTypeId"] == "0-1")
        .unwrap();
    assert_eq!(to_contact["name"], "machine_to_contact");
    let type_id: u32 = to_contact["id"].as_str().unwrap().parse().unwrap();
    let contacts = get(&sim, "/crm/v3/schemas/contacts").await.json();
    assert!(
        contacts["associations"]
            .as_array()
            .unwrap()
            .contains(to_contact)
    );

    let mut all = sim.associations(MACHINES, Kind::Contacts);
    let (machine, ends) = all.next().unwrap();
    let (contact, types) = ends.first_key_value().unwrap();
    assert_eq!(types, &[type_id]);
    let path = format!("/crm/v4/objects/p20858235_machine/{machine}/associations/contacts");
    let shown = get(&sim, &path).await.json();
    assert_eq!(
        shown["results"][0],
        json!({"toObjectId": contact, "associationTypes": [
            {"category": "USER_DEFINED", "typeId": type_id, "label": null},
        ]})
    );
}

#[tokio::test]
async fn an_account_without_types_of_its_own_has_no_schemas_and_knows_none_in_paths() {
    let sim = start(Config::default()).await;
    let schemas = get(&sim, "/crm/v3/schemas").await.json();
    assert_eq!(schemas, json!({"results": []}));
    assert_eq!(get(&sim, "/crm/v3/objects/2-3604285").await.status, 400);
    assert_eq!(get(&sim, "/crm/v3/objects/custom-1").await.status, 400);
}

#[tokio::test]
async fn tickets_go_through_the_stages_of_their_pipeline() {
    let sim = with_machines().await;
    let pipelines = get(&sim, "/crm/v3/pipelines/tickets").await.json();
    let stages = pipelines["results"][0]["stages"].as_array().unwrap();
    let ids: Vec<&Value> = stages.iter().map(|stage| &stage["id"]).collect();
    assert_eq!(ids, ["1", "2", "3", "4"]);
    assert_eq!(stages[3]["metadata"]["ticketState"], "CLOSED");

    let page = get(
        &sim,
        "/crm/v3/objects/tickets?limit=50&propertiesWithHistory=hs_pipeline_stage&properties=hs_pipeline_stage",
    )
    .await
    .json();
    let tickets = page["results"].as_array().unwrap();
    assert_eq!(tickets.len(), 50);
    let mut longest = 0;
    for ticket in tickets {
        let history = ticket["propertiesWithHistory"]["hs_pipeline_stage"]
            .as_array()
            .unwrap();
        assert_eq!(
            history[0]["value"],
            ticket["properties"]["hs_pipeline_stage"]
        );
        longest = longest.max(history.len());
    }
    assert_eq!(longest, 4, "a closed ticket went through every stage");
    assert_eq!(get(&sim, "/crm/v3/objects/0-5?limit=1").await.status, 200);
}
