//! Edits, creations and archivals as the API and the truth show them.

use std::collections::HashSet;

use crm_sim::hubspot::{Kind, iso};
use serde_json::Value;

use super::client::{get, unlimited};

#[tokio::test]
async fn an_edit_makes_a_new_version_that_the_list_shows_at_once() {
    let sim = unlimited(100).await;
    let before = sim.current(Kind::Contacts).nth(3).unwrap();
    let old = sim.record_json(Kind::Contacts, before.id).unwrap();
    let edited = sim.edit(Kind::Contacts, &[before.id, 1], 1_790_000_000_000);
    assert_eq!(
        edited,
        [(before.id, 1_790_000_000_000)],
        "unknown ids are skipped"
    );
    let target = format!("/crm/v3/objects/contacts/{}?properties=jobtitle", before.id);
    let record = get(&sim, &target).await.json();
    assert_eq!(record["updatedAt"], iso(1_790_000_000_000));
    assert!(
        record["properties"]["jobtitle"]
            .as_str()
            .unwrap()
            .starts_with("Edited")
    );
    let versions = sim.versions_of(Kind::Contacts, before.id);
    assert_eq!(versions.len(), 2);
    assert_eq!(
        sim.version_json(Kind::Contacts, before.id, before.modified_ms)
            .unwrap(),
        old
    );
    assert_eq!(sim.history(Kind::Contacts).count(), 101);
}

#[tokio::test]
async fn a_version_never_repeats_or_goes_back() {
    let sim = unlimited(10).await;
    let id = sim.current(Kind::Contacts).next().unwrap().id;
    for _ in 0..3 {
        sim.edit(Kind::Contacts, &[id], 1_000);
    }
    let versions = sim.versions_of(Kind::Contacts, id);
    assert!(
        versions
            .windows(2)
            .all(|pair| pair[0].modified_ms < pair[1].modified_ms)
    );
    assert_eq!(versions.len(), 4);
}

#[tokio::test]
async fn fifty_thousand_edits_spread_over_an_interval_hit_distinct_records() {
    let sim = unlimited(200_000).await;
    let (from, until) = (1_790_000_000_000, 1_790_000_010_000);
    let edited = sim.edit_count(Kind::Contacts, 50_000, from, until);
    let ids: HashSet<u64> = edited.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), 50_000);
    assert!(edited.iter().all(|(_, at)| (from..until).contains(at)));
    let current = sim
        .current(Kind::Contacts)
        .filter(|record| record.modified_ms >= from);
    assert_eq!(current.count(), 50_000);
}

#[tokio::test]
async fn archived_records_leave_the_list_and_appear_in_the_archived_one() {
    let sim = unlimited(50).await;
    let archived = sim.archive_count(Kind::Contacts, 7, 1_790_000_000_000);
    let live = get(&sim, "/crm/v3/objects/contacts?limit=100").await.ids();
    assert_eq!(live.len(), 43);
    assert_eq!(sim.live_count(Kind::Contacts), 43);
    let page = get(&sim, "/crm/v3/objects/contacts?limit=100&archived=true").await;
    let mut listed = page.ids();
    let records = page.json();
    for record in records["results"].as_array().unwrap() {
        assert_eq!(record["archived"], true);
        assert_eq!(record["archivedAt"], iso(1_790_000_000_000));
    }
    let mut expected = archived.clone();
    expected.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, expected);
    assert_eq!(
        get(&sim, &format!("/crm/v3/objects/contacts/{}", archived[0]))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn created_records_fall_between_existing_ids() {
    let sim = unlimited(1000).await;
    let highest = sim.current(Kind::Contacts).last().unwrap().id;
    let created = sim.create(Kind::Contacts, 2000, 1_790_000_000_000);
    assert!(!created.is_sorted());
    assert!(
        created.iter().any(|id| *id < highest),
        "a running list can miss them"
    );
    let record: Value =
        serde_json::from_str(&sim.record_json(Kind::Contacts, created[0]).unwrap()).unwrap();
    assert!(record["properties"]["email"].is_string());
    assert_eq!(sim.current(Kind::Contacts).count(), 3000);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_records() {
    let (first, second) = (unlimited(500).await, unlimited(500).await);
    assert!(first.current(Kind::Deals).eq(second.current(Kind::Deals)));
    let id = first.current(Kind::Contacts).nth(99).unwrap().id;
    assert_eq!(
        first.record_json(Kind::Contacts, id),
        second.record_json(Kind::Contacts, id)
    );
}
