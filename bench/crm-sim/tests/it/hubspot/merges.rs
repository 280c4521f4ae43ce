//! Merged records: what survives, what it takes over, and where the other one is gone.

use crm_sim::hubspot::Kind;
use serde_json::{Value, json};

use super::client::{get, post, unlimited};

#[tokio::test]
async fn the_surviving_record_takes_over_values_and_associations_and_names_the_other() {
    let sim = unlimited(100).await;
    let mut associated = sim.associations(Kind::Contacts, Kind::Companies);
    let (into, _) = associated.next().unwrap();
    let (other, companies) = associated.next().unwrap();
    let before = sim.versions_of(Kind::Contacts, into).pop().unwrap();
    sim.set_property(Kind::Contacts, into, "zip", None, 1_790_000_000_000);
    sim.set_property(
        Kind::Contacts,
        other,
        "zip",
        Some("04109"),
        1_790_000_000_000,
    );
    let merge = json!({"primaryObjectId": into.to_string(), "objectIdToMerge": other.to_string()});
    let answer = post(&sim, "/crm/v3/objects/contacts/merge", &merge).await;
    assert_eq!(answer.status, 200);
    let survivor = answer.json();
    assert_eq!(survivor["id"], into.to_string());
    assert_eq!(survivor["properties"]["zip"], "04109");
    assert_eq!(
        survivor["properties"]["hs_merged_object_ids"],
        other.to_string()
    );
    let after = sim.versions_of(Kind::Contacts, into).pop().unwrap();
    assert!(
        after.modified_ms > before.modified_ms,
        "a merge counts as a modification"
    );
    let (_, ends) = sim
        .associations(Kind::Contacts, Kind::Companies)
        .find(|(id, _)| *id == into)
        .unwrap();
    assert!(companies.keys().all(|company| ends.contains_key(company)));
    assert!(
        sim.associations(Kind::Contacts, Kind::Companies)
            .all(|(id, _)| id != other)
    );

    let again = post(&sim, "/crm/v3/objects/contacts/merge", &merge).await;
    assert_eq!(again.status, 400, "both are one record by now");
}

#[tokio::test]
async fn the_record_that_was_merged_away_is_in_no_list_and_reads_as_the_surviving_one() {
    let sim = unlimited(50).await;
    let ids: Vec<u64> = sim.current(Kind::Companies).map(|one| one.id).collect();
    let archived = ids[9];
    sim.archive(Kind::Companies, &[archived], 1_790_000_000_000);
    sim.merge(Kind::Companies, ids[3], ids[4], 1_790_000_000_000)
        .unwrap();
    sim.merge(Kind::Companies, ids[5], ids[3], 1_790_000_000_001)
        .unwrap();

    let live = get(&sim, "/crm/v3/objects/companies?limit=100").await.ids();
    assert!(!live.contains(&ids[3]) && !live.contains(&ids[4]) && live.contains(&ids[5]));
    let gone = get(&sim, "/crm/v3/objects/companies?limit=100&archived=true")
        .await
        .ids();
    assert_eq!(gone, [archived], "a merged record is not an archived one");
    let read = get(&sim, &format!("/crm/v3/objects/companies/{}", ids[4]))
        .await
        .json();
    assert_eq!(read["id"], ids[5].to_string());
    let path = format!(
        "/crm/v3/objects/companies/{}?properties=hs_merged_object_ids",
        ids[5]
    );
    let survivor = get(&sim, &path).await.json();
    assert_eq!(
        survivor["properties"]["hs_merged_object_ids"],
        Value::String(format!("{};{}", ids[4], ids[3]))
    );
    let states: Vec<bool> = sim
        .current(Kind::Companies)
        .filter(|one| ids[3..5].contains(&one.id))
        .map(|one| one.archived)
        .collect();
    assert_eq!(states, [true, true]);
}
